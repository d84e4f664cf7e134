/**
 * What the bytes of an RDB file mean, as the servers' own sources have it (rdb.h, rdb.c of Redis 7.0 to 8.6 and of Valkey
 * 7.2 to 9.1). Pure.
 */

/** Who wrote it: from type 22 and opcode 243 on, they mean different things. */
export type RdbFamily = 'redis' | 'valkey';

/** `REDIS` and four digits, or `VALKEY` and three. */
export const MAGIC_BYTES = 9;
/** CRC64 of all that is before it; 0 where the server was told not to sum. */
export const TRAILER_BYTES = 8;

/** Redis 5.0: what older ones wrote is read by no server that forge runs. */
export const VERSION_MIN = 9;
/** Redis 8.6. */
export const REDIS_VERSION_MAX = 13;
export const KEY_METADATA_SINCE = 13;
/** Valkey 9 began to count here. */
export const VALKEY_VERSION_MIN = 80;
/** Valkey 9.1. */
export const VALKEY_VERSION_MAX = 80;

export const Opcode = {
  /** Valkey 9: slots that were on their way to this node. */
  slotImport: 243,
  /** Redis 8.6, same number: what modules keep of the next key. */
  keyMetadata: 243,
  slotInfo: 244,
  function: 245,
  moduleData: 247,
  idle: 248,
  frequency: 249,
  auxiliary: 250,
  resize: 251,
  expireMs: 252,
  expireSeconds: 253,
  selectDatabase: 254,
  end: 255,
} as const;

/** The first two bits of a length; a string that is none has 3. */
export const LENGTH_32 = 0x80;
export const LENGTH_64 = 0x81;
export const StringEncoding = { int8: 0, int16: 1, int32: 2, lzf: 3 } as const;

/** What is in a value of a module. */
export const ModuleOpcode = { end: 0, signed: 1, unsigned: 2, float: 3, double: 4, string: 5 } as const;

/** The first RDB version with each type, by type: a server refuses what is marked as newer than itself. */
const SINCE: readonly (number | undefined)[] = [
  ...[1, 1, 1, 1, 1, 8, undefined, 8, undefined], // strings to modules
  ...[2, 3, 3, 3, 4], // packed as zipmaps, ziplists, integers
  ...[7, 9, 10, 10, 10, 10, 11, 11], // quicklists, streams, listpacks
];
const REDIS_SINCE: readonly (number | undefined)[] = [...SINCE, 12, 12, 12, 12, 13];
const VALKEY_SINCE: readonly (number | undefined)[] = [...SINCE, 80];

/**
 * The oldest RDB version whose servers know values of the type; undefined for an unknown type. Streams, for example: 9 for
 * those of Redis 5, 11 for those of Redis 7.2 and Valkey.
 */
export function versionOfType(type: number, family: RdbFamily): number | undefined {
  return (family === 'valkey' ? VALKEY_SINCE : REDIS_SINCE)[type];
}
