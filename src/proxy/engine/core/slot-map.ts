import { SLOT_COUNT } from '../hash/crc16.js';

/** No node serves the slot, or none is known. */
export const NO_NODE = 0xffff;

/** In the shared memory behind a slot map: a version, then a node index for each slot. */
const HEAD_BYTES = 8;

/**
 * Which node serves each slot, in memory that the main thread and all workers share. Nodes are indices into a table
 * that the main thread hands out; the version goes up before and after every change, so that nobody who routes meanwhile
 * in another thread takes the old and the new map for one.
 */
export class SlotMap {
  private readonly head: Int32Array;
  private readonly slots: Uint16Array;

  constructor(memory: SharedArrayBuffer) {
    this.head = new Int32Array(memory, 0, 2);
    this.slots = new Uint16Array(memory, HEAD_BYTES);
  }

  /** @param slots a Redis Cluster's when not given */
  static create(slots = SLOT_COUNT): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(HEAD_BYTES + slots * 2);
    new Uint16Array(memory, HEAD_BYTES).fill(NO_NODE);
    return memory;
  }

  version(): number {
    return this.head[0];
  }

  nodeOf(slot: number): number {
    return this.slots[slot];
  }

  /** What is routed from here on may go another way, though the map is the same. */
  bump(): void {
    Atomics.add(this.head, 0, 1);
  }

  /** Gives one slot to a node; true when that changed anything. */
  assign(slot: number, node: number): boolean {
    if (this.slots[slot] === node) return false;
    Atomics.add(this.head, 0, 1);
    this.slots[slot] = node;
    Atomics.add(this.head, 0, 1);
    return true;
  }

  /** Replaces the map, or its first so many slots; the version goes up only when something changed. */
  replace(slots: Uint16Array): boolean {
    const count = slots.length;
    let slot = 0;
    while (slot < count && this.slots[slot] === slots[slot]) slot++;
    if (slot === count) return false;
    Atomics.add(this.head, 0, 1);
    for (; slot < count; slot++) this.slots[slot] = slots[slot];
    Atomics.add(this.head, 0, 1);
    return true;
  }

  /** Slots that have a node. */
  covered(): number {
    let count = 0;
    for (let slot = 0; slot < this.slots.length; slot++) if (this.slots[slot] !== NO_NODE) count++;
    return count;
  }
}
