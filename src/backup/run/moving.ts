/** Slots that are on their way from one shard to another, or that were while a backup was made. Pure. */
import { hasSlot, normalizeSlots, SLOT_COUNT, type SlotSet, slotsFrom, unionSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';

/** A move that the servers carry out by themselves. */
export interface SlotMove {
  readonly slots: SlotSet;
}

/** Slots that are open, claimed by two masters, or in the servers' own hands. */
export function slotsOnTheWay(snapshot: ClusterSnapshot, jobs: readonly SlotMove[] = []): SlotSet {
  return unionSlots(
    slotsFrom(snapshot.openSlots.map(({ slot }) => slot)),
    snapshot.contested,
    ...jobs.map(({ slots }) => normalizeSlots(slots)),
  );
}

/** Watches who serves what, from one moment on. A failover moves nothing: the shard stays the same. */
export class SlotWatch {
  /** By slot, the shard that served it, as a number; -1 for none. */
  readonly #owners = new Int32Array(SLOT_COUNT).fill(-1);
  readonly #shards: ReadonlySet<string>[];
  #seen: SlotSet;

  constructor(first: ClusterSnapshot, jobs: readonly SlotMove[] = []) {
    const { shards } = first.topology;
    this.#shards = shards.map(({ master, replicas }) => new Set([master, ...replicas].map(({ id }) => id)));
    for (const [index, { master }] of shards.entries()) {
      for (const { start, end } of master.slots) this.#owners.fill(index, start, end + 1);
    }
    this.#seen = slotsOnTheWay(first, jobs);
  }

  /** All that were seen on their way, or with another shard than at first. */
  get moving(): SlotSet {
    return this.#seen;
  }

  look(snapshot: ClusterSnapshot, jobs: readonly SlotMove[] = []): void {
    const elsewhere: number[] = [];
    for (const { master } of snapshot.topology.shards) {
      for (const { start, end } of master.slots) {
        for (let slot = start; slot <= end; slot++) {
          const shard = this.#shards[this.#owners[slot] ?? -1];
          if (shard === undefined || !shard.has(master.id)) elsewhere.push(slot);
        }
      }
    }
    this.#seen = unionSlots(this.#seen, slotsFrom(elsewhere), slotsOnTheWay(snapshot, jobs));
  }
}

/** Slots of which keys were found, and that the shard did not serve. */
export function foreignSlots(slotKeys: Iterable<readonly [slot: number, keys: number]>, served: SlotSet): SlotSet {
  const foreign: number[] = [];
  for (const [slot, keys] of slotKeys) if (keys > 0 && !hasSlot(served, slot)) foreign.push(slot);
  return slotsFrom(foreign);
}
