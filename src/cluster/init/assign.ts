/** Slots and configuration epochs: what every node is told while it is still alone. */
import { replyErrorOf } from '../node-failure.js';
import { eachSlot, type SlotSet, subtractSlots } from '../slots.js';
import type { Member, Mutate } from './member.js';
import type { TargetNode } from './target.js';

/** Slots per ADDSLOTS command, for servers before 7.0 that have no ADDSLOTSRANGE. */
const ADDSLOTS_MAX = 4_096;

/** Gives the node the planned slots that it does not have, and an epoch of its own. Repeating it changes nothing. */
export async function assign(member: Member, target: TargetNode, mutate: Mutate): Promise<void> {
  const { topology, cluster } = member.view;
  const missing = subtractSlots(target.slots, topology.myself?.slots ?? []);
  if (missing.length > 0) await addSlots(member, missing, mutate);
  const alone = topology.nodes.length <= 1 && topology.handshakes.length === 0;
  if (alone && cluster.myEpoch === 0) await setEpoch(member, target.epoch, mutate);
}

async function addSlots(member: Member, slots: SlotSet, mutate: Mutate): Promise<void> {
  try {
    await mutate(member, 'CLUSTER', 'ADDSLOTSRANGE', ...slots.flatMap(({ start, end }) => [start, end]));
  } catch (error) {
    if (!/unknown (sub)?command/i.test(replyErrorOf(error) ?? '')) throw error;
    const single = [...eachSlot(slots)];
    for (let from = 0; from < single.length; from += ADDSLOTS_MAX) {
      await mutate(member, 'CLUSTER', 'ADDSLOTS', ...single.slice(from, from + ADDSLOTS_MAX));
    }
  }
}

async function setEpoch(member: Member, epoch: number, mutate: Mutate): Promise<void> {
  try {
    await mutate(member, 'CLUSTER', 'SET-CONFIG-EPOCH', epoch);
  } catch (error) {
    // Both mean that the node has met others since it was looked at; nodes with equal epochs settle that themselves.
    if (!/already non-zero|does not know any other node/i.test(replyErrorOf(error) ?? '')) throw error;
  }
}
