import { SLOT_COUNT } from '../hash/crc16.js';

/** No node serves the slot, or none is known. */
export const NO_NODE = 0xffff;

/** In the shared memory behind a slot map: a version, then a node index for each slot. */
const HEAD_BYTES = 8;

/**
 * Which node serves each slot, in memory that the main thread and all workers share. Nodes are indices into a table
 * that the main thread hands out.
 *
 * Each thread goes by a copy of its own, which it takes anew when it looks at the version. The shared map may change
 * between that look and the routing of a command, however short that is: a thread may lose its processor there. A command
 * that goes by the new map then would overtake those that its client has sent by the old one. The version goes up before
 * and after every change: a copy that was taken in the middle of one is taken again.
 */
export class SlotMap {
  private readonly head: Int32Array;
  private readonly shared: Uint16Array;
  private readonly slots: Uint16Array;
  /** The version that `slots` is a copy of. */
  private seen = -1;

  constructor(memory: SharedArrayBuffer) {
    this.head = new Int32Array(memory, 0, 2);
    this.shared = new Uint16Array(memory, HEAD_BYTES);
    this.slots = new Uint16Array(this.shared.length);
    this.version();
  }

  /** @param slots a Redis Cluster's when not given */
  static create(slots = SLOT_COUNT): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(HEAD_BYTES + slots * 2);
    new Uint16Array(memory, HEAD_BYTES).fill(NO_NODE);
    return memory;
  }

  /** Takes the map as it is now, when it is another one. Until the next call, this thread goes by that. */
  version(): number {
    if (this.head[0] !== this.seen) this.take();
    return this.seen;
  }

  private take(): void {
    // The version first: what changes while this copies is seen by the next look.
    this.seen = Atomics.load(this.head, 0);
    this.slots.set(this.shared);
  }

  /** By the copy of this thread. */
  nodeOf(slot: number): number {
    return this.slots[slot];
  }

  /** Each node that serves one of the first so many slots, with the lowest of them, in the order of these. */
  owners(count: number): { slot: number; index: number }[] {
    const first = new Map<number, number>();
    for (let slot = 0; slot < count; slot++) {
      const index = this.slots[slot];
      if (index !== NO_NODE && !first.has(index)) first.set(index, slot);
    }
    return [...first].map(([index, slot]) => ({ slot, index }));
  }

  /** What is routed from here on may go another way, though the map is the same. */
  bump(): void {
    Atomics.add(this.head, 0, 1);
  }

  /** Gives one slot to a node; true when that changed anything. */
  assign(slot: number, node: number): boolean {
    this.slots[slot] = node;
    if (this.shared[slot] === node) return false;
    Atomics.add(this.head, 0, 1);
    this.shared[slot] = node;
    Atomics.add(this.head, 0, 1);
    return true;
  }

  /** Replaces the map, or its first so many slots; the version goes up only when something changed. */
  replace(slots: Uint16Array): boolean {
    const count = slots.length;
    this.slots.set(slots);
    let slot = 0;
    while (slot < count && this.shared[slot] === slots[slot]) slot++;
    if (slot === count) return false;
    Atomics.add(this.head, 0, 1);
    for (; slot < count; slot++) this.shared[slot] = slots[slot];
    Atomics.add(this.head, 0, 1);
    return true;
  }

  /** Slots that have a node. */
  covered(): number {
    let count = 0;
    for (let slot = 0; slot < this.shared.length; slot++) if (this.shared[slot] !== NO_NODE) count++;
    return count;
  }
}
