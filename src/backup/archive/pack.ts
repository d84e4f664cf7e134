/** The way of an object to the store and back: summed, compressed, encrypted, summed again; always as a stream. */
import { pipeline, type Readable, Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { ForgeError } from '../../errors.js';
import type { Compression } from '../layout.js';
import type { BackupObject } from '../manifest.js';
import { Digest, Tally } from './digest.js';
import { decryption, encryption } from './encryption.js';

/** Fast: an RDB is compressed in part already. */
const GZIP_LEVEL = 1;

/** zlib of Node 22.15 and newer has it. */
interface Zstd {
  readonly createZstdCompress?: () => Transform;
  readonly createZstdDecompress?: () => Transform;
}
const zstd = zlib as unknown as Zstd;

/** Those that this Node has, the best first. */
export const compressions = (): Compression[] =>
  zstd.createZstdCompress === undefined ? ['gzip', 'none'] : ['zstd', 'gzip', 'none'];

export interface Packing {
  readonly name: string;
  readonly compression: Compression;
  /** Encrypted with this key, when there is one. */
  readonly key?: Buffer;
}

export interface Packed {
  /** What goes into the store; fails when the source does. */
  readonly stream: Readable;
  /** What the manifest says of it, once the stream has ended. */
  readonly object: () => BackupObject;
}

/** @throws ForgeError `missing` for a compression that this Node does not have */
export function pack(source: Readable, { name, compression, key }: Packing): Packed {
  const plain = new Digest();
  const stored = new Digest();
  const steps = [plain, ...compressing(compression), ...(key === undefined ? [] : [encryption(key)]), stored];
  // The failure of any of them is that of the last, which is read.
  pipeline([source, ...steps], () => undefined);
  const object = () => ({
    name,
    bytes: stored.tally.bytes,
    sha256: stored.tally.sha256,
    plainBytes: plain.tally.bytes,
    plainSha256: plain.tally.sha256,
  });
  return { stream: stored, object };
}

/**
 * What the object holds. The stream fails with a ForgeError `verification`, before its end, when a byte of it is not as
 * the manifest says.
 * @param place for messages: where it is
 */
export function unpack(
  source: Readable,
  object: BackupObject,
  { compression, key, place }: { readonly compression: Compression; readonly key?: Buffer; readonly place: string },
): Readable {
  const stored = new Proof(place, { bytes: object.bytes, sha256: object.sha256 });
  const plain = new Proof(place, { bytes: object.plainBytes, sha256: object.plainSha256 });
  const steps = [
    stored,
    ...(key === undefined ? [] : [decryption(key, place)]),
    ...decompressing(compression, place),
    plain,
  ];
  pipeline([source, ...steps], () => undefined);
  return plain;
}

function compressing(compression: Compression): Transform[] {
  if (compression === 'none') return [];
  if (compression === 'gzip') return [zlib.createGzip({ level: GZIP_LEVEL })];
  if (zstd.createZstdCompress === undefined) throw noZstd();
  return [zstd.createZstdCompress()];
}

function decompressing(compression: Compression, place: string): Transform[] {
  if (compression === 'none') return [];
  if (compression === 'zstd' && zstd.createZstdDecompress === undefined) throw noZstd();
  const stream = compression === 'gzip' ? zlib.createGunzip() : (zstd.createZstdDecompress as () => Transform)();
  const destroy = stream.destroy.bind(stream);
  // zlib's own words are no help; and a stream that was sound until here was cut off or changed.
  stream.destroy = (error) =>
    destroy(error && !(error instanceof ForgeError) ? damaged(place, error.message, error) : error);
  return [stream];
}

const noZstd = () =>
  new ForgeError('missing', `Node.js ${process.versions.node} has no zstd.`, {
    next: 'Use Node.js 22.15 or newer, or --compression gzip.',
  });

const damaged = (place: string, why: string, cause?: unknown) =>
  new ForgeError('verification', `${place} is damaged: ${why}.`, {
    next: 'Take another backup of the list: forge backup list.',
    cause,
  });

/** Lets everything through, and fails at the end, or as soon as there is too much, when it is not what it should be. */
class Proof extends Transform {
  readonly #tally = new Tally();
  readonly #place: string;
  readonly #wanted: { readonly bytes: number; readonly sha256: string };

  constructor(place: string, wanted: { readonly bytes: number; readonly sha256: string }) {
    super();
    this.#place = place;
    this.#wanted = wanted;
  }

  override _transform(piece: Buffer, _: BufferEncoding, done: (error?: Error | null, data?: Buffer) => void): void {
    this.#tally.add(piece);
    if (this.#tally.bytes > this.#wanted.bytes) done(damaged(this.#place, 'it is longer than it was'));
    else done(null, piece);
  }

  override _flush(done: (error?: Error | null) => void): void {
    const { bytes, sha256 } = this.#tally;
    if (bytes < this.#wanted.bytes) {
      done(damaged(this.#place, `it ends after ${bytes} of ${this.#wanted.bytes} bytes`));
    } else done(sha256 === this.#wanted.sha256 ? null : damaged(this.#place, 'its sum is another one'));
  }
}
