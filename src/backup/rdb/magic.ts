/** The first bytes of an RDB file. Pure. */
import { DamagedRdb, UnsupportedRdb } from './errors.js';
import { type RdbFamily, REDIS_VERSION_MAX, VALKEY_VERSION_MAX, VALKEY_VERSION_MIN, VERSION_MIN } from './format.js';

export interface Magic {
  readonly family: RdbFamily;
  /** Of the format. */
  readonly version: number;
}

/**
 * @param text nine characters: `REDIS` and four digits, `VALKEY` and three
 * @throws DamagedRdb for what is no RDB file; UnsupportedRdb for a version that nobody has looked into here: it may give a
 *   known number another meaning
 */
export function readMagic(text: string): Magic {
  const [, redis, valkey] = /^(?:REDIS([0-9]{4})|VALKEY([0-9]{3}))$/.exec(text) ?? [];
  if (redis !== undefined) {
    const version = Number(redis);
    if (version < VERSION_MIN || version > REDIS_VERSION_MAX) throw unknown('Redis', version);
    return { family: 'redis', version };
  }
  if (valkey === undefined) throw new DamagedRdb('it does not begin as an RDB file does', 0);
  const version = Number(valkey);
  if (version < VALKEY_VERSION_MIN || version > VALKEY_VERSION_MAX) throw unknown('Valkey', version);
  return { family: 'valkey', version };
}

const unknown = (server: string, version: number) => new UnsupportedRdb(`${server}'s format of version ${version}`, 0);
