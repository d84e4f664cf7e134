/** What a reader of RDB files tells. */

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
  /** What modules of Redis 8.6 keep of it, as it stands in DUMP before the type; only where values are asked for. */
  metadata: Buffer | undefined;
}

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
}
