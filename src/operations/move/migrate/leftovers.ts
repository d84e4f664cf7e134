/**
 * Copies that a MIGRATE has left at the target whose answer was lost: the source kept the keys, and clients went on
 * writing to them there. So of two values the source's counts.
 *
 * That is known only of slots of which the target held no key before they were opened, which the source has been giving
 * away ever since, and as long as the source is what it was then. One that was restarted or failed over may have
 * forgotten that a key has left: then the target's value is the newer one, and a person decides.
 */
import * as z from 'zod';
import { hasSlot, slotsFrom } from '../../../cluster/slots.js';
import { ForgeError } from '../../../errors.js';
import { type StepContext, slotRangeSchema } from '../../step.js';
import { infoOf, viewOf } from '../../steps/views.js';
import type { PairNodes } from './pair.js';

/** What the journal keeps, so that a run that goes on knows it as well. */
const noteSchema = z.object({
  leftovers: z.enum(['possible', 'unknown']),
  source: z.string(),
  target: z.string(),
  /** The source as it was then. */
  state: z.string(),
  slots: z.array(slotRangeSchema),
});

export class Leftovers {
  readonly #context: StepContext;
  readonly #sourceId: string;
  readonly #targetId: string;
  /** Slots, with the state of the source when they were looked at. */
  readonly #slots = new Map<number, string>();
  #known: Promise<void> | undefined;

  constructor(context: StepContext, { source, target }: PairNodes) {
    this.#context = context;
    this.#sourceId = source.id;
    this.#targetId = target.id;
  }

  /** Before the slots are opened: the target holds no key of them. What is held there from now on has come by MIGRATE. */
  async begin(slots: readonly number[]): Promise<void> {
    await this.#recall();
    const state = await this.#state();
    if (state === undefined || slots.length === 0) return;
    await this.#remember('possible', state, slots);
    for (const slot of slots) this.#slots.set(slot, state);
  }

  /** Before the source serves a slot alone again: it then takes writes for keys that the target has, and the target's count. */
  async end(slot: number): Promise<void> {
    await this.#recall();
    const state = this.#slots.get(slot);
    if (state === undefined) return;
    await this.#remember('unknown', state, [slot]);
    this.#slots.delete(slot);
  }

  /** Whether the target's value of a key that both have is a leftover. */
  async holds(slot: number): Promise<boolean> {
    await this.#recall();
    const state = this.#slots.get(slot);
    return state !== undefined && state === (await this.#state());
  }

  #remember(leftovers: 'possible' | 'unknown', state: string, slots: readonly number[]): Promise<void> {
    const [source, target] = [this.#sourceId, this.#targetId];
    return this.#context.remember({ leftovers, source, target, state, slots: slotsFrom(slots) });
  }

  /** What earlier runs have noted of slots that the source is still giving away. Once, before anything is opened. */
  #recall(): Promise<void> {
    this.#known ??= this.#read();
    return this.#known;
  }

  async #read(): Promise<void> {
    const notes = this.#context.remembered.flatMap((data) => {
      const note = noteSchema.safeParse(data);
      if (!note.success) return [];
      return note.data.source === this.#sourceId && note.data.target === this.#targetId ? [note.data] : [];
    });
    if (notes.length === 0) return;
    const { myself } = (await viewOf(this.#context, this.#sourceId)).topology;
    for (const { slot, peerId } of myself?.migrating ?? []) {
      const last = notes.findLast(({ slots }) => hasSlot(slots, slot));
      if (peerId === this.#targetId && last?.leftovers === 'possible') this.#slots.set(slot, last.state);
    }
  }

  /** Another one after a restart, and whenever it has become a master: undefined when it does not say. */
  async #state(): Promise<string | undefined> {
    try {
      const [server, replication] = await Promise.all([
        infoOf(this.#context, this.#sourceId, 'server'),
        infoOf(this.#context, this.#sourceId, 'replication'),
      ]);
      const [run, data] = [server.get('run_id'), replication.get('master_replid')];
      return run === undefined || data === undefined ? undefined : `${run} ${data}`;
    } catch (error) {
      if (error instanceof ForgeError && error.kind === 'denied') return undefined;
      throw error;
    }
  }
}
