/**
 * The append-only file of one instant. Nothing is changed on the server, so that nothing has to be restored whatever
 * happens to this process: files are opened between two looks at their manifest, in a moment without a rewrite. From then
 * on they can be read to their end, though the server may rewrite, rename and remove them. The last of them grows: it is
 * cut where the server was with its writes when it told its offset.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeConnection } from '../../../cluster/node-connection.js';
import { ForgeError } from '../../../errors.js';
import {
  APPEND_DIRECTORY,
  APPEND_FILE,
  type AppendOnlyFile,
  MANIFEST_MAX_BYTES,
  parseAppendManifest,
  plainNameOf,
  writeAppendManifest,
} from './manifest.js';
import { closeAll, OpenedFile, openAll } from './opened.js';
import { type FileSettings, type FileState, fileStateOf } from './server.js';

/** Looks at a rewrite that is under way; the next one begins a turn of the server's clock later at the earliest, 100 ms. */
const LOOK_MS = 20;
/** A server that waits for its disk writes after two seconds at the latest (redis: aof.c, `flushAppendOnlyFile`). */
const WRITTEN_MAX_MS = 10_000;
const WRITTEN_LOOK_MS = 2;
const COMMAND_STARTS = new Set(['*', '#']);

/** One file of the shard, as far as it belongs to the backup. */
export interface OpenPart {
  readonly file: OpenedFile;
  readonly path: string;
  readonly bytes: number;
}

export interface OpenAppendOnly {
  readonly manifest: string;
  readonly parts: readonly OpenPart[];
  readonly state: FileState;
  readonly takenAt: number;
}

export interface OpenOptions {
  /** The data directory, as it is reached from here. */
  readonly directory: string;
  readonly settings: FileSettings;
  /** Longest wait for a rewrite's end, milliseconds. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/**
 * Opens what the server has written until now: all writes up to `state.offset`, and no later one. Close the parts.
 * @throws ForgeError `refused` where the files are not those of this server, or cannot be read; `timeout` while rewrites
 *   come one upon the other, or the disk hangs
 */
export async function openAppendOnly(connection: NodeConnection, options: OpenOptions): Promise<OpenAppendOnly> {
  const end = performance.now() + options.waitMs;
  for (;;) {
    options.signal.throwIfAborted();
    const opened = await tryToOpen(connection, options);
    if (opened !== undefined) return opened;
    if (performance.now() > end) {
      throw new ForgeError('timeout', `${connection.label} rewrites its append-only file all the time.`, {
        host: connection.label,
        next: 'Raise auto-aof-rewrite-percentage and auto-aof-rewrite-min-size, or take the network as the source.',
      });
    }
    await sleep(LOOK_MS, undefined, { signal: options.signal });
  }
}

/** Undefined when a rewrite was under way, or began meanwhile. */
async function tryToOpen(connection: NodeConnection, options: OpenOptions): Promise<OpenAppendOnly | undefined> {
  const { directory, settings } = options;
  const { label } = connection;
  const before = await fileStateOf(connection);
  if (before.failing) throw refused(label, 'it cannot write to its append-only file', 'Look into its log.');
  if (before.rewriting) return undefined;
  if (!before.appending)
    throw refused(label, 'its append-only file is off, though it is configured', 'Look into its log.');
  const folder = path.join(directory, settings.appendDirectory);
  const manifestFile = path.join(folder, `${settings.appendFile}.manifest`);
  const text = await readManifest(manifestFile);
  const files = parseAppendManifest(text);
  const opened = await openAll(files.map(({ name }) => path.join(folder, name))).catch((error: unknown) => {
    // Between the look at the manifest and the opening, a rewrite has ended.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (opened === undefined) return undefined;
  let kept = false;
  try {
    const lengths = await Promise.all(opened.map((file) => file.bytes()));
    const state = await fileStateOf(connection);
    const takenAt = Date.now();
    if (state.rewriting || (await readManifest(manifestFile)) !== text) return undefined;
    const uncounted = uncountedBytes({ label, files, lengths, before, state });
    const wanted = state.bytes + state.waitingBytes + uncounted;
    const parts = await cut({ label, files, opened, lengths, wanted, signal: options.signal });
    // What the server has written to another file since is none of these.
    if ((await readManifest(manifestFile)) !== text) return undefined;
    kept = true;
    return { manifest: plainManifest(files), parts, state, takenAt };
  } finally {
    if (!kept) await closeAll(opened);
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

interface Count {
  readonly label: string;
  readonly files: readonly AppendOnlyFile[];
  readonly lengths: readonly number[];
  /** Before and after the lengths were looked at. */
  readonly before: FileState;
  readonly state: FileState;
}

/**
 * What the files have more than the server counts: a server that began with nothing does not count the base that it made
 * then. By this the files also prove to be those that it writes to, and not a copy of them. Exported for tests.
 * @throws ForgeError `refused` when they have another length than it says
 */
export function uncountedBytes({ label, files, lengths, before, state }: Count): number {
  const base = files[0]?.type === 'base' ? (lengths[0] ?? 0) : 0;
  const uncounted = state.baseBytes === 0 ? base : 0;
  const counted = sum(lengths) - uncounted;
  if (counted >= before.bytes && counted <= state.bytes) return uncounted;
  throw refused(
    label,
    `its append-only file has ${counted} bytes here, and ${state.bytes} by its own account`,
    'This may be the directory of another node; or the file was cut off when the server began: then BGREWRITEAOF mends it.',
  );
}

interface Cut {
  readonly label: string;
  readonly files: readonly AppendOnlyFile[];
  readonly opened: readonly OpenedFile[];
  readonly lengths: readonly number[];
  /** All of the files' bytes that belong to the backup. */
  readonly wanted: number;
  readonly signal: AbortSignal;
}

/** Waits until all of it is in the files. Only the last one may still grow. */
async function cut({ label, files, opened, lengths, wanted, signal }: Cut): Promise<OpenPart[]> {
  const last = opened.at(-1);
  if (last === undefined) throw refused(label, 'it has no append-only file', 'Look into its data directory.');
  const whole = lengths.slice(0, -1);
  const lastBytes = wanted - sum(whole);
  const end = performance.now() + WRITTEN_MAX_MS;
  while ((await last.bytes()) < lastBytes) {
    if (performance.now() > end) {
      throw new ForgeError(
        'timeout',
        `${label} has not written to its append-only file for ${WRITTEN_MAX_MS / 1000} s.`,
        {
          host: label,
          next: 'Look at its disk.',
        },
      );
    }
    await sleep(WRITTEN_LOOK_MS, undefined, { signal });
  }
  if (!(await isBetweenCommands(last, lastBytes))) {
    throw refused(label, 'its append-only file holds no whole commands up to its offset', 'BGREWRITEAOF mends it.');
  }
  const bytes = [...whole, lastBytes];
  return opened.map((file, index) => {
    const part = files[index] as AppendOnlyFile;
    return { file, path: `${APPEND_DIRECTORY}/${plainNameOf(part)}`, bytes: bytes[index] ?? 0 };
  });
}

/** Whether a command ends here, and another begins if there is more. */
async function isBetweenCommands(file: OpenedFile, place: number): Promise<boolean> {
  if (place < 0) return false;
  const around = (await file.at(Math.max(0, place - 2), place === 0 ? 1 : 3)).toString('latin1');
  const before = place === 0 ? '\r\n' : around.slice(0, 2);
  const after = place === 0 ? around : around.slice(2);
  return before === '\r\n' && (after === '' || COMMAND_STARTS.has(after));
}

function plainManifest(files: readonly AppendOnlyFile[]): string {
  return writeAppendManifest(files.map((file) => ({ ...file, name: plainNameOf(file) })));
}

async function readManifest(file: string): Promise<string> {
  const opened = await OpenedFile.open(file);
  try {
    return await opened.text(MANIFEST_MAX_BYTES);
  } finally {
    await opened.close();
  }
}

/** In an archive. */
export const MANIFEST_PATH = `${APPEND_DIRECTORY}/${APPEND_FILE}.manifest`;

const refused = (label: string, why: string, next: string) =>
  new ForgeError('refused', `The files of ${label} cannot be taken: ${why}.`, { host: label, next });
