/** What becomes of slots that cannot be finished: closed where they are, or taken back, so that none stays open. */
import { pause } from '../../../cluster/bounded.js';
import { isFailing } from '../../../cluster/cluster-node.js';
import type { NodeConnection } from '../../../cluster/node-connection.js';
import { ForgeError } from '../../../errors.js';
import { viewOf } from '../../steps/views.js';
import { ConflictError, kindOfFailure, type Settlement } from './failures.js';
import { countKeys } from './keys.js';
import { clearMarks, closeSlots, markLeaving } from './marks.js';
import type { Pair } from './pair.js';
import { carryHome } from './send-home.js';
import { goneIn, slotStates } from './slot-states.js';

/** A node that hears nothing from another for half its `cluster-node-timeout` makes the link anew. */
const REACHED_WAIT_MS = 2_000;
const REACHED_LOOK_MS = 100;

export interface SettleOptions {
  /** Slots of which keys may be at the target, by what was sent. */
  readonly touched: ReadonlySet<number>;
}

/** Never throws what a node answered: what it cannot settle it reports as open. */
export async function settleSlots(
  pair: Pair,
  slots: readonly number[],
  { touched }: SettleOptions,
): Promise<Settlement> {
  const result: Settlement = { moved: [], back: [], open: [], stuck: [], kept: [] };
  const views = await Promise.allSettled([viewOf(pair.context, pair.source.id), viewOf(pair.context, pair.target.id)]);
  const [fromView, toView] = views.map((view) => (view.status === 'fulfilled' ? view.value.topology : undefined));
  const [from, to] = [fromView?.myself, toView?.myself];
  if (from === undefined) {
    result.open.push(...slots);
    return result;
  }
  if (to === undefined || toView === undefined) {
    // Clients of a slot whose keys are on a dead node get errors; marked as stable, they would get wrong answers.
    const untouched = slots.filter((slot) => !touched.has(slot));
    result.open.push(...slots.filter((slot) => touched.has(slot)));
    await attempt(result, untouched, 'back', () => clearMarks(pair, untouched, { sourceOnly: true }));
    return result;
  }
  const ranges = slots.map((slot) => ({ start: slot, end: slot }));
  const states = slotStates(from, to, ranges, goneIn(toView));
  result.moved.push(...states.done);
  await attempt(result, states.toClose, 'moved', () => closeSlots(pair, states.toClose));
  const rest = [...states.toMove, ...states.turned];
  if (rest.length > 0) await takeBack(pair, rest, { result, reached: await isReached(pair) });
  return result;
}

/** The target's own word: only it could send the keys home. A link that was lost is made again, in a moment or not at all. */
async function isReached({ context, source, target }: Pair): Promise<boolean> {
  const end = performance.now() + REACHED_WAIT_MS;
  for (;;) {
    const seen = await viewOf(context, target.id).then(
      ({ topology }) => topology.node(source.id),
      () => undefined,
    );
    if (seen?.linked === true && !isFailing(seen)) return true;
    if (performance.now() > end) return false;
    await pause(REACHED_LOOK_MS);
  }
}

async function takeBack(
  pair: Pair,
  slots: readonly number[],
  { result, reached }: { result: Settlement; reached: boolean },
): Promise<void> {
  let counts: { here: number[]; there: number[] };
  try {
    const [worker, target] = await Promise.all([pair.worker(), pair.context.pool.get(pair.target.id)]);
    counts = { here: await countKeys(worker, slots), there: await countKeys(target, slots) };
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    result.open.push(...slots);
    return;
  }
  const arrived = slots.filter((_, index) => counts.here[index] === 0 && (counts.there[index] ?? 0) > 0);
  // Keys that cannot come home now would be missing at the source for as long as it is tried.
  const away = slots.filter((_, index) => !reached && counts.here[index] !== 0 && (counts.there[index] ?? 0) > 0);
  result.open.push(...away);
  const rest = slots.filter((slot) => !arrived.includes(slot) && !away.includes(slot));
  await attempt(result, arrived, 'moved', () => closeSlots(pair, arrived));
  for (const slot of rest) await attempt(result, [slot], 'back', () => bringBack(pair, slot, result.kept));
}

/**
 * The source serves the slot alone again before its keys come back, because a master refuses keys of a slot that it gives
 * away. For the milliseconds in between, clients do not find the keys that are still at the target: so this is done for
 * one slot after the other, and only where it cannot be finished.
 */
async function bringBack(pair: Pair, slot: number, kept: Buffer[]): Promise<void> {
  await pair.leftovers.end(slot);
  await clearMarks(pair, [slot], { sourceOnly: true });
  const target: NodeConnection = await pair.context.pool.get(pair.target.id);
  const [there = 0] = await countKeys(target, [slot]);
  if (there > 0) {
    try {
      await carryHome(pair.reversed(), [slot]);
    } catch (error) {
      if (!(error instanceof ConflictError)) {
        // With keys at both, clients are sent on; without the mark they would be told that there is no such key.
        await markLeaving(pair, [slot]).catch(() => undefined);
        throw error;
      }
      kept.push(...error.keys);
    }
  }
  await clearMarks(pair, [slot]);
}

async function attempt(
  result: Settlement,
  slots: readonly number[],
  outcome: 'moved' | 'back',
  work: () => Promise<void>,
): Promise<void> {
  if (slots.length === 0) return;
  try {
    await work();
    result[outcome].push(...slots);
  } catch (error) {
    // The lock, or a fault of the program: not for here.
    if (!(error instanceof ForgeError) || error.kind === 'locked') throw error;
    result[kindOfFailure(error) === 'full' ? 'stuck' : 'open'].push(...slots);
  }
}
