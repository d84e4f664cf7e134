/** Takes the keys of open slots from the source to the target. */
import type { Command } from '../../../cluster/node-connection.js';
import { commandFailure } from '../../../cluster/node-failure.js';
import type { NodeRef } from '../../step.js';
import { type Batch, type BatchSize, cutBatches, type SizedKey } from './batches.js';
import { compareKey } from './compare.js';
import { ConflictError, kindOfFailure, showKeys } from './failures.js';
import { countKeys, readKeys } from './keys.js';
import { MIGRATE_TIMEOUT_MAX_MS, MIGRATE_TIMEOUT_MS, type MigrateOptions, type Pair } from './pair.js';

/** A slow network, and a target that builds a large structure: 5 MB/s. */
const BYTES_PER_MS_MIN = 5_000;
/** Reads of the same slots that find no key fewer: then something puts keys in, and no further turn would end it. */
const IDLE_PASSES_MAX = 20;

export interface TransferOptions {
  readonly size: BatchSize;
  readonly bigKeyBytes: number;
  /** The source holds the slots as importing: it does not serve them, the target does. */
  readonly importing?: boolean;
  /** Told of each batch that has arrived. */
  readonly moved: (batch: Batch) => void;
  /** Told of each batch before it is sent. */
  readonly sending: (batch: Batch) => void;
}

/**
 * Returns when the slots hold no key at the source. Keys that both sides have are compared: equal ones are taken over.
 * @throws what MIGRATE answered (`kindOfFailure` tells what it means), or `ConflictError` for a key with two values when
 *   `MoveControl.keep` does not say which one stays
 */
export async function transferKeys(pair: Pair, slots: readonly number[], options: TransferOptions): Promise<void> {
  let left = slots;
  let idle = 0;
  while (left.length > 0) {
    const lists = await readKeys(await pair.worker(), left, { importing: options.importing, pace: pair.pace });
    const batches = cutAll(left, lists, options);
    idle = (await sendAll(pair, batches, options)) ? 0 : idle + 1;
    const counts = await countKeys(await pair.worker(), left);
    left = left.filter((_, index) => (counts[index] ?? 0) > 0);
    if (idle > IDLE_PASSES_MAX) {
      const cause = new Error('the keys do not become fewer');
      throw commandFailure(cause, pair.source.address, 'MIGRATE');
    }
  }
}

function cutAll(slots: readonly number[], lists: readonly SizedKey[][], options: TransferOptions): Batch[] {
  const { keysMax, bytesMax } = options.size;
  return lists.flatMap((keys, index) =>
    cutBatches(keys, { slot: slots[index] as number, keysMax, bytesMax, bigKeyBytes: options.bigKeyBytes }),
  );
}

/** True when a key has moved. After a failure, what is on its way is waited for before it is thrown. */
async function sendAll(pair: Pair, batches: readonly Batch[], options: TransferOptions): Promise<boolean> {
  let next = 0;
  let moved = false;
  let failure: { error: unknown } | undefined;
  const lane = async () => {
    while (next < batches.length && failure === undefined) {
      const batch = batches[next++] as Batch;
      try {
        await keepRate(pair);
        await pair.inFlight.with(() => sendTimed(pair, batch, options));
        pair.context.move.spent(batch.keys.length, batch.bytes);
        options.moved(batch);
        moved = true;
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  // Of one group; the pair bounds those of all its groups together.
  await Promise.all(Array.from({ length: pair.pace.batchesInFlight }, lane));
  if (failure !== undefined) throw failure.error;
  return moved;
}

/** The batch before it, if one is on its way, has its part of the time until the answer. */
async function sendTimed(pair: Pair, batch: Batch, options: TransferOptions): Promise<void> {
  options.sending(batch);
  const sentAt = performance.now();
  await deliver(pair, batch, options);
  const now = performance.now();
  options.size.took(batch, now - Math.max(sentAt, pair.answeredAt));
  pair.answeredAt = now;
}

/** The rate limit, but not for what an interrupted run has to finish; a pause begins when the slots in hand are done. */
async function keepRate({ context }: Pair): Promise<void> {
  if (context.signal.aborted || context.move.paused) return;
  try {
    await context.move.turn(context.signal);
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
}

/** A source that waits for a target that hangs answers nobody: so it waits no longer than the bytes may take. */
function timeoutFor({ bytes }: Batch): number {
  return Math.min(MIGRATE_TIMEOUT_MAX_MS, Math.round(MIGRATE_TIMEOUT_MS + bytes / BYTES_PER_MS_MIN));
}

async function deliver(pair: Pair, batch: Batch, transfer: TransferOptions): Promise<void> {
  const options: MigrateOptions = { timeoutMs: timeoutFor(batch) };
  try {
    await send(pair, batch.keys, options);
  } catch (error) {
    const kind = kindOfFailure(error);
    if (kind === 'mixed' && batch.keys.length > 1) {
      for (const key of batch.keys) await deliver(pair, { ...batch, keys: [key] }, transfer);
    } else if (kind === 'busy') await takeOver(pair, batch, { ...options, importing: transfer.importing });
    else throw error;
  }
}

/** Of the keys that the source still has, those that the target has with the same value, or as leftovers, are replaced there. */
async function takeOver(
  pair: Pair,
  batch: Batch,
  { importing = false, ...options }: MigrateOptions & Pick<TransferOptions, 'importing'>,
): Promise<void> {
  const [worker, target] = await Promise.all([pair.worker(), pair.context.pool.get(pair.target.id)]);
  const free: Buffer[] = [];
  const same: Buffer[] = [];
  const different: Buffer[] = [];
  for (const key of batch.keys) {
    const found = await compareKey(worker, target, key);
    if (found === 'only-source') free.push(key);
    else if (found === 'equal') same.push(key);
    else if (found === 'different') different.push(key);
  }
  if (free.length > 0) await send(pair, free, options);
  if (same.length > 0) await send(pair, same, { ...options, replace: true });
  if (different.length === 0) return;
  const { keep } = pair.context.move;
  const leftover = !importing && (await pair.leftovers.holds(batch.slot));
  if (leftover) reportLeftovers(pair, different);
  else if (keep === undefined) throw new ConflictError(batch.slot, different);
  else reportKept(pair, different, (keep === 'owner') === importing ? pair.target : pair.source);
  if (!leftover && (keep === 'owner') === importing) await dropKeys(pair, different, { importing });
  else await send(pair, different, { ...options, replace: true });
}

function reportKept({ context }: Pair, keys: readonly Buffer[], kept: NodeRef): void {
  context.report({ type: 'warning', text: `of ${showKeys(keys)}, the values of ${kept.address} are kept` });
}

/**
 * Takes keys away from the source.
 * @param importing it does not serve their slots, and has them marked as importing
 */
export async function dropKeys(
  pair: Pair,
  keys: readonly Buffer[],
  { importing }: { readonly importing: boolean },
): Promise<void> {
  const asking: readonly Command[] = importing ? [['ASKING']] : [];
  const commands = keys.flatMap((key): Command[] => [...asking, ['UNLINK', key]]);
  const connection = await pair.worker();
  for (const outcome of await pair.context.mutateAll(pair.source.id, commands, { connection, finishing: true })) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

function reportLeftovers({ context, source, target }: Pair, keys: readonly Buffer[]): void {
  const text = `${showKeys(keys)} had come to ${target.address} unheard of: the values of ${source.address} are newer`;
  context.report({ type: 'note', text });
}

async function send(pair: Pair, keys: readonly Buffer[], options: MigrateOptions): Promise<void> {
  const [command, connection] = await Promise.all([pair.migrate(keys, options), pair.worker(options.timeoutMs)]);
  const [outcome] = await pair.context.mutateAll(pair.source.id, [command], { connection, finishing: true });
  if (outcome?.status === 'rejected') throw outcome.reason;
}
