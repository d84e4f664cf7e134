/** What a plan was made for. Equal fingerprints: the plan still fits. Pure. */
import type { ClusterSnapshot } from '../cluster/snapshot/snapshot.js';
import { digestOf } from './canonical.js';

/** Rises when the meaning changes, so that a plan of another version of forge is refused and not misread. */
const VERSION = 1;

/**
 * Members, roles, masters, slots, open slots, and the nodes that are to join. Not in it: links, epochs, keys, memory and
 * lag, which change all the time and which the guards look at again before anything is done.
 */
export function fingerprintOf(snapshot: ClusterSnapshot): string {
  return digestOf({
    version: VERSION,
    views: snapshot.views.map(({ signature }) => signature).sort(),
    topology: snapshot.topology.signature,
    open: snapshot.openSlots
      .map(({ slot, nodeId, direction, peerId }) => `${slot} ${nodeId} ${direction} ${peerId}`)
      .sort(),
    strangers: snapshot.strangers.map(({ id, view }) => `${id} ${view.signature}`),
  });
}
