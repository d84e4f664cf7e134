/** A file that is open for reading: what it is called on the disk does not matter any more, nor that it is removed. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { TarFile } from './tar.js';

const READ_BYTES = 256 * 1024;
const MODE_BITS = 0o777;
const NO_LINK = constants.O_NOFOLLOW ?? 0;

export class OpenedFile {
  readonly #handle: FileHandle;
  readonly #mode: number;
  readonly #owner: { readonly uid: number; readonly gid: number };
  readonly #modified: Date;

  private constructor(handle: FileHandle, facts: Awaited<ReturnType<FileHandle['stat']>>) {
    this.#handle = handle;
    this.#mode = Number(facts.mode) & MODE_BITS;
    this.#owner = { uid: Number(facts.uid), gid: Number(facts.gid) };
    this.#modified = facts.mtime;
  }

  /** @throws NodeJS.ErrnoException as the system says, and for what is no regular file */
  static async open(file: string): Promise<OpenedFile> {
    const handle = await open(file, constants.O_RDONLY | NO_LINK);
    try {
      const facts = await handle.stat();
      if (!facts.isFile()) throw Object.assign(new Error(`${file} is no regular file`), { code: 'EINVAL' });
      return new OpenedFile(handle, facts);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** As it is now. */
  async bytes(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  /** All of a small file. @throws RangeError when it is larger */
  async text(maxBytes: number): Promise<string> {
    const bytes = await this.bytes();
    if (bytes > maxBytes) throw new RangeError(`more than ${maxBytes} bytes`);
    const pieces: Buffer[] = [];
    for await (const piece of this.content(bytes)) pieces.push(piece);
    return Buffer.concat(pieces).toString('utf8');
  }

  /** So many bytes at a place; fewer where it ends. */
  async at(place: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.alloc(bytes);
    const { bytesRead } = await this.#handle.read(buffer, 0, bytes, place);
    return buffer.subarray(0, bytesRead);
  }

  /** Its first so many bytes; fewer when it has been cut meanwhile. */
  async *content(bytes: number): AsyncGenerator<Buffer> {
    for (let place = 0; place < bytes; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, bytes - place));
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, place);
      if (bytesRead === 0) return;
      place += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** How it goes into an archive. */
  entry(path: string, bytes: number): TarFile {
    return { path, bytes, mode: this.#mode, ...this.#owner, modified: this.#modified };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** All of them, or none. */
export async function openAll(files: readonly string[]): Promise<OpenedFile[]> {
  const opened: OpenedFile[] = [];
  try {
    for (const file of files) opened.push(await OpenedFile.open(file));
    return opened;
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

export async function closeAll(files: readonly OpenedFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()));
}
