/** Tar archives as streams: regular files only, in flat memory. Written so that any tar reads them; read strictly. */
import { Header } from 'tar';

export const BLOCK_BYTES = 512;
/** Two empty blocks (POSIX pax). */
const END = Buffer.alloc(2 * BLOCK_BYTES);

export interface TarFile {
  /** Relative, with `/` between folders. */
  readonly path: string;
  readonly bytes: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modified: Date;
}

export class TarError extends Error {
  override readonly name = 'TarError';
}

const paddingOf = (bytes: number): number => (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;

/** How long an archive of files of these lengths is. */
export function tarBytes(lengths: readonly number[]): number {
  return lengths.reduce((sum, bytes) => sum + BLOCK_BYTES + bytes + paddingOf(bytes), END.length);
}

/**
 * The archive of the files, in their order.
 * @throws TarError when a file has another length than was told, or a name that does not fit
 */
export async function* writeTar(
  files: readonly { readonly file: TarFile; readonly content: AsyncIterable<Buffer> }[],
): AsyncGenerator<Buffer> {
  for (const { file, content } of files) {
    yield headerOf(file);
    let bytes = 0;
    for await (const piece of content) {
      bytes += piece.length;
      if (bytes > file.bytes) break;
      yield piece;
    }
    if (bytes !== file.bytes) throw new TarError(`${file.path} has ${bytes} bytes, not ${file.bytes}`);
    yield Buffer.alloc(paddingOf(bytes));
  }
  yield END;
}

function headerOf({ path, bytes: size, mode, uid, gid, modified }: TarFile): Buffer {
  // A name of up to a hundred bytes; lengths above 8 GiB are written in binary, as GNU tar does.
  if (Buffer.byteLength(path) > 100) throw new TarError(`${path} is too long a name`);
  const block = Buffer.alloc(BLOCK_BYTES);
  new Header({ path, type: 'File', size, mode, uid, gid, mtime: modified }).encode(block, 0);
  return block;
}

export interface TarEntry {
  readonly path: string;
  readonly bytes: number;
  /** Has to be read to its end before the next entry. */
  readonly content: AsyncIterable<Buffer>;
}

/**
 * The files of an archive. What is no plain regular file (a link, a folder, a device, a header of extensions) ends it.
 * @throws TarError for what is not such an archive, and for one that is cut off
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const input = new Pieces(source);
  for (;;) {
    const block = await input.take(BLOCK_BYTES);
    if (block.every((byte) => byte === 0)) {
      await readEnd(input);
      return;
    }
    const { path, bytes } = parseHeader(block);
    let left = bytes;
    const content = async function* (): AsyncGenerator<Buffer> {
      while (left > 0) {
        const piece = await input.upTo(left);
        left -= piece.length;
        yield piece;
      }
    };
    yield { path, bytes, content: content() };
    if (left > 0) throw new TarError(`${path} was not read to its end`);
    await input.take(paddingOf(bytes));
  }
}

function parseHeader(block: Buffer): { path: string; bytes: number } {
  const header = readHeader(block);
  const { path = '', size } = header;
  if (!header.cksumValid || size === undefined || !Number.isSafeInteger(size) || size < 0) {
    throw new TarError('it is damaged, or no archive');
  }
  if (header.type !== 'File' && header.type !== 'OldFile') throw new TarError('it holds what is no regular file');
  return { path, bytes: size };
}

function readHeader(block: Buffer): Header {
  try {
    return new Header(block, 0);
  } catch (cause) {
    // Numbers in binary that are none.
    throw new TarError('it is damaged, or no archive', { cause });
  }
}

/** After the first empty block only such blocks come; other programs write several. */
async function readEnd(input: Pieces): Promise<void> {
  for await (const piece of input.rest()) {
    if (piece.some((byte) => byte !== 0)) throw new TarError('there is something after its end');
  }
}

/** Pieces of a stream, cut as they are asked for. */
class Pieces {
  readonly #source: AsyncIterator<Buffer>;
  #piece: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** At least one byte, at most so many. */
  async upTo(bytes: number): Promise<Buffer> {
    if (!(await this.#fill())) throw new TarError('it is cut off');
    const taken = this.#piece.subarray(0, bytes);
    this.#piece = this.#piece.subarray(taken.length);
    return taken;
  }

  /** Exactly so many, which are few. */
  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0; ) {
      const part = await this.upTo(left);
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  async *rest(): AsyncGenerator<Buffer> {
    while (await this.#fill()) {
      yield this.#piece;
      this.#piece = Buffer.alloc(0);
    }
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { value, done } = await this.#source.next();
      if (done) return false;
      this.#piece = value;
    }
    return true;
  }
}
