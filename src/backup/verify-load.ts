/** Proves a backup by what it is for: servers load it, and what they hold is compared with what is written down. */
import { createHash } from 'node:crypto';
import { mapBounded } from '../cluster/bounded.js';
import type { BulkConnection } from '../cluster/bulk/bulk-connection.js';
import { keySlot } from '../cluster/key-slot.js';
import type { Command } from '../cluster/node-connection.js';
import { formatSlots, hasSlot, normalizeSlots, SLOT_COUNT, type SlotSet, slotsFrom } from '../cluster/slots.js';
import { ForgeError } from '../errors.js';
import type { ListedBackup } from './catalogue.js';
import type { BackupShard } from './manifest.js';
import { BackupArchive } from './restore/archive.js';
import { scratchPlace, sweepScratch } from './scratch/folder.js';
import { bulkConnection, type FoundKeys, readValues, scanKeys } from './scratch/key-scan.js';
import { type LoadProgress, loadShard } from './scratch/load.js';
import type { ScratchServer } from './scratch/server.js';
import type { BackupStore } from './store/store.js';

/** Servers at once when nothing is said: each holds its shard in memory. */
export const LOAD_PARALLEL_DEFAULT = 2;
const RANGES_SHOWN = 4;
/** Values that are read at once with `deep`. */
const DEEP_BATCH = 32;
const DIGEST_BYTES = 32;
const PERCENT = 100;

export interface VerifyLoadOptions {
  /** What an encrypted backup was made with. */
  readonly secret?: Buffer;
  /** Every value is read as well, and a digest is made of each slot. */
  readonly deep?: boolean;
  /** Shards at once. */
  readonly parallel?: number;
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onProgress?: (shard: string, progress: LoadProgress | { readonly keys: number }) => void;
}

export interface LoadedShard {
  /** Name of its object. */
  readonly object: string;
  /** Keys that a server had in the end. */
  readonly keys: number;
  /** Keys of the file whose time had come before they were counted. */
  readonly expired: number;
  /** What is wrong with it; none is as it should be. */
  readonly problems: readonly string[];
}

export interface LoadVerdict {
  readonly shards: readonly LoadedShard[];
  /** All of all shards, with the object's name in front. */
  readonly problems: readonly string[];
  /**
   * With `deep`: hexadecimal, by slot. The same keys, values and times give the same digest, in whatever shape and
   * encoding servers have them.
   */
  readonly digests?: ReadonlyMap<number, string>;
  /** With `deep`: one over all of them. */
  readonly digest?: string;
}

/**
 * Loads every shard of the backup into a server of this host. A fault of the backup is a problem of the verdict.
 * @throws ForgeError `missing` (no server that can read it), `refused` (no room), what the store throws
 */
export async function verifyLoad(
  store: BackupStore,
  backup: ListedBackup,
  options: VerifyLoadOptions,
): Promise<LoadVerdict> {
  const { secret, deep = false, environment = process.env, parallel = LOAD_PARALLEL_DEFAULT } = options;
  const archive = new BackupArchive(store, backup, secret);
  await sweepScratch(scratchPlace(environment));
  const digests = new Map<number, Buffer>();
  const shards = await mapBounded(archive.manifest.shards, parallel, (shard) =>
    examine(archive, shard, deep ? digests : undefined, options),
  );
  const problems = shards.flatMap((shard) => shard.problems.map((problem) => `${shard.object}: ${problem}`));
  return { shards, problems, ...(deep ? digestsOf(digests) : {}) };
}

function digestsOf(bySlot: ReadonlyMap<number, Buffer>): Required<Pick<LoadVerdict, 'digests' | 'digest'>> {
  const digests = new Map([...bySlot].sort(([a], [b]) => a - b).map(([slot, sum]) => [slot, sum.toString('hex')]));
  const all = createHash('sha256');
  for (const [slot, sum] of digests) all.update(`${slot} ${sum}\n`);
  return { digests, digest: all.digest('hex') };
}

async function examine(
  archive: BackupArchive,
  shard: BackupShard,
  digests: Map<number, Buffer> | undefined,
  options: VerifyLoadOptions,
): Promise<LoadedShard> {
  const { environment, signal, onProgress } = options;
  const { name: object } = shard.object;
  let server: ScratchServer | undefined;
  try {
    server = await loadShard({
      archive,
      shard,
      environment,
      signal,
      onProgress: (progress) => onProgress?.(object, progress),
    });
    const counted = await count(server, digests, signal, (keys) => onProgress?.(object, { keys }));
    const expired = await server.expired();
    return {
      object,
      keys: counted.keys,
      expired,
      problems: compareKeys(shard, counted, expired, archive.manifest.moving),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ForgeError) || error.kind !== 'verification') throw error;
    return { object, keys: 0, expired: 0, problems: [error.message] };
  } finally {
    await server?.stop();
  }
}

export interface CountedKeys {
  readonly keys: number;
  /** By slot. */
  readonly bySlot: Float64Array;
}

async function count(
  server: ScratchServer,
  digests: Map<number, Buffer> | undefined,
  signal: AbortSignal,
  onKeys: (keys: number) => void,
): Promise<CountedKeys> {
  const connection = await bulkConnection(server);
  const bySlot = new Float64Array(SLOT_COUNT);
  let total = 0;
  try {
    for await (const found of scanKeys(connection)) {
      signal.throwIfAborted();
      for (const key of found.keys) {
        const slot = keySlot(key);
        bySlot[slot] = (bySlot[slot] as number) + 1;
      }
      total += found.keys.length;
      if (digests !== undefined) await addDigests(connection, found, digests);
      onKeys(total);
    }
    return { keys: total, bySlot };
  } finally {
    connection.close();
  }
}

/** Reads every value, and adds the digest of each key, which tells nothing of the order of keys, to that of its slot. */
async function addDigests(connection: BulkConnection, found: FoundKeys, digests: Map<number, Buffer>): Promise<void> {
  for (let from = 0; from < found.keys.length; from += DEEP_BATCH) {
    const keys = found.keys.slice(from, from + DEEP_BATCH);
    const values = await readValues(connection, { database: found.database, keys });
    if (values.length === 0) continue;
    const command: Command = ['DEBUG', 'DIGEST-VALUE', ...values.map(({ key }) => key)];
    const [outcome] = await connection.callAll([command]);
    if (outcome?.status !== 'fulfilled') throw outcome?.reason;
    const sums = outcome.value as string[];
    for (const [index, { key, database, expireAtMs }] of values.entries()) {
      const sum = createHash('sha256')
        .update(`${key.length} ${database} ${expireAtMs ?? ''} ${sums[index]} `)
        .update(key)
        .digest();
      const slot = keySlot(key);
      const before = digests.get(slot) ?? Buffer.alloc(DIGEST_BYTES);
      for (let i = 0; i < DIGEST_BYTES; i++) before[i] = (before[i] as number) ^ (sum[i] as number);
      digests.set(slot, before);
    }
  }
}

/**
 * What differs from what is written down. Pure.
 * @param moving slots that were on their way: whoever they went to has some of their keys, too
 */
export function compareKeys(
  shard: BackupShard,
  { keys, bySlot }: CountedKeys,
  expired: number,
  moving: SlotSet = [],
): string[] {
  const problems: string[] = [];
  const served = normalizeSlots([...shard.slots, ...moving]);
  const filled = Array.from({ length: SLOT_COUNT }, (_, slot) => slot).filter((slot) => (bySlot[slot] as number) > 0);
  const foreign = filled.filter((slot) => !hasSlot(served, slot));
  if (foreign.length > 0) {
    problems.push(`it has keys of slots that it did not serve: ${formatSlots(slotsFrom(foreign), RANGES_SHOWN)}`);
  }
  // Without counts of slots, the number was read beside the data, and clients wrote meanwhile.
  if (shard.slotKeys === undefined) return problems;
  const wanted = new Float64Array(SLOT_COUNT);
  for (const [slot, number] of shard.slotKeys) wanted[slot] = number;
  const more = filled.filter((slot) => (bySlot[slot] as number) > (wanted[slot] as number));
  const fewer = shard.slotKeys.filter(([slot, number]) => (bySlot[slot] as number) < number);
  const gone = fewer.reduce((sum, [slot, number]) => sum + number - (bySlot[slot] as number), 0);
  if (more.length > 0) {
    problems.push(`it has more keys than are written down in slots ${formatSlots(slotsFrom(more), RANGES_SHOWN)}`);
  }
  // Whose time has come is not there any more, and that is as it should be.
  if (gone > expired) {
    const slots = formatSlots(slotsFrom(fewer.map(([slot]) => slot)), RANGES_SHOWN);
    problems.push(`${gone - expired} of ${shard.keys} keys are missing (${keys} are there), in slots ${slots}`);
  }
  return problems;
}

/** `37 %` of a load, for a line of progress. */
export const loadingText = (percent: number): string => `${Math.min(PERCENT, Math.floor(percent))} % loaded`;
