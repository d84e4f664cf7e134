/** The files of one folder, by name: never through a symbolic link, each change on disk before the next begins. */
import { constants, createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { withLock } from '../runtime/lock.js';
import { partOf } from './families.js';
import type { FileFacts, LogFiles } from './log-files.js';
import { type FileWriter, writersOf } from './writers.js';

const COMPARE_BYTES = 1024 * 1024;
const MODE_BITS = 0o7777;
const NO_LINK = constants.O_NOFOLLOW ?? 0;

const LOCK_NAME = '.forge-rotate-logs.lock';

export class LogFolder implements LogFiles {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  path(name: string): string {
    return path.join(this.directory, name);
  }

  async names(): Promise<string[]> {
    const entries = await readdir(this.directory, { withFileTypes: true });
    const names: string[] = [];
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const facts = await lstat(this.path(entry.name)).catch(() => undefined);
      if (facts?.isFile() && facts.nlink === 1) names.push(entry.name);
    }
    return names.sort();
  }

  async facts(name: string): Promise<FileFacts | undefined> {
    const found = await lstat(this.path(name)).catch(() => undefined);
    if (!found?.isFile()) return undefined;
    const bornMs = found.birthtimeMs > 0 ? found.birthtimeMs : found.ctimeMs;
    return { bytes: found.size, modifiedMs: found.mtimeMs, bornMs };
  }

  async remove(name: string): Promise<void> {
    await unlink(this.path(name));
  }

  async rename(from: string, to: string): Promise<void> {
    if ((await lstat(this.path(to)).catch(() => undefined)) !== undefined) throw new Error(`${to} is there already`);
    await rename(this.path(from), this.path(to));
    await this.#settle();
  }

  async makeLike(name: string, like: string): Promise<void> {
    const model = await lstat(this.path(like));
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | NO_LINK;
    const handle = await open(this.path(name), flags, model.mode & MODE_BITS);
    try {
      await dress(handle, model);
    } finally {
      await handle.close();
    }
  }

  /** What is lost between the last look and the emptying was written within some microseconds. */
  async copyAndEmpty(base: string, to: string): Promise<void> {
    const log = await open(this.path(base), constants.O_RDWR | NO_LINK);
    try {
      const model = await log.stat();
      const copy = await open(this.path(partOf(to)), 'wx', model.mode & MODE_BITS);
      try {
        await dress(copy, model);
        let copied = 0;
        const buffer = Buffer.allocUnsafe(COMPARE_BYTES);
        for (;;) {
          const { bytesRead } = await log.read(buffer, 0, buffer.length, copied);
          if (bytesRead > 0) {
            await writeAll(copy, buffer.subarray(0, bytesRead));
            copied += bytesRead;
            continue;
          }
          await copy.datasync();
          if ((await log.stat()).size === copied) break;
        }
        await log.truncate(0);
        await copy.utimes(model.atime, new Date());
      } finally {
        await copy.close();
      }
    } finally {
      await log.close();
    }
    await this.rename(partOf(to), to);
  }

  async compress(from: string, to: string, signal: AbortSignal): Promise<void> {
    const part = partOf(to);
    const source = await open(this.path(from), constants.O_RDONLY | NO_LINK);
    try {
      const model = await source.stat();
      const target = await open(this.path(part), 'wx', model.mode & MODE_BITS);
      try {
        await dress(target, model);
        const read = readFrom(source);
        const write = createWriteStream('', { fd: target.fd, autoClose: false });
        await pipeline(read, createGzip(), write, { signal });
        await target.utimes(model.atime, model.mtime);
        await target.sync();
      } finally {
        await target.close();
      }
    } catch (error) {
      await unlink(this.path(part)).catch(() => undefined);
      throw error;
    } finally {
      await source.close();
    }
    await this.rename(part, to);
    await this.remove(from);
  }

  async holdsSame(compressed: string, plain: string): Promise<boolean> {
    const [packed, source] = await Promise.all([
      open(this.path(compressed), constants.O_RDONLY | NO_LINK),
      open(this.path(plain), constants.O_RDONLY | NO_LINK),
    ]);
    try {
      let at = 0;
      let same = true;
      await pipeline(readFrom(packed), createGunzip(), async (chunks) => {
        for await (const chunk of chunks as AsyncIterable<Buffer>) {
          same &&= await isAt(source, chunk, at);
          at += chunk.length;
        }
      });
      return same && (await source.stat()).size === at;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code?.startsWith('Z_')) return false;
      throw error;
    } finally {
      await Promise.all([packed.close(), source.close()]);
    }
  }

  async beginsWith(name: string, prefix: string): Promise<boolean> {
    const [whole, start] = await Promise.all([
      open(this.path(name), constants.O_RDONLY | NO_LINK),
      open(this.path(prefix), constants.O_RDONLY | NO_LINK),
    ]);
    try {
      const buffer = Buffer.allocUnsafe(COMPARE_BYTES);
      for (let at = 0; ; ) {
        const { bytesRead } = await start.read(buffer, 0, buffer.length, at);
        if (bytesRead === 0) return true;
        if (!(await isAt(whole, buffer.subarray(0, bytesRead), at))) return false;
        at += bytesRead;
      }
    } finally {
      await Promise.all([whole.close(), start.close()]);
    }
  }

  async writers(name: string): Promise<readonly FileWriter[]> {
    return writersOf(this.path(name)) ?? [];
  }

  async reopen(pid: number): Promise<void> {
    try {
      process.kill(pid, 'SIGUSR1');
    } catch {
      // It has ended, or is another user's: whoever compresses sees that it still writes.
    }
  }

  async locked<Result>(work: () => Promise<Result>): Promise<Result> {
    const paths = { directory: this.directory, lock: this.path(LOCK_NAME) };
    return await withLock(paths, 'forge rotate-logs', work, { what: this.directory });
  }

  /** A name that was given survives a power cut. */
  async #settle(): Promise<void> {
    const folder = await open(this.directory, constants.O_RDONLY).catch(() => undefined);
    if (folder === undefined) return;
    try {
      await folder.sync();
    } catch {
      // Not every file system can.
    } finally {
      await folder.close();
    }
  }
}

/** A stream of a handle's own would hold on to it: its `close` waits for the stream's. */
const readFrom = (handle: FileHandle) => createReadStream('', { fd: handle.fd, autoClose: false, start: 0 });

async function isAt(file: FileHandle, bytes: Buffer, at: number): Promise<boolean> {
  const buffer = Buffer.allocUnsafe(bytes.length);
  let read = 0;
  while (read < bytes.length) {
    const { bytesRead } = await file.read(buffer, read, bytes.length - read, at + read);
    if (bytesRead === 0) return false;
    read += bytesRead;
  }
  return buffer.equals(bytes);
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
}

/** The umask may have taken bits away. Only root may give a file to another user: others keep their own. */
async function dress(
  handle: FileHandle,
  { mode, uid, gid }: { mode: number; uid: number; gid: number },
): Promise<void> {
  const { uid: ownUid, gid: ownGid } = await handle.stat();
  if (uid !== ownUid || gid !== ownGid) await handle.chown(uid, gid).catch(ignoreDenied);
  await handle.chmod(mode & MODE_BITS).catch(ignoreDenied);
}

function ignoreDenied(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPERM') throw error;
}
