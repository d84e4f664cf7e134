/** Folders that hold a backup's data while a server of our own reads it, and the sweeping of those that a kill left. */
import { mkdtemp, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { ForgeError } from '../../errors.js';
import { identifyProcess, isAlive, type ProcessIdentity, signalProcess } from '../../runtime/process/identity.js';

const PREFIX = 'forge-scratch-';
const OWNER = 'owner.json';
const SERVER = 'server.json';
/** A folder without a word about its owner may just have been made. */
const NAMELESS_MS = 60_000;
/** Besides the data itself: the log, and what a server writes when it ends. */
const SPARE_BYTES = 64 * 1024 * 1024;

/** Where scratch folders go when nothing is said. */
export const scratchPlace = (environment: NodeJS.ProcessEnv = process.env): string =>
  path.resolve(environment['FORGE_SCRATCH_DIR'] || os.tmpdir());

/**
 * A new folder that only this user may enter.
 * @param place the folder in which it is made
 * @param bytes what is going to lie in it
 * @throws ForgeError `refused` where the disk has no room for that, `configuration` where it cannot be made
 */
export async function makeScratchFolder(place: string, bytes: number): Promise<string> {
  const free = await freeBytes(place);
  const needed = bytes + SPARE_BYTES;
  if (free !== undefined && free < needed) {
    throw new ForgeError('refused', `${place} has ${mebibytes(free)} free, and ${mebibytes(needed)} are needed.`, {
      next: 'Make room there, or set FORGE_SCRATCH_DIR to a folder that has it.',
    });
  }
  try {
    const folder = await mkdtemp(path.join(place, PREFIX));
    await writeFile(path.join(folder, OWNER), JSON.stringify(await identifyProcess(process.pid)), { mode: 0o600 });
    return folder;
  } catch (cause) {
    throw new ForgeError('configuration', `No folder can be made in ${place}: ${(cause as Error).message}.`, {
      next: 'Set FORGE_SCRATCH_DIR to a folder that can be written to.',
      cause,
    });
  }
}

/** Notes which process works in the folder, so that a sweep can end it. */
export async function noteServer(folder: string, pid: number): Promise<void> {
  const identity = await identifyProcess(pid);
  if (identity !== undefined) await writeFile(path.join(folder, SERVER), JSON.stringify(identity), { mode: 0o600 });
}

export async function removeScratchFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Ends the servers and removes the folders of runs of this user that have died. @returns how many */
export async function sweepScratch(place: string): Promise<number> {
  const names = await readdir(place).catch(() => []);
  let count = 0;
  for (const name of names) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = path.join(place, name);
    if (!(await isLeftBehind(folder))) continue;
    const server = await readIdentity(path.join(folder, SERVER));
    if (server !== undefined) await signalProcess(server, 'SIGKILL').catch(() => false);
    await removeScratchFolder(folder).catch(() => undefined);
    count++;
  }
  return count;
}

async function isLeftBehind(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  // What others have made is none of ours, even for root.
  if (!found?.isDirectory() || found.uid !== (process.getuid?.() ?? found.uid)) return false;
  const owner = await readIdentity(path.join(folder, OWNER));
  if (owner === undefined) return Date.now() - found.mtimeMs > NAMELESS_MS;
  return !(await isAlive(owner));
}

async function readIdentity(file: string): Promise<ProcessIdentity | undefined> {
  try {
    const { pid, start } = JSON.parse(await readFile(file, 'utf8')) as Partial<ProcessIdentity>;
    return typeof pid === 'number' && typeof start === 'string' ? { pid, start } : undefined;
  } catch {
    return undefined;
  }
}

async function freeBytes(place: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(place);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

const MIB = 1024 * 1024;
export const mebibytes = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`;

/**
 * Whether the host has memory for a server that holds so much.
 * @throws ForgeError `refused` when that is certain not to be so
 */
export async function requireMemory(bytes: number): Promise<void> {
  const available = await availableMemory();
  if (available >= bytes) return;
  throw new ForgeError(
    'refused',
    `A server with this shard needs ${mebibytes(bytes)} of memory at least; ${mebibytes(available)} are free here.`,
    { next: 'Do it on a host with more memory, or with --parallel 1.' },
  );
}

/** Linux tells what can be had without swapping, which is more than what is unused. */
async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return kibibytes === undefined ? os.freemem() : Number(kibibytes) * 1024;
}
