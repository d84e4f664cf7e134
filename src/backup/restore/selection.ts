/** Which keys of a backup are restored. Pure. */
import { hasSlot, intersectSlots, normalizeSlots, type SlotSet } from '../../cluster/slots.js';
import { ForgeError } from '../../errors.js';
import { digestOf } from '../../operations/canonical.js';
import type { BackupManifest, BackupShard } from '../manifest.js';
import { type KeyPattern, keyPattern } from './glob.js';

export interface SelectionOptions {
  /** Numbers of shards, from 1 on, as their objects are named. */
  readonly shards?: readonly number[];
  readonly slots?: SlotSet;
  /** As SCAN takes it. */
  readonly match?: string;
}

export class Selection {
  readonly options: SelectionOptions;
  readonly #pattern: KeyPattern | undefined;

  /** @throws ForgeError `usage` for a pattern that cannot be used */
  constructor(options: SelectionOptions = {}) {
    this.options = options;
    this.#pattern = options.match === undefined ? undefined : keyPattern(options.match);
  }

  /** All that the backup has. */
  get isAll(): boolean {
    const { shards, slots, match } = this.options;
    return shards === undefined && slots === undefined && match === undefined;
  }

  /** Equal for the same keys of any backup. */
  get digest(): string {
    const { shards, slots, match } = this.options;
    return digestOf({ shards: shards ?? null, slots: slots ?? null, match: match ?? null });
  }

  wants(key: Uint8Array, slot: number): boolean {
    const { slots } = this.options;
    if (slots !== undefined && !hasSlot(slots, slot)) return false;
    return this.#pattern === undefined || this.#pattern(key);
  }

  /**
   * The shards that may have such keys.
   * @throws ForgeError `usage` for the number of a shard that there is not
   */
  shardsOf({ shards }: BackupManifest): BackupShard[] {
    const { shards: numbers, slots } = this.options;
    const wrong = numbers?.find((number) => shards[number - 1] === undefined);
    if (wrong !== undefined) {
      throw new ForgeError('usage', `The backup has no shard ${wrong}: it has ${shards.length}.`, {
        next: 'Look at: forge backup show.',
      });
    }
    return shards.filter(
      (shard, index) =>
        (numbers === undefined || numbers.includes(index + 1)) &&
        (slots === undefined || intersectSlots(normalizeSlots(shard.slots), slots).length > 0),
    );
  }

  /** Slots of these shards that may have such keys. */
  slotsOf(shards: readonly BackupShard[]): SlotSet {
    const all = normalizeSlots(shards.flatMap(({ slots }) => slots));
    return this.options.slots === undefined ? all : intersectSlots(all, this.options.slots);
  }
}
