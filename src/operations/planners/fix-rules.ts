/**
 * What is done with a slot that is not in order: one rule for each case, none that guesses, none that drops a key. Pure.
 * The table of docs/cluster-fix.md is this file in words.
 */
import { isFailing } from '../../cluster/cluster-node.js';
import { hasSlot, type SlotSet } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { Abandoned, Mark, SlotFacts } from './fix-facts.js';

/** What is not known, and therefore not done. The guard's name, given to `--force`, leaves these slots as they are. */
export interface Unknown {
  readonly guard: 'open-slots' | 'uncovered-slots' | 'disagreement' | 'nodes-down';
  readonly slot?: number;
  readonly text: string;
  readonly next: string;
}

export interface SlotDecision {
  readonly slot: number;
  /** Becomes the owner; undefined where the owner stays, or `share` finds one. */
  readonly assignTo?: string;
  /** Nobody owns it and nobody holds a key of it: any master will do. */
  readonly share?: boolean;
  /** The move that was begun is finished. */
  readonly finish?: { readonly source: string; readonly target: string };
  /** Nodes whose marks are taken away, after their keys have gone to the owner. */
  readonly close: readonly string[];
  /** Who has the slot in the end; undefined with `share`. */
  readonly owner?: string;
}

export type Decision = { readonly unknown: Unknown } | { readonly decision: SlotDecision };

/**
 * Decides one slot.
 * @param silent slots of masters that do not answer, and are not given up
 */
export function decide(
  snapshot: ClusterSnapshot,
  facts: SlotFacts,
  { silent, abandoned }: { readonly silent: SlotSet; readonly abandoned: Abandoned },
): Decision {
  const { slot, owners, marks, keys } = facts;
  const address = (id: string) => snapshot.addressOf(id);
  const deaf = [...marks.keys()].find((id) => snapshot.report(id)?.myself.role !== 'master');
  if (deaf !== undefined && !hasSlot(silent, slot)) {
    return unknown('open-slots', slot, `slot ${slot} is open at ${address(deaf)}, which is no master that answers`, [
      'Look again in some seconds; when it stays, restart the replica that has the mark.',
    ]);
  }
  if (hasSlot(silent, slot)) {
    const owner = snapshot.topology.ownerOf(slot);
    const where = owner === undefined ? 'a master' : address(owner.id);
    return unknown(
      'nodes-down',
      slot,
      `slot ${slot} cannot be repaired without its owner ${where}, which does not answer`,
      [`Start it, or let a replica take over: forge cluster failover. Its keys are not known to others.`],
    );
  }
  if (owners.length > 1) {
    const both = owners.map((owner) => owner.address).join(' and ');
    return unknown('disagreement', slot, `slot ${slot} is claimed by ${both}`, [
      'Look again in some seconds: the newer epoch wins. When it stays, the masters do not hear each other.',
    ]);
  }
  const absent = absentPeer(snapshot, marks, abandoned);
  if (absent !== undefined) {
    return unknown('open-slots', slot, `slot ${slot} is open towards ${address(absent)}, which does not answer`, [
      `It may hold keys of the slot: start it. If it is gone for good: forge cluster forget ${absent}, then fix again.`,
    ]);
  }
  const [owner] = owners;
  if (owner === undefined) return ownerless(facts);
  const others = (of: string) => [...new Set([...marks.keys(), ...keys.keys()])].filter((id) => id !== of).sort();
  const target = begun(snapshot, owner.id, facts);
  if (target !== undefined) {
    const close = others(target).filter((id) => id !== owner.id);
    return { decision: { slot, finish: { source: owner.id, target }, close, owner: target } };
  }
  const close = [...(marks.has(owner.id) ? [owner.id] : []), ...others(owner.id)];
  return { decision: { slot, close, owner: owner.id } };
}

/** Nobody owns the slot: who holds its keys gets it, of several the one with most; of none, any master will do. */
function ownerless({ slot, marks, keys }: SlotFacts): Decision {
  const [most] = [...keys].sort(([a, left], [b, right]) => right - left || (a < b ? -1 : 1));
  const marked = [...marks.keys()].sort();
  if (most === undefined) return { decision: { slot, share: true, close: marked } };
  const [owner] = most;
  const close = [...new Set([...marked, ...keys.keys()])].sort();
  return { decision: { slot, assignTo: owner, owner, close: close.filter((id) => id !== owner || marks.has(id)) } };
}

/**
 * The one to whom the owner sends the slot: when that one expects it from the owner, or holds keys of it already, which
 * clients find only there. A mark that leads to a master that lost its role leads to the one that has it now.
 */
function begun(snapshot: ClusterSnapshot, owner: string, { marks, keys }: SlotFacts): string | undefined {
  const peer = marks.get(owner)?.find(({ direction }) => direction === 'migrating')?.peerId;
  const target = peer === undefined ? undefined : snapshot.topology.shardOf(peer)?.master.id;
  if (target === undefined || target === owner || snapshot.report(target) === undefined) return undefined;
  const expects = marks.get(target)?.some(({ direction, peerId }) => direction === 'importing' && peerId === owner);
  return expects || keys.has(target) ? target : undefined;
}

/** A member that does not answer, and that may hold keys of the slot, since one that answers sends it there. */
function absentPeer(
  snapshot: ClusterSnapshot,
  marks: ReadonlyMap<string, readonly Mark[]>,
  abandoned: Abandoned,
): string | undefined {
  for (const mark of [...marks.values()].flat()) {
    const peer = snapshot.topology.node(mark.peerId);
    // Unknown: it was forgotten. A replica holds what its master holds, which is counted.
    if (peer === undefined || peer.role === 'replica' || abandoned.has(peer.id)) continue;
    if (isFailing(peer) || snapshot.report(peer.id) === undefined) return peer.id;
  }
  return undefined;
}

function unknown(guard: Unknown['guard'], slot: number, text: string, next: [string]): Decision {
  return { unknown: { guard, slot, text, next: next[0] } };
}
