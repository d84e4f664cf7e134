import { SLOT_COUNT } from '../hash/crc16.js';

/** No node serves the slot, or none is known. */
export const NO_NODE = 0xffff;

/** Bytes of the shared memory behind a slot map: a version, then a node index for each slot. */
export const SLOT_MAP_BYTES = 8 + SLOT_COUNT * 2;

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
    this.slots = new Uint16Array(memory, 8, SLOT_COUNT);
  }

  static create(): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(SLOT_MAP_BYTES);
    new Uint16Array(memory, 8, SLOT_COUNT).fill(NO_NODE);
    return memory;
  }

  version(): number {
    return this.head[0];
  }

  nodeOf(slot: number): number {
    return this.slots[slot];
  }

  /** Gives one slot to a node; true when that changed anything. */
  assign(slot: number, node: number): boolean {
    if (this.slots[slot] === node) return false;
    Atomics.add(this.head, 0, 1);
    this.slots[slot] = node;
    Atomics.add(this.head, 0, 1);
    return true;
  }

  /** Replaces the whole map; the version goes up only when something changed. */
  replace(slots: Uint16Array): boolean {
    let slot = 0;
    while (slot < SLOT_COUNT && this.slots[slot] === slots[slot]) slot++;
    if (slot === SLOT_COUNT) return false;
    Atomics.add(this.head, 0, 1);
    for (; slot < SLOT_COUNT; slot++) this.slots[slot] = slots[slot];
    Atomics.add(this.head, 0, 1);
    return true;
  }

  /** Slots that have a node. */
  covered(): number {
    let count = 0;
    for (let slot = 0; slot < SLOT_COUNT; slot++) if (this.slots[slot] !== NO_NODE) count++;
    return count;
  }
}
