/** Names of backups and of what they hold. Pure. */
import { randomBytes } from 'node:crypto';

export const MANIFEST = 'manifest.json';
/** Users, functions and settings. */
export const SETTINGS = 'settings.json';
/** Its presence says that the backup is to stay. */
export const KEEP_MARK = 'keep';
/** Renewed by whoever is at work on the backup. */
export const RUNNING_MARK = 'running.json';
/** What the last look at all its bytes has found. */
export const VERIFIED_MARK = 'verified.json';
/** Names that no object of a shard may have. */
export const RESERVED_NAMES: readonly string[] = [MANIFEST, KEEP_MARK, RUNNING_MARK, VERIFIED_MARK];

const ID = /^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z-[0-9a-f]{6}$/;
const CLUSTER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** An id that sorts by time and is unlike any other: `20261122T054900Z-3fa2c1`. */
export function newBackupId(atMs: number): string {
  const time = new Date(atMs).toISOString().replace(/[-:]|\.\d+/g, '');
  return `${time}-${randomBytes(3).toString('hex')}`;
}

export const isBackupId = (text: string): boolean => ID.test(text);

/** Names of clusters become folders: nothing that would lead out of one. */
export const isClusterName = (text: string): boolean => CLUSTER.test(text);

/** When it was begun, milliseconds since 1970; undefined for what is no id. */
export function timeOfBackup(id: string): number | undefined {
  const match = ID.exec(id);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const at = Date.UTC(year, month - 1, day, hour, minute, second);
  // The 31st of February is none.
  return new Date(at).toISOString().startsWith(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:`) ? at : undefined;
}

/** Where a file of a backup is, below the place where backups go: `orders/20261122T054900Z-3fa2c1/manifest.json`. */
export const keyOf = (cluster: string, id: string, name: string): string => `${cluster}/${id}/${name}`;

export interface BackupKey {
  readonly cluster: string;
  readonly id: string;
  readonly name: string;
}

/** What a key stands for; undefined for what was not put there by a backup: that is never touched. */
export function parseKey(key: string): BackupKey | undefined {
  const [cluster = '', id = '', name = '', ...rest] = key.split('/');
  if (rest.length > 0 || name === '' || !isClusterName(cluster) || timeOfBackup(id) === undefined) return undefined;
  return { cluster, id, name };
}

export type SourceKind = 'network' | 'files';
export type Compression = 'gzip' | 'zstd' | 'none';

const SUFFIXES: Record<Compression, string> = { gzip: '.gz', zstd: '.zst', none: '' };

/** The object of a shard: an RDB from the network, or an archive of files. @param number from 1 on, by lowest slot */
export function shardName(
  number: number,
  { source, compression, encrypted }: { source: SourceKind; compression: Compression; encrypted: boolean },
): string {
  const kind = source === 'network' ? 'rdb' : 'tar';
  return `shard-${String(number).padStart(4, '0')}.${kind}${SUFFIXES[compression]}${encrypted ? '.enc' : ''}`;
}
