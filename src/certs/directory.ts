/** Reads a folder of certificates, whoever made it. */

import type { X509Certificate } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { access, open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import {
  type CertificateFacts,
  certificateFacts,
  hasCertificate,
  type KeyFacts,
  keyFacts,
  readCertificates,
} from './facts.js';
import { fileFailure } from './file-failure.js';
import {
  CA_BUNDLE,
  CA_CERTIFICATE,
  CA_KEY,
  CA_NEXT_CERTIFICATE,
  CA_NEXT_KEY,
  CA_PREVIOUS_CERTIFICATE,
  type CertificateRole,
  isLayoutFile,
  pairFiles,
  roleOfFile,
} from './layout.js';
import { isHalfDone } from './store.js';

/** Files below the folder that are looked at; a folder with more is another one. */
const FILES_MAX = 20_000;
const DEPTH_MAX = 4;
/** A system's whole store of CAs is 220 KB. */
const FILE_BYTES_MAX = 1024 * 1024;

/** A certificate with its key, as the files say. Files are relative to the folder. */
export interface StoredPair {
  /** Undefined for files that are in no place of the layout. */
  readonly role?: CertificateRole;
  readonly folder?: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly certificate?: CertificateFacts;
  /** Why there is no certificate: `does not exist`, `is damaged`. */
  readonly certificateFault?: string;
  readonly key?: KeyFacts;
  readonly keyFault?: string;
  /** Permission bits of the key's file. */
  readonly keyMode?: number;
}

export interface StoredDirectory {
  readonly path: string;
  /** False: there is nothing at the path. */
  readonly exists: boolean;
  readonly authority?: StoredPair;
  readonly next?: StoredPair;
  readonly previous?: StoredPair;
  /** What is in `ca-bundle.crt`. */
  readonly bundle?: readonly X509Certificate[];
  readonly bundleFault?: string;
  readonly pairs: readonly StoredPair[];
  /** Certificates in other places than those of the layout. */
  readonly others: readonly StoredPair[];
  /** Files of the layout that are there. */
  readonly files: readonly string[];
  /** A run was interrupted while it put its files in place. */
  readonly halfDone: boolean;
}

/** @throws ForgeError `configuration` for a path that is no folder, `denied` for one that may not be read */
export async function readDirectory(directory: string): Promise<StoredDirectory> {
  const nothing = { path: directory, exists: false, pairs: [], others: [], files: [], halfDone: false };
  try {
    const found = await stat(directory);
    if (!found.isDirectory()) {
      throw new ForgeError('configuration', `${directory} is not a folder.`, {
        next: 'Name a folder for certificates.',
      });
    }
    await access(directory, constants.R_OK | constants.X_OK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return nothing;
    throw fileFailure(error, `${directory} cannot be read`);
  }
  const files = await filesBelow(directory);
  const reader = new Reader(directory, new Set(files));
  const bundle = await reader.bundle();
  return {
    path: directory,
    exists: true,
    authority: await reader.pair(CA_CERTIFICATE, CA_KEY),
    next: await reader.pair(CA_NEXT_CERTIFICATE, CA_NEXT_KEY),
    previous: await reader.pair(CA_PREVIOUS_CERTIFICATE),
    ...bundle,
    pairs: await reader.pairs(),
    others: await reader.others(),
    files: files.filter(isLayoutFile),
    halfDone: await isHalfDone(directory),
  };
}

/** Names of files, relative and sorted; what begins with a dot is not looked at. */
async function filesBelow(directory: string): Promise<string[]> {
  const files: string[] = [];
  const walk = async (folder: string, depth: number): Promise<void> => {
    let entries: Dirent[];
    try {
      entries = await readdir(path.join(directory, folder), { withFileTypes: true });
    } catch (error) {
      throw fileFailure(error, `${path.join(directory, folder)} cannot be read`);
    }
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && depth < DEPTH_MAX) await walk(name, depth + 1);
      else if (entry.isFile() || entry.isSymbolicLink()) files.push(name);
      if (files.length > FILES_MAX) {
        throw new ForgeError('configuration', `${directory} has more than ${FILES_MAX} files.`, {
          next: 'Name a folder that holds certificates only.',
        });
      }
    }
  };
  await walk('', 1);
  return files.sort();
}

class Reader {
  readonly #directory: string;
  readonly #files: ReadonlySet<string>;

  constructor(directory: string, files: ReadonlySet<string>) {
    this.#directory = directory;
    this.#files = files;
  }

  /** Undefined when neither file is there. */
  async pair(certificateFile: string, keyFile = ''): Promise<StoredPair | undefined> {
    if (!this.#files.has(certificateFile) && !this.#files.has(keyFile)) return undefined;
    return { certificateFile, keyFile, ...(await this.#certificate(certificateFile)), ...(await this.#key(keyFile)) };
  }

  async bundle(): Promise<Pick<StoredDirectory, 'bundle' | 'bundleFault'>> {
    if (!this.#files.has(CA_BUNDLE)) return {};
    const { text, fault } = await this.#read(CA_BUNDLE);
    if (text === undefined) return { bundleFault: fault };
    try {
      return { bundle: readCertificates(text) };
    } catch (error) {
      return { bundleFault: (error as Error).message };
    }
  }

  async pairs(): Promise<StoredPair[]> {
    const folders = new Map<string, CertificateRole>();
    for (const file of this.#files) {
      const party = roleOfFile(file);
      if (party !== undefined) folders.set(party.folder, party.role);
    }
    const pairs: StoredPair[] = [];
    for (const [folder, role] of folders) {
      const { certificate, key } = pairFiles(role, folder);
      const pair = await this.pair(certificate, key);
      if (pair !== undefined) pairs.push({ ...pair, role, folder });
    }
    return pairs;
  }

  async others(): Promise<StoredPair[]> {
    const pairs: StoredPair[] = [];
    for (const file of this.#files) {
      if (isLayoutFile(file) || !/\.(?:crt|pem|cer)$/.test(file)) continue;
      const { text } = await this.#read(file);
      if (text === undefined || !hasCertificate(text)) continue;
      const keyFile = file.replace(/\.[a-z]+$/, '.key');
      pairs.push({
        certificateFile: file,
        keyFile,
        ...(await this.#certificate(file)),
        ...(this.#files.has(keyFile) ? await this.#key(keyFile) : {}),
      });
    }
    return pairs;
  }

  async #certificate(file: string): Promise<Pick<StoredPair, 'certificate' | 'certificateFault'>> {
    const { text, fault } = await this.#read(file);
    if (text === undefined) return { certificateFault: fault };
    try {
      return { certificate: certificateFacts(text) };
    } catch (error) {
      return { certificateFault: (error as Error).message };
    }
  }

  async #key(file: string): Promise<Pick<StoredPair, 'key' | 'keyFault' | 'keyMode'>> {
    const { text, fault, mode } = await this.#read(file);
    return text === undefined ? { keyFault: fault } : { key: keyFacts(text), keyMode: mode };
  }

  async #read(file: string): Promise<{ text?: string; mode?: number; fault: string }> {
    if (!this.#files.has(file)) return { fault: 'does not exist' };
    try {
      const whole = path.join(this.#directory, file);
      // Opening a pipe would wait for whoever writes to it.
      if (!(await stat(whole)).isFile()) return { fault: 'is no file' };
      const handle = await open(whole, 'r');
      try {
        const { size, mode } = await handle.stat();
        if (size > FILE_BYTES_MAX) return { fault: 'is too large' };
        return { text: await handle.readFile('utf8'), mode: mode & 0o777, fault: '' };
      } finally {
        await handle.close();
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return { fault: 'does not exist' };
      return { fault: code === 'EACCES' ? 'may not be read by this user' : 'cannot be read' };
    }
  }
}
