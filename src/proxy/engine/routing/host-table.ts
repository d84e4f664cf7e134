import { type KeySpace, MaglevKeySpace, RingKeySpace } from '../sharding/key-space.js';

/** What a worker is told of the table that divides keys among hosts, in memory that all threads share. */
export type HostTable =
  | {
      readonly type: 'maglev';
      readonly hashTags: boolean;
      /** The host's number for each entry, 16 bits each. */
      readonly hosts: SharedArrayBuffer;
    }
  | {
      readonly type: 'ring';
      readonly hashTags: boolean;
      readonly hosts: SharedArrayBuffer;
      /** Halves of the entries' hashes, 32 bits each, ascending. */
      readonly hashesHi: SharedArrayBuffer;
      readonly hashesLo: SharedArrayBuffer;
    };

/** Nobody serves the key: there are no hosts. The slot map has no node for it, ever. */
export const NO_HOST_SLOT = 0xffff;
/** Slots in the slot map of a sharded cluster. */
export const HOST_SLOTS = 0x10000;

/**
 * Divides keys among independent servers. Their table (Maglev or a ring) is behind it: the slot of a key is the number
 * of its host, which the host keeps when others come and go. So two keys are in one slot exactly when one server has
 * them, and a command that waits for a server waits for it still when the table is another.
 */
export class HostKeySpace implements KeySpace {
  readonly clustered = false;
  private readonly table: KeySpace;
  private readonly hosts: Uint16Array;

  /** @param slots one more than the highest number of a host */
  constructor(
    table: HostTable,
    readonly slots: number,
  ) {
    this.hosts = new Uint16Array(table.hosts);
    this.table =
      table.type === 'maglev'
        ? new MaglevKeySpace(this.hosts.length, table.hashTags)
        : new RingKeySpace(new Uint32Array(table.hashesHi), new Uint32Array(table.hashesLo), table.hashTags);
  }

  slotOf(bytes: Uint8Array, start: number, end: number): number {
    return this.hosts[this.table.slotOf(bytes, start, end)];
  }

  slotsOf(
    bytes: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    first: number,
    step: number,
    count: number,
    slots: Int32Array,
  ): void {
    const { hosts } = this;
    this.table.slotsOf(bytes, starts, ends, first, step, count, slots);
    for (let i = 0; i < count; i++) slots[i] = hosts[slots[i]];
  }
}

/** Before the first host is known. */
export class NoHosts implements KeySpace {
  readonly clustered = false;
  readonly slots = 0;

  slotOf(): number {
    return NO_HOST_SLOT;
  }

  slotsOf(
    _bytes: Uint8Array,
    _starts: Int32Array,
    _ends: Int32Array,
    _first: number,
    _step: number,
    count: number,
    slots: Int32Array,
  ): void {
    slots.fill(NO_HOST_SLOT, 0, count);
  }
}
