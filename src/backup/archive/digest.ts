/** Counts and hashes what goes through. */
import { createHash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';

export class Tally {
  readonly #hash = createHash('sha256');
  #bytes = 0;
  #sha256: string | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  /** Of all that was added; nothing can be added after it was asked for. */
  get sha256(): string {
    this.#sha256 ??= this.#hash.digest('hex');
    return this.#sha256;
  }

  add(piece: Buffer): void {
    this.#hash.update(piece);
    this.#bytes += piece.length;
  }
}

export class Digest extends Transform {
  /** Whole when the stream has ended. */
  readonly tally = new Tally();

  override _transform(piece: Buffer, _: BufferEncoding, done: TransformCallback): void {
    this.tally.add(piece);
    done(null, piece);
  }
}
