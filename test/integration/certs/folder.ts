/** Folders of certificates on a real disk, and `forge gen-certs` run in them. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll } from 'vitest';
import type { CreateOptions } from '../../../src/certs/generate.js';
import { type WantedSources, wantedCertificates } from '../../../src/certs/wanted.js';
import { sharedKeys } from '../../support/certificate-keys.js';
import { type ForgeOptions, type ForgeResult, forge } from '../../support/forge.js';

const run = promisify(execFile);
const folders: string[] = [];

/** Each file of tests says this: modules are shared, and what they say by themselves is heard in the first file only. */
export function removeScratchAfterAll(): void {
  afterAll(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
  });
}

/** A folder that goes away after the tests of the file (`removeScratchAfterAll`). */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-certs-'));
  folders.push(folder);
  return folder;
}

/** `forge gen-certs DIR …`, without any settings but those that are given. */
export function genCerts(
  directory: string,
  args: readonly string[] = [],
  options: ForgeOptions = {},
): Promise<ForgeResult> {
  return forge(['gen-certs', directory, ...args], {
    ...options,
    cwd: options.cwd ?? path.dirname(directory),
    env: { FORGE_CONFIG: undefined, FORGE_CA_PASSPHRASE: undefined, ...options.env },
  });
}

/** What a run asks of the service when it is called without the command line. */
export function request(
  directory: string,
  sources: WantedSources,
  changes: Partial<CreateOptions> = {},
): CreateOptions {
  return {
    ...{ directory, wanted: wantedCertificates(sources), bits: 2048, days: 365, caDays: 3650, caName: 'test CA' },
    keyMaker: sharedKeys,
    ...changes,
  };
}

/** Every file below the folder with its permission bits, as `0600 nodes/a/server.key`; hidden ones too. */
export async function listing(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const lines = await Promise.all(
    entries.map(async (entry) => {
      const whole = path.join(entry.parentPath, entry.name);
      const mode = ((await stat(whole)).mode & 0o777).toString(8).padStart(4, '0');
      return `${mode} ${path.relative(directory, whole)}${entry.isDirectory() ? '/' : ''}`;
    }),
  );
  return lines.sort((a, b) => (a.slice(5) < b.slice(5) ? -1 : 1));
}

/** All contents by their names. */
export async function contents(directory: string): Promise<Record<string, string>> {
  const files = (await listing(directory)).filter((line) => !line.endsWith('/')).map((line) => line.slice(5));
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file, await readFile(path.join(directory, file), 'utf8')] as const)),
  );
}

/** `openssl verify`: what it prints, or its complaint. */
export async function verify(directory: string, file: string, ...args: string[]): Promise<string> {
  const all = ['verify', '-x509_strict', '-CAfile', path.join(directory, 'ca-bundle.crt'), ...args];
  return openssl(...all, path.join(directory, file));
}

/** What openssl prints, on both streams when it fails. */
export async function openssl(...args: string[]): Promise<string> {
  try {
    return (await run('openssl', args)).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    return `${stdout ?? ''}${stderr ?? ''}`;
  }
}

export async function writeForgeFile(folder: string, nodes: readonly string[], more = ''): Promise<void> {
  await writeFile(
    path.join(folder, 'forge.yaml'),
    `cluster: orders\nnodes: [${nodes.map((n) => `"${n}"`).join(', ')}]\n${more}`,
  );
}
