/** Slots move by MIGRATE: opened, emptied and closed in small groups, each of which is finished or taken back. */
import { countSlots } from '../../../cluster/slots.js';
import type { Topology } from '../../../cluster/topology.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef, StepContext } from '../../step.js';
import type { MoveReport, SlotMove, SlotMover } from '../mover.js';
import { BatchSize } from './batches.js';
import { closeSlots, openSlots } from './marks.js';
import { lookAtPair, openPair, type Pair } from './pair.js';
import { slotStates } from './slot-states.js';
import { transferKeys } from './transfer.js';

const BIG_KEY_BYTES = 8 * 1024 * 1024;
const GROUP_SLOTS = 16;

export const migrateMover: SlotMover = { name: 'migrate', move };

async function move(context: StepContext, { source, target, slots }: SlotMove): Promise<MoveReport> {
  const started = performance.now();
  const { from, to } = await lookAtPair(context, { source, target });
  const states = slotStates(mine(from, source), mine(to, target), slots);
  refuseForeign(states.foreign, source, target);
  const others = to.masters
    .filter(({ id }) => id !== source.id && id !== target.id)
    .map(({ id }) => ({ id, address: context.pool.label(id) }));
  const pair = await openPair(context, { source, target, others }, from);
  try {
    const total = { keys: 0, bytes: 0 };
    let slotsDone = states.done.length;
    const slotsTotal = countSlots(slots);
    const size = new BatchSize();
    if (states.turned.length > 0) await turnBack(pair, to, states.turned, size);
    await closeSlots(pair, states.toClose);
    slotsDone += states.toClose.length;
    const toMove = [...states.toMove, ...states.turned];
    for (let at = 0; at < toMove.length; at += GROUP_SLOTS) {
      await context.move.turn(context.signal);
      const group = toMove.slice(at, at + GROUP_SLOTS);
      await openSlots(pair, group);
      await transferKeys(pair, group, {
        size,
        bigKeyBytes: BIG_KEY_BYTES,
        moved: (batch) => {
          total.keys += batch.keys.length;
          total.bytes += batch.bytes;
        },
      });
      await closeSlots(pair, group);
      slotsDone += group.length;
      context.report({ type: 'progress', slotsDone, slotsTotal, ...total });
    }
    return { method: 'migrate', slots: slotsTotal, ...total, elapsedMs: performance.now() - started };
  } finally {
    pair.worker.close();
  }
}

/** Slots on their way the other way are finished there first: so no client ever misses a key that has moved already. */
async function turnBack(pair: Pair, to: Topology, slots: readonly number[], size: BatchSize): Promise<void> {
  const other = await openPair(pair.context, { source: pair.target, target: pair.source, others: pair.others }, to);
  try {
    await openSlots(other, slots);
    await transferKeys(other, slots, { size, bigKeyBytes: BIG_KEY_BYTES, moved: () => undefined });
    await closeSlots(other, slots);
  } finally {
    other.worker.close();
  }
}

function mine(topology: Topology, node: NodeRef) {
  const { myself } = topology;
  if (myself !== undefined && myself.role === 'master') return myself;
  throw new ForgeError('refused', `${node.address} is not a master now: no slots can be moved from or to it.`, {
    host: node.address,
  });
}

function refuseForeign(foreign: readonly { slot: number; why: string }[], source: NodeRef, target: NodeRef): void {
  const [first] = foreign;
  if (first === undefined) return;
  throw new ForgeError(
    'refused',
    `Slot ${first.slot} cannot be moved from ${source.address} to ${target.address}: ${first.why}${foreign.length > 1 ? ` (and ${foreign.length - 1} more such slots)` : ''}.`,
    {
      host: source.address,
      next: 'Look at forge cluster check, and put it right with forge cluster fix.',
      details: { slots: foreign.map(({ slot }) => slot) },
    },
  );
}
