/** The keys of one run: a prefix that nobody else has, slots of choice, and a list of what is to be deleted. */
import { randomBytes } from 'node:crypto';
import { SLOT_COUNT } from '../cluster/slots.js';
import { slotTags } from './key-slot.js';

export interface SmokeKey {
  name: string;
  slot: number;
}

/** Every key of every run begins with it. */
export const KEY_PREFIX = 'forge-smoke:';

export class SmokeKeys {
  /** Seconds until a key goes away by itself, when the run that made it could not delete it. */
  readonly ttlS: number;
  readonly #run = randomBytes(8).toString('hex');
  readonly #written = new Map<string, number>();

  constructor(ttlS: number) {
    this.ttlS = ttlS;
  }

  /** A key in `slot`; to be deleted at the end unless it is only read. */
  key(slot: number, name: string, use: 'write' | 'read' = 'write'): SmokeKey {
    const full = `${KEY_PREFIX}${this.#run}:{${slotTags()[slot]}}:${name}`;
    if (use === 'write') this.#written.set(full, slot);
    return { name: full, slot };
  }

  /** What may exist now. */
  get written(): SmokeKey[] {
    return Array.from(this.#written, ([name, slot]) => ({ name, slot }));
  }
}

/** `count` slots, evenly spread: of every shard that has at least one in `count` of the slots, at least one. */
export function spreadSlots(count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor((index * SLOT_COUNT) / count));
}
