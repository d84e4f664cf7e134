/** The shape that a backup's cluster had, for nodes that are to be made into it again. Pure. */
import { normalizeSlots, type SlotSet } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import type { BackupManifest } from '../manifest.js';

export interface RecordedShape {
  /** Slots of each master, by the lowest. */
  readonly assignment: readonly SlotSet[];
  /** Of the master that had the fewest. */
  readonly replicasPerMaster: number;
}

export function recordedShape({ nodes }: BackupManifest): RecordedShape {
  const masters = nodes
    .filter(({ role, slots }) => role === 'master' && slots.length > 0)
    .sort((one, other) => (one.slots[0]?.start ?? 0) - (other.slots[0]?.start ?? 0));
  const replicas = masters.map(({ id }) => nodes.filter(({ masterId }) => masterId === id).length);
  return {
    assignment: masters.map(({ slots }) => normalizeSlots(slots)),
    replicasPerMaster: Math.min(...replicas, Number.MAX_SAFE_INTEGER),
  };
}

/**
 * Replicas of each master for so many nodes.
 * @throws ForgeError `usage` for fewer nodes than masters, which says what can be done
 */
export function replicasFor(shape: RecordedShape, nodes: number): number {
  const masters = shape.assignment.length;
  if (nodes < masters) {
    throw new ForgeError('usage', `The cluster had ${masters} masters, and ${nodes} nodes are given.`, {
      next: [
        `Give ${masters * (1 + shape.replicasPerMaster)} nodes for the shape that it had,`,
        'or form a smaller cluster with forge init-cluster, and restore into that with --seed.',
      ],
    });
  }
  return Math.floor(nodes / masters) - 1;
}
