/** What a reader of RDB files tells, and how it is told to read. */

/** What servers take for a string when nobody told them otherwise: keys, and values as RESTORE gets them. */
export const STRING_MAX_BYTES = 512 * 1024 * 1024;

/** What the file says of a key. One object for all keys: look at it while it is given. */
export interface KeyAbout {
  database: number;
  /** Its number in the file; `versionOfType` says who knows it. */
  type: number;
  /** Milliseconds since 1970, -1 for a key that stays; exact up to the year 287396. */
  expireAtMs: number;
  /** Seconds since it was used, -1 when not told. */
  idleSeconds: number;
  /** How often it was used, as LFU counts: 0 to 255; -1 when not told. */
  frequency: number;
  /** Modules of Redis 8.6 keep something of it: no older server takes it so. */
  hasMetadata: boolean;
  /** What they keep, as it stands in DUMP before the type; only where values are asked for. */
  metadata: Buffer | undefined;
}

export const newAbout = (): KeyAbout => ({
  database: 0,
  type: 0,
  expireAtMs: -1,
  idleSeconds: -1,
  frequency: -1,
  hasMetadata: false,
  metadata: undefined,
});

/** Who is told. Where nobody listens, bytes are passed over and kept nowhere. */
export interface RdbEvents {
  /** A key: `bytes[start, end)`. Nobody writes to the bytes again, but much else may lie in them. */
  key?(bytes: Buffer, start: number, end: number, about: Readonly<KeyAbout>): void;
  /** The value of the key that was told last: `bytes[start, end)`, as it stands in DUMP behind the type. */
  value?(bytes: Buffer, start: number, end: number): void;
  /** The source of a library of functions. */
  function?(source: Buffer): void;
  /** What the server says of itself and of the file: `redis-ver`, `ctime`, `repl-offset`. */
  auxiliary?(name: string, value: Buffer): void;
  /** A note of Valkey 9 on slots that were on their way to the node: where it stands in the file, `[start, end)`. */
  slotImport?(start: number, end: number): void;
}

export interface RdbReaderOptions {
  /** The longest key; a longer one is unsupported. {@link STRING_MAX_BYTES} when not given; so are functions. */
  readonly keyMaxBytes?: number;
  /** The largest value, where they are asked for. {@link STRING_MAX_BYTES} when not given. */
  readonly valueMaxBytes?: number;
  /** Sums all bytes, and compares with the sum at the end of the file. Takes a second for some 0.7 GB. */
  readonly checksum?: boolean;
}
