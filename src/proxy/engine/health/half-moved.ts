import { Attention } from '../clients/attention.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Router } from '../core/router.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { findKeys, KEYS } from '../routing/keys.js';
import { routeOf } from '../routing/resolve.js';

/** A slot counts as half moved until so long after the last sign of it. */
const REMEMBERED_MS = 30_000;
/** Slots of one cluster are below this. */
const SLOTS = 65_536;
/** What workers tell each other. */
const KIND = 'half-moved';

/**
 * Slots that are half moved: some of their keys are at one node, the others at another. There, a command over several
 * keys is turned away (TRYAGAIN) until all of them are at one node, while commands for single keys are executed: those
 * that its client sent behind it would overtake it. So nothing is sent behind it before it is answered.
 *
 * Known from what nodes answer (TRYAGAIN, ASK), in all workers from the first such answer on. While there are none, no
 * command is looked at.
 */
export class HalfMoved {
  /** Until when each slot is remembered, by the number of its cluster and its own. */
  private readonly slots = new Map<number, number>();

  constructor(private readonly core: Core) {
    core.relay.on(KIND, (payload) => this.remember(payload as number));
  }

  /** A node has said that the slot is being moved. */
  note(router: Router, slot: number): void {
    if (slot < 0) return;
    const id = router.index * SLOTS + slot;
    const known = this.slots.has(id);
    this.remember(id);
    if (!known) this.core.runtime.tell(KIND, id);
  }

  private remember(id: number): void {
    this.slots.set(id, this.core.nowMs + REMEMBERED_MS);
    this.core.attention |= Attention.halfMoved;
  }

  /** The slot has been moved. */
  forget(router: Router, slot: number): void {
    if (this.slots.delete(router.index * SLOTS + slot)) this.settle();
  }

  private settle(): void {
    if (this.slots.size === 0) this.core.attention &= ~Attention.halfMoved;
  }

  /** True for a command over several keys of which one is in such a slot. */
  concerns(client: Client, entry: CommandEntry, bytes: Uint8Array, frame: RequestFrame): boolean {
    if (!entry.manyKeys) return false;
    const { core } = client;
    const count = findKeys(entry, bytes, frame);
    if (count < 2) return false;
    for (const argument of KEYS.at.slice(0, count)) {
      const route = routeOf(core, bytes as Parameters<typeof routeOf>[1], frame.starts[argument], frame.ends[argument]);
      if (route?.router != null && this.slots.has(route.router.index * SLOTS + route.slot)) return true;
    }
    return false;
  }

  /** Forgets slots of which nothing has been heard. */
  tick(): void {
    for (const [id, untilMs] of this.slots) if (untilMs <= this.core.nowMs) this.slots.delete(id);
    this.settle();
  }
}
