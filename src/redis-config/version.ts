/** Versions of servers as people write them: `7.0`, `8.0.6`, `valkey-9.1`. Pure. */
import { ForgeError } from '../errors.js';

export type ServerProduct = 'redis' | 'valkey';

export interface ServerVersion {
  readonly product: ServerProduct;
  readonly major: number;
  readonly minor: number;
  /** As it is written in forge.yaml and in an image's tag: `8.0`, `valkey-9.1`. */
  readonly text: string;
}

/** templates/redis.conf uses settings that came with these versions. */
const OLDEST: Readonly<Record<ServerProduct, readonly [number, number]>> = { redis: [7, 0], valkey: [7, 2] };

/** What is deployed where nobody says which. */
export const DEFAULT_VERSION: ServerVersion = { product: 'redis', major: 8, minor: 0, text: '8.0' };

const VERSION = /^(?:(redis|valkey)[-: ]?)?v?(\d{1,2})(?:\.(\d{1,3})(?:\.\d{1,3})?)?(?:-[A-Za-z0-9.-]{1,32})?$/;

/**
 * Reads a version. What comes after major and minor (`8.0.6`, `8.0-alpine`) does not count for settings, and stays in `text`.
 * @throws ForgeError `configuration` for a text that is none, or a server that is too old
 */
export function parseServerVersion(text: string): ServerVersion {
  const trimmed = text.trim();
  const match = VERSION.exec(trimmed);
  if (match === null) {
    throw new ForgeError('configuration', `${trimmed.slice(0, 64)}: no version of a server.`, {
      next: 'Write 7.0, 8.0 or valkey-9.1.',
    });
  }
  const product: ServerProduct = match[1] === 'valkey' ? 'valkey' : 'redis';
  const [major, minor] = [Number(match[2]), Number(match[3] ?? 0)];
  const [oldestMajor, oldestMinor] = OLDEST[product];
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    throw new ForgeError(
      'configuration',
      `${trimmed} is too old: ${product} ${oldestMajor}.${oldestMinor} is needed.`,
      {
        next: 'Choose a newer version.',
      },
    );
  }
  return { product, major, minor, text: trimmed.replace(/^redis[-: ]?/, '').replace(/^v(?=\d)/, '') };
}

/** The version that a server tells of itself: the output of `--version`, or INFO; undefined when it tells none. */
export function serverVersionOf(text: string): ServerVersion | undefined {
  const valkey = /\bvalkey_version:(\d+)\.(\d+)/.exec(text) ?? /^Valkey server v=(\d+)\.(\d+)/m.exec(text);
  const redis = /\bredis_version:(\d+)\.(\d+)/.exec(text) ?? /^Redis server v=(\d+)\.(\d+)/m.exec(text);
  const match = valkey ?? redis;
  if (match === null) return undefined;
  const number = `${match[1]}.${match[2]}`;
  return {
    product: valkey === null ? 'redis' : 'valkey',
    major: Number(match[1]),
    minor: Number(match[2]),
    text: valkey === null ? number : `valkey-${number}`,
  };
}

/** Below 0, 0, above 0: `a` is older than, as old as, newer than `b`. Of one product only. */
export function compareVersions(a: Pick<ServerVersion, 'major' | 'minor'>, b: typeof a): number {
  return a.major - b.major || a.minor - b.minor;
}
