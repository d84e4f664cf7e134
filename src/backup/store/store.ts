/**
 * Where backups are put: a directory, or a bucket of an S3-compatible store. Keys are as layout.ts makes them; what others
 * put beside them is never touched.
 */
import type { Readable } from 'node:stream';

export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since 1970, by the store's clock. */
  readonly modifiedMs: number;
}

export interface PutOptions {
  readonly signal: AbortSignal;
  /** Told how many bytes of it are in the store, a few times a second at most. */
  readonly onProgress?: (bytes: number) => void;
}

/** All methods throw ForgeErrors that name the place: `unreachable`, `timeout`, `denied`, `configuration`, `partial` (full). */
export interface BackupStore {
  /**
   * Tries all that a backup needs, with one tiny object: it is written, read back and removed. Called before anything else
   * is begun, so that a missing right or a wrong setting costs nothing. Without the right to remove, it stays.
   */
  check(signal: AbortSignal): Promise<void>;
  /** As the operator wrote it, without secrets: `s3://bucket/prefix`, `/var/backups/redis`. */
  readonly place: string;
  /** All objects whose keys begin so, in the order of their keys. Scratch files of uploads are none. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<StoredObject>;
  /** A small object, whole; undefined when there is none. @throws ForgeError `verification` when it is larger */
  read(key: string, options: { readonly maxBytes: number; readonly signal: AbortSignal }): Promise<Buffer | undefined>;
  /** An object as a stream, gone on with where a connection breaks. @throws ForgeError `verification` when there is none */
  open(key: string, signal: AbortSignal): Promise<Readable>;
  /** A small object, whole or not at all; replaces one of that name. */
  write(key: string, content: Buffer, signal: AbortSignal): Promise<void>;
  /**
   * A stream of any length in flat memory. The object appears when all of it is in the store, or not at all: when the
   * source fails, or the signal says so, nothing of it stays, as far as the store still answers.
   */
  put(key: string, source: Readable, options: PutOptions): Promise<void>;
  /** What is not there is no failure. */
  remove(keys: readonly string[], signal: AbortSignal): Promise<void>;
  /** Removes what uploads below this prefix left behind that were begun before; @returns how many */
  sweep(prefix: string, options: { readonly beforeMs: number; readonly signal: AbortSignal }): Promise<number>;
  close(): void;
}
