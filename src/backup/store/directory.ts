/** Backups in a directory of this host, or of a file system that is mounted here. */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ForgeError } from '../../errors.js';
import { isClusterName } from '../layout.js';
import { CHECK_CONTENT, CHECK_KEY } from './check.js';
import { codeOf, explained, ignoreMissing, ignoreUnsyncable, linked, missing, tooLarge } from './directory-failure.js';
import { onAbort } from './signals.js';
import type { BackupStore, PutOptions, StoredObject } from './store.js';

/** Of a file that is being written; no key begins so. */
const SCRATCH = /^\.forge-upload-[0-9a-f]{12}$/;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const WRITE_BYTES = 1024 * 1024;
/** Backups lie three deep; what others have below the place is not followed without end. */
const DEPTH_MAX = 16;
/** Another process may remove a folder, as empty, before the first file is in it. */
const PLACE_ATTEMPTS = 5;

export class DirectoryStore implements BackupStore {
  readonly place: string;

  /** @param directory absolute */
  constructor(directory: string) {
    this.place = directory;
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.write(CHECK_KEY, CHECK_CONTENT, signal);
    const found = await this.read(CHECK_KEY, { maxBytes: CHECK_CONTENT.length });
    // Another that tries at the same moment may have removed it.
    if (found !== undefined && !found.equals(CHECK_CONTENT)) {
      throw new ForgeError('verification', `${this.place}: what was written a moment ago reads differently.`, {
        next: 'Look at the disk.',
      });
    }
    await this.remove([CHECK_KEY]);
  }

  async *list(prefix: string, signal: AbortSignal): AsyncIterable<StoredObject> {
    for await (const { relative, scratch } of this.#walk('', prefix, signal)) {
      if (scratch) continue;
      const found = await this.#told(lstat(this.#path(relative)).catch(ignoreMissing));
      if (found?.isFile()) yield { key: relative, bytes: found.size, modifiedMs: found.mtimeMs };
    }
  }

  async read(key: string, { maxBytes }: { readonly maxBytes: number }): Promise<Buffer | undefined> {
    return this.#told(
      (async () => {
        const file = await this.#openFile(key);
        if (file === undefined) return undefined;
        try {
          const { size } = await file.stat();
          if (size > maxBytes) throw tooLarge(this.#path(key), size, maxBytes);
          return await file.readFile();
        } finally {
          await file.close();
        }
      })(),
    );
  }

  async open(key: string, signal: AbortSignal): Promise<Readable> {
    signal.throwIfAborted();
    const file = await this.#told(this.#openFile(key));
    if (file === undefined) throw missing(this.#path(key));
    const stream = file.createReadStream({ highWaterMark: WRITE_BYTES });
    const destroy = stream.destroy.bind(stream);
    stream.destroy = (error) => destroy(error && (explained(error, this.place) as Error));
    stream.once(
      'close',
      onAbort(signal, () => destroy(signal.reason)),
    );
    return stream;
  }

  async write(key: string, content: Buffer, signal: AbortSignal): Promise<void> {
    await this.#placeFile(key, async (file) => {
      signal.throwIfAborted();
      await file.writeFile(content);
      await file.sync();
      return content.length;
    });
  }

  async put(key: string, source: Readable, { signal, onProgress }: PutOptions): Promise<void> {
    // A source that is silent while the folder is made must not fail unheard.
    const early = (error: Error) => source.destroy(error);
    source.once('error', early);
    try {
      await this.#placeFile(key, async (file) => {
        signal.throwIfAborted();
        // Safe on the disk before it is closed.
        const target = file.createWriteStream({ highWaterMark: WRITE_BYTES, flush: true });
        let bytes = 0;
        const count = async function* (pieces: AsyncIterable<Buffer>) {
          for await (const piece of pieces) {
            bytes += piece.length;
            yield piece;
            onProgress?.(bytes);
          }
        };
        setMaxListeners(0, signal);
        await pipeline(source, count, target, { signal }).catch((error) => {
          throw signal.aborted ? signal.reason : error;
        });
        return bytes;
      });
    } finally {
      source.destroy();
      source.off('error', early);
    }
  }

  async remove(keys: readonly string[]): Promise<void> {
    await this.#told(
      (async () => {
        const files = keys.map((key) => this.#path(key));
        for (const key of keys) if (await this.#leadsThroughLink(key)) throw linked(this.#path(key));
        for (const file of files) await rm(file, { force: true }).catch(ignoreMissing);
        const folders = new Set(files.map((file) => path.dirname(file)));
        for (const folder of folders) await syncFolder(folder).catch(ignoreMissing);
        for (const folder of folders) await removeEmpty(this.place, folder);
      })(),
    );
  }

  async sweep(prefix: string, { beforeMs, signal }: { readonly beforeMs: number; readonly signal: AbortSignal }) {
    let count = 0;
    for await (const { relative, scratch } of this.#walk('', prefix, signal)) {
      if (!scratch) continue;
      const file = this.#path(relative);
      const found = await this.#told(lstat(file).catch(ignoreMissing));
      if (found === undefined || found.mtimeMs >= beforeMs) continue;
      await this.#told(rm(file, { force: true }));
      await removeEmpty(this.place, path.dirname(file));
      count++;
    }
    return count;
  }

  close(): void {}

  /** Files below the folder, in the order of their keys, of those that may begin with the prefix. */
  async *#walk(
    folder: string,
    prefix: string,
    signal: AbortSignal,
    depth = 0,
  ): AsyncGenerator<{ relative: string; scratch: boolean }> {
    signal.throwIfAborted();
    const name = (entry: Dirent) => (entry.isDirectory() ? `${entry.name}/` : entry.name);
    for (const entry of (await this.#entries(folder)).sort((one, other) => (name(one) < name(other) ? -1 : 1))) {
      const relative = folder + name(entry);
      if (entry.isDirectory()) {
        const wanted = relative.startsWith(prefix) || prefix.startsWith(relative);
        if (wanted && depth < DEPTH_MAX) yield* this.#walk(relative, prefix, signal, depth + 1);
      } else if (entry.isFile()) {
        const scratch = SCRATCH.test(entry.name);
        if (relative.startsWith(prefix) || (scratch && folder.startsWith(prefix))) yield { relative, scratch };
      }
    }
  }

  async #entries(folder: string): Promise<Dirent[]> {
    try {
      return await readdir(this.#path(folder), { withFileTypes: true });
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOENT' || (code === 'ENOTDIR' && folder !== '')) return [];
      // lost+found of a disk's root, snapshots of a file server: none of ours, and nobody's but root's.
      const [top = ''] = folder.split('/');
      if ((code === 'EACCES' || code === 'EPERM') && folder !== '' && !isClusterName(top)) return [];
      throw explained(error, this.place);
    }
  }

  #path(key: string): string {
    if (key.split('/').some((part) => part === '.' || part === '..') || key.includes('\0')) {
      throw new ForgeError('refused', `${JSON.stringify(key)} is no name of an object.`);
    }
    return path.join(this.place, key);
  }

  async #told<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      throw explained(error, this.place);
    }
  }

  /** Whether a folder between the place and the object is a link. The place itself may be one: it was named. */
  async #leadsThroughLink(key: string): Promise<boolean> {
    let current = this.place;
    for (const part of path.dirname(key).split('/')) {
      current = path.join(current, part);
      if ((await lstat(current).catch(ignoreMissing))?.isSymbolicLink()) return true;
    }
    return false;
  }

  /** Undefined without the file. @throws ForgeError `refused` for a link */
  async #openFile(key: string) {
    const file = this.#path(key);
    if (await this.#leadsThroughLink(key)) throw linked(file);
    // Without O_NONBLOCK a pipe of that name would be waited for.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await open(file, flags).catch((error) => {
      if (codeOf(error) === 'ELOOP') throw linked(file);
      return ignoreMissing(error);
    });
    if (handle === undefined || (await handle.stat()).isFile()) return handle;
    await handle.close();
    return undefined;
  }

  /** Written beside its place, made safe on the disk, then named. @param fill writes the file; @returns its bytes */
  async #placeFile(key: string, fill: (file: FileHandle) => Promise<number>): Promise<void> {
    const target = this.#path(key);
    const folder = path.dirname(target);
    const scratch = path.join(folder, `.forge-upload-${randomBytes(6).toString('hex')}`);
    try {
      if (await this.#leadsThroughLink(key)) throw linked(target);
      const file = await makeFile(folder, scratch);
      let bytes: number;
      try {
        bytes = await fill(file);
      } finally {
        // A stream has closed it already. Over a network, this may be what tells of a full disk.
        await file.close();
      }
      const { size } = await stat(scratch);
      if (size !== bytes) throw shortened(target, size, bytes);
      await rename(scratch, target);
      await syncFolder(folder);
    } catch (error) {
      await rm(scratch, { force: true }).catch(() => undefined);
      await removeEmpty(this.place, folder);
      throw explained(error, this.place);
    }
  }
}

/** Opens a new file in a folder that is made, and safe on the disk with every new one above it. */
async function makeFile(folder: string, scratch: string): Promise<FileHandle> {
  for (let attempt = 1; ; attempt++) {
    try {
      // Another process may take an empty folder away in between, also one above it while this one is made.
      const first = await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE });
      // Before the file: a folder that is not empty stays.
      const file = await open(scratch, 'wx', FILE_MODE);
      const made = first === undefined ? [] : foldersFrom(first, folder);
      for (const each of made)
        await syncFolder(path.dirname(each)).catch((error) => file.close().then(() => Promise.reject(error)));
      return file;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt >= PLACE_ATTEMPTS) throw error;
    }
  }
}

function foldersFrom(first: string, last: string): string[] {
  return last.length <= first.length ? [first] : [...foldersFrom(first, path.dirname(last)), last];
}

/** Names in a folder are safe once the folder is. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const directory = await open(folder, 'r');
    await directory.sync().finally(() => directory.close());
  } catch (error) {
    ignoreUnsyncable(error);
  }
}

/** Up to the place itself, which stays. */
async function removeEmpty(place: string, folder: string): Promise<void> {
  for (let current = folder; current.startsWith(`${place}${path.sep}`); current = path.dirname(current)) {
    if (!(await rmdir(current).then(...([() => true, () => false] as const)))) return;
  }
}

const shortened = (file: string, size: number, bytes: number) =>
  new ForgeError('verification', `${file} has ${size} bytes on the disk, where ${bytes} were written.`, {
    next: 'Look at the disk; run it again.',
  });
