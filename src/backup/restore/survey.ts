/**
 * The look at a backup before the first key is written: every byte is proved, and what is in it is counted. So damage, a
 * wrong key of encryption, and values that the target does not know are found while nothing has been changed.
 */
import { finished } from 'node:stream/promises';
import { mapBounded } from '../../cluster/bounded.js';
import { keySlot } from '../../cluster/key-slot.js';
import { SLOT_COUNT } from '../../cluster/slots.js';
import type { BackupShard } from '../manifest.js';
import { UnsupportedRdb } from '../rdb/errors.js';
import { versionOfType } from '../rdb/format.js';
import { RdbReader } from '../rdb/reader.js';
import type { BackupArchive } from './archive.js';
import { isRdb } from './open-reader.js';
import { type RestoreParts, shardsOf } from './parts.js';
import type { Selection } from './selection.js';

export interface Survey {
  /** Keys that are wanted, of shards that could be counted; those whose time has come are not among them. */
  readonly keys: number;
  readonly expired: number;
  /** Of slots that were on their way, in shards that did not serve them: they may be there from elsewhere. */
  readonly stray: number;
  /** Of slots that their shard did not serve, and that were not on their way: they are not restored. */
  readonly leftOut: number;
  /** Of `keys`, by slot. */
  readonly bySlot: Uint32Array;
  /** Keys by the oldest RDB version of which servers know their type. */
  readonly versions: ReadonlyMap<number, number>;
  /** Databases that they are in. */
  readonly databases: readonly number[];
  /** Objects of which only a server can tell what they hold, with the reason. */
  readonly uncounted: ReadonlyMap<string, string>;
}

export interface SurveyOptions {
  readonly archive: BackupArchive;
  readonly parts: RestoreParts;
  readonly selection: Selection;
  readonly parallel: number;
  readonly signal: AbortSignal;
  /** Bytes of all shards that were read, of the sum of their `plainBytes`. */
  readonly onBytes?: (bytes: number) => void;
}

class Counter {
  keys = 0;
  expired = 0;
  stray = 0;
  leftOut = 0;
  readonly bySlot = new Uint32Array(SLOT_COUNT);
  readonly versions = new Map<number, number>();
  readonly databases = new Set<number>();
  readonly uncounted = new Map<string, string>();
}

/** @throws ForgeError `verification` for any byte that is not as it was */
export async function surveyShards(options: SurveyOptions): Promise<Survey> {
  const { parts, parallel, onBytes } = options;
  const total = new Counter();
  const bytes = new Map<string, number>();
  await mapBounded(shardsOf(parts), parallel, (shard) =>
    surveyShard(shard, total, options, (now) => {
      bytes.set(shard.object.name, now);
      onBytes?.([...bytes.values()].reduce((sum, each) => sum + each, 0));
    }),
  );
  return { ...total, databases: [...total.databases].sort((a, b) => a - b) };
}

async function surveyShard(
  shard: BackupShard,
  total: Counter,
  { archive, parts, selection, signal }: SurveyOptions,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { object } = shard;
  if (!isRdb(shard)) {
    total.uncounted.set(object.name, 'it holds the files of a server');
    await archive.prove(object, signal, onBytes);
    return;
  }
  const wantedOf = (some: RestoreParts['served']) => some.find((part) => part.shard === shard)?.wanted;
  const [served, stray] = [wantedOf(parts.served), wantedOf(parts.stray)];
  const now = Date.now();
  const reader = new RdbReader({
    key: (piece, start, end, about) => {
      const key = piece.subarray(start, end);
      const slot = keySlot(key);
      if (!selection.wants(key, slot)) return;
      const isServed = served?.[slot] === 1;
      if (!isServed && stray?.[slot] !== 1) {
        if (served !== undefined) total.leftOut++;
        return;
      }
      if (about.expireAtMs >= 0 && about.expireAtMs <= now) {
        total.expired++;
        return;
      }
      if (isServed) {
        total.keys++;
        total.bySlot[slot] = (total.bySlot[slot] as number) + 1;
      } else total.stray++;
      total.databases.add(about.database);
      const known = about.hasMetadata ? undefined : versionOfType(about.type, reader.family);
      const version = known ?? reader.version;
      total.versions.set(version, (total.versions.get(version) ?? 0) + 1);
    },
  });
  const stream = await archive.open(object, signal);
  let bytes = 0;
  let counting = true;
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length;
    onBytes(bytes);
    if (!counting) return;
    try {
      reader.push(piece);
    } catch (error) {
      counting = false;
      // The rest is still proved; a server may know what this program does not.
      if (error instanceof UnsupportedRdb) total.uncounted.set(object.name, error.message);
      else stream.destroy(error as Error);
    }
  });
  await finished(stream, { signal });
  if (counting) reader.finish();
}
