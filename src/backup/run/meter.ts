/** What goes by on its way to the store: how much, when it ended, and the keys of a snapshot by slot. */
import type { TransformCallback } from 'node:stream';
import type { ForgeError } from '../../errors.js';
import type { SourceKind } from '../layout.js';
import { RdbCounter } from '../rdb/count.js';

/** A few times a second is enough for progress. */
const PROGRESS_MS = 250;

export class Meter extends RdbCounter {
  readonly #kind: SourceKind;
  readonly #tell: (bytes: number, keys: number) => void;
  #bytes = 0;
  #toldAt = 0;
  #endedAtMs = 0;

  /** @param kind an archive of files is let through uncounted */
  constructor(kind: SourceKind, tell: (bytes: number, keys: number) => void) {
    super();
    this.#kind = kind;
    this.#tell = tell;
  }

  /** When all of it had come, milliseconds since 1970. */
  get endedAtMs(): number {
    return this.#endedAtMs;
  }

  override get failure(): ForgeError | undefined {
    return this.#kind === 'files' ? undefined : super.failure;
  }

  override _transform(piece: Buffer, encoding: BufferEncoding, done: TransformCallback): void {
    this.#bytes += piece.length;
    const now = performance.now();
    if (now - this.#toldAt >= PROGRESS_MS) {
      this.#toldAt = now;
      this.#tell(this.#bytes, this.keys);
    }
    if (this.#kind === 'files') done(null, piece);
    else super._transform(piece, encoding, done);
  }

  override _flush(done: TransformCallback): void {
    this.#endedAtMs = Date.now();
    if (this.#kind === 'files') done();
    else super._flush(done);
  }
}
