import { SLOT_COUNT } from '../hash/crc16.js';

/** No node serves the slot, or none is known. */
export const NO_NODE = 0xffff;

/** Bytes of the shared memory behind a slot map: a version, then a node index for each slot. */
export const SLOT_MAP_BYTES = 8 + SLOT_COUNT * 2;

/**
 * Which node serves each slot, in memory that the main thread and all workers share. Nodes are indices into a table
 * that the main thread hands out; the version goes up with every change.
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
    this.slots[slot] = node;
    Atomics.add(this.head, 0, 1);
    return true;
  }

  /** Replaces the whole map; the version goes up once, and only when something changed. */
  replace(slots: Uint16Array): boolean {
    let changed = false;
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      if (this.slots[slot] === slots[slot]) continue;
      this.slots[slot] = slots[slot];
      changed = true;
    }
    if (changed) Atomics.add(this.head, 0, 1);
    return changed;
  }

  /** Slots that have a node. */
  covered(): number {
    let count = 0;
    for (let slot = 0; slot < SLOT_COUNT; slot++) if (this.slots[slot] !== NO_NODE) count++;
    return count;
  }
}
