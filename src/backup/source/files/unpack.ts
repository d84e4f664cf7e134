/** Puts the files of an archived shard into a folder, from which a server loads them. The archive is trusted in nothing. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { ForgeError } from '../../../errors.js';
import {
  APPEND_DIRECTORY,
  APPEND_FILE,
  AppendManifestError,
  FILES_MAX,
  MANIFEST_MAX_BYTES,
  parseAppendManifest,
} from './manifest.js';
import { readTar, TarError } from './tar.js';

export const NODES_FILE = 'nodes.conf';
export const DUMP_FILE = 'dump.rdb';
export const NODES_MAX_BYTES = 16 * 1024 * 1024;
const APPEND_MANIFEST = `${APPEND_DIRECTORY}/${APPEND_FILE}.manifest`;
const APPEND_PART = new RegExp(
  `^${APPEND_DIRECTORY}/${APPEND_FILE.replace('.', '\\.')}\\.[1-9][0-9]{0,14}\\.(?:base\\.(?:rdb|aof)|incr\\.aof)$`,
);
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** What a server is told to load it. */
export interface UnpackedShard {
  /** Of one with `appendonly yes`; else it is `dump.rdb`. */
  readonly appendOnly?: { readonly directory: string; readonly file: string };
  /** `nodes.conf` is there as well. */
  readonly nodes: boolean;
  /** Of all files. */
  readonly bytes: number;
}

export interface UnpackOptions {
  /** An empty folder that only this user may enter. */
  readonly directory: string;
  /** More than the archive itself cannot be in it: `plainBytes` of the object. */
  readonly maxBytes: number;
  /** For messages: where the archive is. */
  readonly place: string;
  readonly signal: AbortSignal;
}

/**
 * Unpacks a shard, and closes the stream. The names are always those of a server with plain settings. When it fails, the folder holds a part of it.
 * @throws ForgeError `verification` for an archive that holds anything else than a shard, or not all of one; `partial`
 *   when the disk is full; or what the stream fails with
 */
export async function unpackFiles(source: Readable, options: UnpackOptions): Promise<UnpackedShard> {
  const { directory, maxBytes, place, signal } = options;
  const names = new Set<string>();
  let bytes = 0;
  let manifest: string | undefined;
  try {
    for await (const entry of readTar(source)) {
      signal.throwIfAborted();
      const known = entry.path === NODES_FILE || entry.path === DUMP_FILE || entry.path === APPEND_MANIFEST;
      if (!known && !APPEND_PART.test(entry.path)) throw new TarError('it holds a file that is none of a shard');
      if (names.has(entry.path)) throw new TarError(`it holds ${entry.path} twice`);
      if (names.size > FILES_MAX) throw new TarError(`it holds more than ${FILES_MAX} files`);
      bytes += entry.bytes;
      if (bytes > maxBytes) throw new TarError(`it holds more than ${maxBytes} bytes`);
      names.add(entry.path);
      const text = await writeEntry(path.join(directory, entry.path), entry, signal);
      if (entry.path === APPEND_MANIFEST) manifest = text;
    }
    const appendOnly = judge(names, manifest);
    return { ...(appendOnly ? { appendOnly: PLAIN } : {}), nodes: names.has(NODES_FILE), bytes };
  } catch (error) {
    throw explained(error, place, directory);
  } finally {
    source.destroy();
  }
}

const PLAIN = { directory: APPEND_DIRECTORY, file: APPEND_FILE } as const;

/** Whether it is one with an append-only file. @throws TarError where something is missing, or too much */
function judge(names: ReadonlySet<string>, manifest: string | undefined): boolean {
  if (manifest === undefined) {
    const stray = [...names].some((name) => APPEND_PART.test(name));
    if (stray || !names.has(DUMP_FILE)) throw new TarError('it holds no whole shard');
    return false;
  }
  if (names.has(DUMP_FILE)) throw new TarError('it holds a shard twice');
  const listed = new Set(parseAppendManifest(manifest).map(({ name }) => `${APPEND_DIRECTORY}/${name}`));
  const parts = [...names].filter((name) => APPEND_PART.test(name));
  if (parts.length !== listed.size || !parts.every((name) => listed.has(name))) {
    throw new TarError('its files are not those of its manifest');
  }
  return true;
}

/** @returns the text of a small file, which the others are not */
async function writeEntry(
  file: string,
  entry: { readonly path: string; readonly bytes: number; readonly content: AsyncIterable<Buffer> },
  signal: AbortSignal,
): Promise<string | undefined> {
  const small = entry.path === APPEND_MANIFEST || entry.path === NODES_FILE;
  const most = entry.path === APPEND_MANIFEST ? MANIFEST_MAX_BYTES : NODES_MAX_BYTES;
  if (small && entry.bytes > most) throw new TarError(`its ${entry.path} is too long`);
  await mkdir(path.dirname(file), { recursive: true, mode: FOLDER_MODE });
  const kept: Buffer[] = [];
  const handle = await open(file, 'wx', FILE_MODE);
  try {
    for await (const piece of entry.content) {
      signal.throwIfAborted();
      if (small) kept.push(Buffer.from(piece));
      await handle.writeFile(piece);
    }
  } finally {
    await handle.close();
  }
  return small ? Buffer.concat(kept).toString('utf8') : undefined;
}

function explained(error: unknown, place: string, directory: string): unknown {
  if (error instanceof TarError || error instanceof AppendManifestError) {
    return new ForgeError('verification', `${place} is no shard of a backup: ${error.message}.`, {
      next: 'Take another backup of the list: forge backup list.',
      cause: error,
    });
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ForgeError('partial', `The disk of ${directory} is full.`, {
      next: 'Make room there, and run it again.',
      cause: error,
    });
  }
  return error;
}
