/** Backups in a directory of this host, or of a file system that is mounted here. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { ForgeError } from '../../errors.js';
import type { BackupStore, PutOptions, StoredObject } from './store.js';

/** Of a file that is being written; no key begins so. */
const SCRATCH = /^\.forge-upload-[0-9a-f]{12}$/;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

export class DirectoryStore implements BackupStore {
  readonly place: string;

  /** @param directory absolute */
  constructor(directory: string) {
    this.place = directory;
  }

  async *list(prefix: string, signal: AbortSignal): AsyncIterable<StoredObject> {
    for await (const { relative, scratch } of this.#walk('', prefix, signal)) {
      if (scratch) continue;
      const found = await stat(this.#path(relative)).catch(ignoreMissing);
      if (found?.isFile()) yield { key: relative, bytes: found.size, modifiedMs: found.mtimeMs };
    }
  }

  async read(key: string, { maxBytes }: { readonly maxBytes: number }): Promise<Buffer | undefined> {
    try {
      const found = await stat(this.#path(key)).catch(ignoreMissing);
      if (found === undefined) return undefined;
      if (found.size > maxBytes) throw tooLarge(`${this.place}/${key}`, found.size, maxBytes);
      return await readFile(this.#path(key)).catch(ignoreMissing);
    } catch (error) {
      throw explained(error, this.place);
    }
  }

  async open(key: string, signal: AbortSignal): Promise<Readable> {
    const found = await stat(this.#path(key)).catch(ignoreMissing);
    if (!found?.isFile()) throw missing(`${this.place}/${key}`);
    return createReadStream(this.#path(key), { signal });
  }

  async write(key: string, content: Buffer, signal: AbortSignal): Promise<void> {
    await this.#place(key, async (file) => {
      signal.throwIfAborted();
      await file.writeFile(content);
    });
  }

  async put(key: string, source: Readable, { signal, onProgress }: PutOptions): Promise<void> {
    const stop = () => source.destroy(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await this.#place(key, async (file) => {
        signal.throwIfAborted();
        let bytes = 0;
        for await (const piece of source as AsyncIterable<Buffer>) {
          await file.writeFile(piece);
          bytes += piece.length;
          onProgress?.(bytes);
        }
      });
    } finally {
      signal.removeEventListener('abort', stop);
      source.destroy();
    }
  }

  async remove(keys: readonly string[]): Promise<void> {
    try {
      for (const key of keys) await rm(this.#path(key), { force: true });
      // Folders that are empty now; the place itself stays.
      for (const key of keys) await removeEmpty(this.place, path.dirname(this.#path(key)));
    } catch (error) {
      throw explained(error, this.place);
    }
  }

  async sweep(prefix: string, { beforeMs, signal }: { readonly beforeMs: number; readonly signal: AbortSignal }) {
    let count = 0;
    for await (const { relative, scratch } of this.#walk('', prefix, signal)) {
      const file = this.#path(relative);
      const found = scratch ? await stat(file).catch(ignoreMissing) : undefined;
      if (found === undefined || found.mtimeMs >= beforeMs) continue;
      await rm(file, { force: true });
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
  ): AsyncGenerator<{ relative: string; scratch: boolean }> {
    signal.throwIfAborted();
    const entries = await readdir(this.#path(folder), { withFileTypes: true }).catch((error) => {
      ignoreMissing(error);
      return [];
    });
    const name = (entry: (typeof entries)[number]) => (entry.isDirectory() ? `${entry.name}/` : entry.name);
    for (const entry of entries.sort((one, other) => (name(one) < name(other) ? -1 : 1))) {
      const relative = folder + name(entry);
      if (entry.isDirectory()) {
        if (relative.startsWith(prefix) || prefix.startsWith(relative)) yield* this.#walk(relative, prefix, signal);
      } else if (entry.isFile()) {
        const scratch = SCRATCH.test(entry.name);
        if (relative.startsWith(prefix) || (scratch && folder.startsWith(prefix))) yield { relative, scratch };
      }
    }
  }

  #path(key: string): string {
    return path.join(this.place, key);
  }

  /** Written beside its place, made safe on the disk, then named. */
  async #place(key: string, fill: (file: Awaited<ReturnType<typeof open>>) => Promise<void>): Promise<void> {
    const target = this.#path(key);
    const folder = path.dirname(target);
    const scratch = path.join(folder, `.forge-upload-${randomBytes(6).toString('hex')}`);
    try {
      await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE });
      const file = await open(scratch, 'wx', FILE_MODE);
      try {
        await fill(file);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(scratch, target);
      const directory = await open(folder, 'r');
      await directory.sync().finally(() => directory.close());
    } catch (error) {
      await rm(scratch, { force: true }).catch(() => undefined);
      await removeEmpty(this.place, folder);
      throw explained(error, this.place);
    }
  }
}

/** Up to the place itself, which stays. */
async function removeEmpty(place: string, folder: string): Promise<void> {
  let current = folder;
  while (current.startsWith(`${place}${path.sep}`)) {
    if (!(await rmdir(current).then(...([() => true, () => false] as const)))) return;
    current = path.dirname(current);
  }
}

function ignoreMissing(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}

const missing = (place: string) =>
  new ForgeError('verification', `${place} is missing.`, {
    next: 'Take another backup of the list: forge backup list.',
  });

const tooLarge = (place: string, bytes: number, maxBytes: number) =>
  new ForgeError('verification', `${place} has ${bytes} bytes, where ${maxBytes} are the most.`, {
    next: 'Look at who wrote it.',
  });

function explained(error: unknown, place: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ForgeError('partial', `The disk of ${place} is full.`, {
      next: 'Make room (forge backup prune), and run it again.',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new ForgeError('denied', `${place} cannot be written to: ${(error as Error).message}.`, {
      next: 'Check whose it is, and how it is mounted.',
      cause: error,
    });
  }
  return error;
}
