/** Gives the keys in an RDB file to a restore, as RESTORE takes them: no server has to load the file first. */
import type { Readable } from 'node:stream';
import type { KeyReader, StoredKey } from '../restore/key-reader.js';
import { type DumpParts, dumpPayload, dumpPayloadBytes, writeDumpPayload } from './dump-payload.js';
import type { KeyAbout, RdbReaderOptions } from './events.js';
import { type RdbFamily, versionOfType } from './format.js';
import { RdbReader } from './reader.js';

/**
 * The file is read in pieces of so many bytes at most, and each makes one batch at most: some thousand keys, as a key and
 * its value take some bytes. A large value comes with whatever else ends in its last piece.
 */
export const BATCH_MAX_BYTES = 64 * 1024;

const NOTHING = Buffer.alloc(0);

export interface RdbKeyReaderOptions extends Pick<RdbReaderOptions, 'valueMaxBytes' | 'checksum'> {
  /**
   * Marks each payload with the oldest version of the format that has its type: then an older server, or one of the other
   * family, takes it when it knows the type. Otherwise, and where modules keep something of the key, with that of the file,
   * as DUMP of the server that wrote it does.
   */
  readonly portable?: boolean;
}

/** A key in an RDB file. Holds the piece of the file that it came in. */
export class RdbKey implements StoredKey, DumpParts {
  readonly database: number;
  readonly type: number;
  readonly expireAtMs: number | undefined;
  /** Seconds since it was used when the file was written, where the server noted that. */
  readonly idleSeconds: number | undefined;
  /** As LFU counts, 0 to 255, where the server noted that. */
  readonly frequency: number | undefined;
  readonly metadata: Buffer | undefined;
  readonly #name: Buffer;
  readonly #nameStart: number;
  readonly #nameEnd: number;
  /** Of the format: that of the payload. */
  version = 0;
  /** Its value: `bytes[start, end)`. */
  bytes: Buffer = NOTHING;
  start = 0;
  end = 0;

  constructor(name: Buffer, start: number, end: number, about: Readonly<KeyAbout>) {
    this.#name = name;
    this.#nameStart = start;
    this.#nameEnd = end;
    this.database = about.database;
    this.type = about.type;
    this.metadata = about.metadata;
    this.expireAtMs = about.expireAtMs < 0 ? undefined : about.expireAtMs;
    this.idleSeconds = about.idleSeconds < 0 ? undefined : about.idleSeconds;
    this.frequency = about.frequency < 0 ? undefined : about.frequency;
  }

  get key(): Buffer {
    return this.#name.subarray(this.#nameStart, this.#nameEnd);
  }

  /** How long {@link payload} is. */
  get payloadBytes(): number {
    return dumpPayloadBytes(this);
  }

  payload(): Buffer {
    return dumpPayload(this);
  }

  /** Puts the payload into a buffer with other things, from `at` on. @returns where it ends */
  writePayload(target: Buffer, at: number): number {
    return writeDumpPayload(target, at, this);
  }
}

/** Holds a batch, and a value that has come in part. */
export class RdbKeyReader implements KeyReader {
  readonly ordered = true;
  readonly #source: Readable;
  readonly #functions: string[] = [];
  readonly #reader: RdbReader;
  readonly #portable: boolean;
  #batch: RdbKey[] = [];
  #last: RdbKey | undefined;

  /** @param source the file; read when batches are asked for, as far as they are, and closed at the end */
  constructor(source: Readable, { portable = false, valueMaxBytes, checksum }: RdbKeyReaderOptions = {}) {
    this.#source = source;
    this.#portable = portable;
    this.#reader = new RdbReader(
      {
        key: (bytes, start, end, about) => {
          this.#last = new RdbKey(bytes, start, end, about);
        },
        value: (bytes, start, end) => this.#take(bytes, start, end),
        function: (code) => this.#functions.push(code.toString()),
      },
      { valueMaxBytes, checksum },
    );
  }

  get functions(): readonly string[] {
    return this.#functions;
  }

  /** Who wrote the file; known with the first batch. */
  get family(): RdbFamily {
    return this.#reader.family;
  }

  /** Of the format; 0 until its first bytes were read. */
  get version(): number {
    return this.#reader.version;
  }

  /**
   * The keys as they stand in the file; once.
   * @throws UnsupportedRdb for a file of which a server must be asked, DamagedRdb for one that no server would load; after
   *   all keys before that place
   */
  async *batches(): AsyncGenerator<readonly RdbKey[]> {
    for await (const piece of this.#source as AsyncIterable<Buffer>) {
      for (let at = 0; at < piece.length; at += BATCH_MAX_BYTES) {
        let failure: unknown;
        try {
          this.#reader.push(piece.subarray(at, at + BATCH_MAX_BYTES));
        } catch (error) {
          failure = error;
        }
        const batch = this.#batch;
        this.#batch = [];
        if (batch.length > 0) yield batch;
        if (failure !== undefined) throw failure;
      }
    }
    this.#reader.finish();
  }

  async close(): Promise<void> {
    this.#source.destroy();
  }

  #take(bytes: Buffer, start: number, end: number): void {
    const key = this.#last as RdbKey;
    key.bytes = bytes;
    key.start = start;
    key.end = end;
    const { family, version } = this.#reader;
    const isPortable = this.#portable && key.metadata === undefined;
    key.version = isPortable ? (versionOfType(key.type, family) ?? version) : version;
    this.#batch.push(key);
  }
}
