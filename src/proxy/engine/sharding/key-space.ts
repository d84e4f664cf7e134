import { keySlot, SLOT_COUNT } from '../hash/crc16.js';

/** Divides keys among the slots of a table; the table says which host serves a slot. */
export interface KeySpace {
  /** Slots in the table. */
  readonly slots: number;
  /** True when the servers themselves know the slots (Redis Cluster): a command's keys must be in one slot. */
  readonly clustered: boolean;
  /** The slot of the key in `bytes[start, end)`. */
  slotOf(bytes: Uint8Array, start: number, end: number): number;
}

/** Redis Cluster's 16,384 slots. */
export class ClusterKeySpace implements KeySpace {
  readonly slots = SLOT_COUNT;
  readonly clustered = true;

  slotOf(bytes: Uint8Array, start: number, end: number): number {
    return keySlot(bytes, start, end);
  }
}
