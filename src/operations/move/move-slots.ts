/** Moves slots of one pair by the best way that the two nodes have, and by the next when they turn out not to have it. */
import { countSlots, formatSlots, hasSlot, intersectSlots, type SlotSet, slotsFrom } from '../../cluster/slots.js';
import type { NodeReport } from '../../cluster/snapshot/node-report.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import type { StepContext } from '../step.js';
import { CannotMoveAtomically } from './atomic/unavailable.js';
import { followFailover } from './follow-failover.js';
import { closeAlone, unanswered } from './migrate/left-alone.js';
import { PACES } from './migrate/pace.js';
import { chooseMover, type MoveReport, type MoverName, type SlotMove } from './mover.js';
import { moverNamed } from './movers.js';

const RANGES_SHOWN_MAX = 4;

/**
 * @returns one report per way that was taken; none when the slots are where they are to be
 * @throws ForgeError what the mover throws; `refused` when the nodes have no way; `unreachable` when one does not answer
 */
export async function moveSlots(context: StepContext, asked: SlotMove): Promise<MoveReport[]> {
  const snapshot = await context.look();
  const move = followFailover(snapshot, asked);
  for (const role of ['source', 'target'] as const) {
    if (move[role].id === asked[role].id) continue;
    context.report({
      type: 'note',
      text: `${move[role].address} is the master now in place of ${asked[role].address}`,
    });
  }
  // One master has become the replica of the other: all the slots are where they are to be, or cannot get there.
  if (move.source.id === move.target.id) return sameMaster(asked, move);
  const { from, to } = reportsOf(snapshot, move);
  if (to === undefined) throw unanswered(move.target);
  if (from === undefined) {
    if (await closeAlone(context, move)) return [];
    throw unanswered(move.source);
  }
  const { method } = context.move;
  const pair = { source: move.source.address, target: move.target.address };
  const name = chooseMover(from.capabilities, to.capabilities, method, pair);
  if (name !== 'migrate')
    return context.move.into(move.target.id, name === 'valkey-atomic' ? 'quarter' : 'all', () =>
      moveAtomically(context, name, move),
    );
  // A source waits for its target most of the time; but on one machine the more move at once, the longer clients wait.
  const pace = context.move.paceOf(move.source.id, from.opsPerSecond);
  if (pace === 'gentle') await context.giveWay();
  return context.move.into(move.target.id, PACES[pace].part, async () => {
    context.signal.throwIfAborted();
    return [await byMigrate(context, { ...move, pace }, whyNot(from, to, method))];
  });
}

async function moveAtomically(context: StepContext, name: MoverName, move: SlotMove): Promise<MoveReport[]> {
  context.signal.throwIfAborted();
  // Another move may have been waited for.
  const { from, to } = reportsOf(await context.look(), move);
  if (to === undefined) throw unanswered(move.target);
  if (from === undefined) throw unanswered(move.source);
  const { method } = context.move;
  const migrate = from.capabilities.migrate && to.capabilities.migrate;
  const { within, outside } = openSlots(move.slots, from, to);
  const reports: MoveReport[] = [];
  if (outside.length > 0) {
    // The servers refuse to move any slot atomically as long as another of theirs is open.
    const open = `${countSlots(outside)} other slots are open there (${formatSlots(outside, RANGES_SHOWN_MAX)})`;
    if (method === 'auto' && migrate) return [await byMigrate(context, move, open)];
    const { source, target } = move;
    throw new ForgeError('refused', `${source.address} and ${target.address} cannot move slots atomically: ${open}.`, {
      host: source.address,
      next: 'Close them first: forge cluster fix.',
    });
  }
  if (within.length > 0) {
    const why = `${countSlots(within)} slots were left open (${formatSlots(within, RANGES_SHOWN_MAX)})`;
    reports.push(await byMigrate(context, { ...move, slots: within }, why));
  }
  try {
    reports.push(await by(name, context, move));
  } catch (error) {
    if (!(error instanceof CannotMoveAtomically) || method !== 'auto' || !migrate) throw error;
    context.report({ type: 'warning', text: error.message });
    reports.push(await byMigrate(context, move, 'the atomic way is not to be had'));
  }
  return reports;
}

const reportsOf = (snapshot: ClusterSnapshot, { source, target }: SlotMove) => ({
  from: snapshot.report(source.id),
  to: snapshot.report(target.id),
});

/** @throws ForgeError `refused` when the node that was to get the slots is a replica of the one that has them */
function sameMaster(asked: SlotMove, { target }: SlotMove): MoveReport[] {
  if (asked.target.id === target.id) return [];
  throw new ForgeError(
    'refused',
    `${asked.target.address} is a replica of ${target.address} now: it cannot get slots.`,
    {
      host: asked.target.address,
      next: `Make it a master again (CLUSTER RESET SOFT there, then forge scale add), or leave the slots with ${target.address}.`,
    },
  );
}

function by(name: MoverName, context: StepContext, move: SlotMove): Promise<MoveReport> {
  const words = { migrate: 'MIGRATE', 'valkey-atomic': 'CLUSTER MIGRATESLOTS', 'redis-atomic': 'CLUSTER MIGRATION' };
  context.report({ type: 'note', text: `moving by ${words[name]}` });
  return moverNamed(name).move(context, move);
}

function byMigrate(context: StepContext, move: SlotMove, why: string | undefined): Promise<MoveReport> {
  context.report({ type: 'note', text: why === undefined ? 'moving by MIGRATE' : `MIGRATE is taken: ${why}` });
  return moverNamed('migrate').move(context, move);
}

/** Worth telling only where one of the two could. */
function whyNot(from: NodeReport, to: NodeReport, method: string): string | undefined {
  if (method === 'migrate') return 'it was asked for';
  const able = [from, to].filter(({ capabilities }) => capabilities.valkeyAtomic || capabilities.redisAtomic);
  const [first] = able;
  if (first === undefined) return undefined;
  if (able.length === 2) return `${from.address} and ${to.address} have different atomic ways`;
  return `only ${first.address} can move slots atomically`;
}

/** Slots that an earlier run, or another tool, has left open at one of the two: those that are to move, and others. */
function openSlots(slots: SlotSet, ...reports: NodeReport[]): { within: SlotSet; outside: SlotSet } {
  const open = reports.flatMap(({ myself }) => [...myself.migrating, ...myself.importing].map(({ slot }) => slot));
  const all = slotsFrom(open);
  return { within: intersectSlots(all, slots), outside: slotsFrom(open.filter((slot) => !hasSlot(slots, slot))) };
}
