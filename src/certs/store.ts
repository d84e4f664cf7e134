/**
 * Writes a folder of certificates so that all of a run's files are there, or none.
 *
 * A folder that is not there yet is made beside its place and renamed. In one that is there, the files are first written
 * to a folder of their own within it, then a list of them is (that is the moment that decides), then each is renamed to
 * its place. A run that is killed before that moment has changed nothing; what one killed after it has left to do, the
 * next one does.
 */
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod/mini';
import { ForgeError } from '../errors.js';
import { writeFileAtomic } from '../runtime/files.js';
import { withLock } from '../runtime/lock.js';
import { identifyProcess, isAlive } from '../runtime/process/identity.js';
import { fileFailure } from './file-failure.js';

export interface FileChange {
  /** Relative to the folder. */
  readonly file: string;
  /** Undefined: the file goes away. */
  readonly content?: string;
  readonly mode: number;
}

const FOLDER_MODE = 0o700;
/** In the folder: what is being written. */
export const STAGING = '.gen-certs';
const LOCK = '.gen-certs.lock';
const LOCK_SCRATCH = /^\.{1,2}gen-certs\.lock\./;
const SCRATCH_AGE_MS = 60_000;
const DECISION = 'decision.json';
const DECISION_BYTES_MAX = 4 * 1024 * 1024;

/** Without ways out of the folder: the list decides about deletions. */
const inside = z
  .string()
  .check(z.refine((file) => !path.isAbsolute(file) && !file.split('/').includes('..') && file !== ''));
const decisionSchema = z.strictObject({ purpose: z.string(), files: z.array(inside), removed: z.array(inside) });
type Decision = z.infer<typeof decisionSchema>;

/**
 * Makes the folder with these files.
 * @throws ForgeError `refused` when it has come into being meanwhile; `denied`, `refused`, `configuration` as the file
 *   system says
 */
export async function createFolder(directory: string, changes: readonly FileChange[]): Promise<void> {
  const parent = path.dirname(directory);
  const own = await stagingName(directory);
  const staging = path.join(parent, own);
  try {
    await mkdir(parent, { recursive: true });
    await removeDeadStaging(directory);
    await mkdir(staging, { mode: FOLDER_MODE });
    await writeFiles(staging, changes);
    await rename(staging, directory);
    await syncFolder(parent);
  } catch (error) {
    await rm(staging, { recursive: true, force: true }).catch(() => {});
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') {
      throw new ForgeError('refused', `${directory} has come into being meanwhile.`, { next: 'Run it again.' });
    }
    throw fileFailure(error, `${directory} cannot be made`);
  }
}

/** Who makes it is in its name, so that nobody removes what another is still at. */
async function stagingName(directory: string): Promise<string> {
  const self = await identifyProcess(process.pid);
  return `${stagingPrefix(directory)}${process.pid}.${self?.start.replaceAll(/[^A-Za-z0-9_]/g, '-') ?? ''}`;
}

function stagingPrefix(directory: string): string {
  return `.${path.basename(directory)}${STAGING}.`;
}

/** Removes what killed runs have left beside the folder. */
async function removeDeadStaging(directory: string): Promise<void> {
  const parent = path.dirname(directory);
  const prefix = stagingPrefix(directory);
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const [pid = '', start = ''] = name.slice(prefix.length).split('.');
    const now = await identifyProcess(Number(pid));
    if (now !== undefined && now.start.replaceAll(/[^A-Za-z0-9_]/g, '-') === start && (await isAlive(now))) continue;
    await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

export interface OpenFolder {
  /** What an interrupted run had decided, and this one has finished. */
  readonly finished?: string;
  /** All changes, or none. */
  apply(purpose: string, changes: readonly FileChange[]): Promise<void>;
}

/**
 * Runs `work` while nobody else writes to the folder, which is there; what an interrupted run has left is finished or
 * removed before.
 * @throws ForgeError `locked` when another run writes to it; otherwise as `createFolder`
 */
export async function withFolder<T>(directory: string, work: (folder: OpenFolder) => Promise<T>): Promise<T> {
  const lock = path.join(directory, LOCK);
  try {
    const recovered = async () => {
      const finished = await recover(directory);
      const apply = (purpose: string, changes: readonly FileChange[]) => change(directory, purpose, changes);
      return await work({ ...(finished === undefined ? {} : { finished }), apply });
    };
    return await withLock({ directory, lock }, 'forge gen-certs', recovered, { what: directory });
  } catch (error) {
    throw fileFailure(error, `${directory} cannot be written`);
  }
}

async function change(directory: string, purpose: string, changes: readonly FileChange[]): Promise<void> {
  const staging = path.join(directory, STAGING);
  const written = changes.filter(({ content }) => content !== undefined);
  const decision: Decision = {
    purpose,
    files: written.map(({ file }) => file),
    removed: changes.filter(({ content }) => content === undefined).map(({ file }) => file),
  };
  try {
    await mkdir(staging, { mode: FOLDER_MODE });
    await writeFiles(path.join(staging, 'files'), written);
    await writeFileAtomic(path.join(staging, DECISION), JSON.stringify(decision), 0o600);
  } catch (error) {
    await rm(staging, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(staging);
  await carryOut(directory, decision);
}

/** @returns the purpose of a decided run that was finished */
async function recover(directory: string): Promise<string | undefined> {
  const staging = path.join(directory, STAGING);
  const decision = await readDecision(path.join(staging, DECISION));
  await removeOldScratch(directory);
  if (decision === undefined) {
    await rm(staging, { recursive: true, force: true });
    return undefined;
  }
  await carryOut(directory, decision);
  return decision.purpose;
}

/** What a run has left that was killed while it took the lock; a young one may be of one that does so right now. */
async function removeOldScratch(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!LOCK_SCRATCH.test(name)) continue;
    const file = path.join(directory, name);
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs > SCRATCH_AGE_MS) await rm(file, { force: true });
  }
}

/** Whether a run was interrupted after it had decided: then some files are in their places and some are not. */
export async function isHalfDone(directory: string): Promise<boolean> {
  return (await readDecision(path.join(directory, STAGING, DECISION)).catch(() => undefined)) !== undefined;
}

/** Puts everything in its place; done twice, it does nothing. */
async function carryOut(directory: string, { files, removed }: Decision): Promise<void> {
  const staging = path.join(directory, STAGING);
  for (const file of files) {
    const target = path.join(directory, file);
    await mkdir(path.dirname(target), { recursive: true, mode: FOLDER_MODE });
    try {
      await rename(path.join(staging, 'files', file), target);
    } catch (error) {
      // It is in its place already.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  for (const file of removed) {
    await rm(path.join(directory, file), { force: true });
    // The folder of a party that is no more; one that holds something else stays.
    if (file.includes('/')) await rmdir(path.dirname(path.join(directory, file))).catch(() => {});
  }
  const folders = new Set([...files, ...removed].map((file) => path.dirname(path.join(directory, file))));
  for (const folder of folders) await syncFolder(folder);
  await rm(staging, { recursive: true, force: true });
}

async function readDecision(file: string): Promise<Decision | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  try {
    if (text.length > DECISION_BYTES_MAX) throw new Error('too large');
    return z.parse(decisionSchema, JSON.parse(text));
  } catch (cause) {
    throw new ForgeError('refused', `${file} says nothing that forge has written.`, {
      next: 'Look at it. Where it is nothing, remove its folder and run this again.',
      cause,
    });
  }
}

async function writeFiles(folder: string, changes: readonly FileChange[]): Promise<void> {
  for (const { file, content = '', mode } of changes) {
    const target = path.join(folder, file);
    await mkdir(path.dirname(target), { recursive: true, mode: FOLDER_MODE });
    const handle = await open(target, 'wx', mode);
    try {
      // The process's umask may have taken bits away.
      await handle.chmod(mode);
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/** A rename is on the disk when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  try {
    await handle?.sync();
  } catch {
    // Some file systems cannot.
  } finally {
    await handle?.close();
  }
}
