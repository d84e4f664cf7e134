/** What is to be done with each slot of a move, by the word of both masters. Pure. */
import { type ClusterNode, isFailing } from '../../../cluster/cluster-node.js';
import { eachSlot, hasSlot, type SlotSet } from '../../../cluster/slots.js';
import type { Topology } from '../../../cluster/topology.js';

export interface SlotStates {
  /** The target serves them, nobody holds them open. */
  readonly done: number[];
  /** The target serves them by its own word; the source, or an open mark, is behind. */
  readonly toClose: number[];
  /** The source serves them; it may be that an earlier run opened them. */
  readonly toMove: number[];
  /** An earlier run began to move them the other way: the target serves them still, or has not heard that it was done. */
  readonly turned: number[];
  /** Others serve them, or hold them open: not of this move. */
  readonly foreign: { readonly slot: number; readonly why: string }[];
}

/**
 * @param from the source in its own table
 * @param to the target in its own
 * @param isGone whether the node of this id is no master any more: a mark that names it is one of before a failover
 */
export function slotStates(
  from: ClusterNode,
  to: ClusterNode,
  slots: SlotSet,
  isGone: (id: string) => boolean,
): SlotStates {
  const states: SlotStates = { done: [], toClose: [], toMove: [], turned: [], foreign: [] };
  const open = { from: peersOf(from), to: peersOf(to) };
  for (const slot of eachSlot(slots)) {
    const [sourceServes, targetServes] = [hasSlot(from.slots, slot), hasSlot(to.slots, slot)];
    const leaves = open.from.migrating.get(slot);
    const comes = open.to.importing.get(slot);
    const leavesTarget = open.to.migrating.get(slot);
    const comesToSource = open.from.importing.get(slot);
    const stranger = [
      [leaves, to.id, 'it is on its way to another node'],
      [comesToSource, to.id, 'it is on its way from another node'],
      [comes, from.id, 'it is on its way from another node'],
      [leavesTarget, from.id, 'it is on its way to another node'],
    ].find(([peer, expected]) => peer !== undefined && peer !== expected && !isGone(peer))?.[2];
    if (stranger !== undefined) states.foreign.push({ slot, why: stranger });
    else if (targetServes && (leavesTarget !== undefined || comesToSource !== undefined)) states.turned.push(slot);
    else if (targetServes) {
      const clean = !sourceServes && leaves === undefined && comes === undefined;
      (clean ? states.done : states.toClose).push(slot);
    } else if (sourceServes) (leavesTarget === undefined ? states.toMove : states.turned).push(slot);
    else states.foreign.push({ slot, why: 'neither of both serves it' });
  }
  return states;
}

/** Whether a node is no master any more, as another node sees it. */
export function goneIn(topology: Topology): (id: string) => boolean {
  return (id) => {
    const node = topology.node(id);
    return node === undefined || node.role !== 'master' || isFailing(node);
  };
}

function peersOf({ migrating, importing }: ClusterNode) {
  const mapOf = (open: ClusterNode['migrating']) => new Map(open.map(({ slot, peerId }) => [slot, peerId]));
  return { migrating: mapOf(migrating), importing: mapOf(importing) };
}
