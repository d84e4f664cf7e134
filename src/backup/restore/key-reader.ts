/** What gives the keys of one shard of a backup, one batch after the other: an RDB file, or a server that has loaded it. */

/** A key as RESTORE takes it. */
export interface StoredKey {
  readonly key: Buffer;
  /** 0 but for servers whose clusters have several databases. */
  readonly database: number;
  /** Milliseconds since 1970; undefined for a key that stays. */
  readonly expireAtMs: number | undefined;
  /** The type byte of an RDB file, which says what a server must know to take it. */
  readonly type: number;
  /** As DUMP gives it. Made when it is asked for: a key that is not wanted costs little. */
  payload(): Buffer;
  /** Its length. */
  readonly payloadBytes: number;
  /** Puts it among other things, from `at` on. @returns where it ends */
  writePayload(target: Buffer, at: number): number;
}

export interface KeyReader {
  /**
   * All keys, in batches of some dozen to some thousand. What is read ahead is bounded. Fails with a ForgeError, or with
   * what the stream underneath fails with, and then only after the batches before that.
   */
  batches(): AsyncIterable<readonly StoredKey[]>;
  /** Whether another reader of the same shard gives the same keys in the same order: then a run can go on in the middle. */
  readonly ordered: boolean;
  /** The source of each library of functions; complete when all keys were read. */
  readonly functions: readonly string[];
  /** Ends the reading at once; safe to call twice. */
  close(): Promise<void>;
}
