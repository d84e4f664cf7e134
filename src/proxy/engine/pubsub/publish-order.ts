import { NO_NODE } from '../core/slot-map.js';
import { SLOT_COUNT } from '../hash/crc16.js';

/** A message is at all nodes of a cluster by then; the links between them keep small ones back for 40 ms. */
export const ON_ITS_WAY_MS = 100;
/** Nothing that was published so long ago is on its way any more, even if its node answered late. */
const QUIET_MS = 1000;

/** What waits for a slot's messages to arrive. */
interface Held {
  readonly dueMs: number;
  readonly go: () => void;
}

/**
 * Keeps what is published to a channel in order when the channel's slot goes to another master. A cluster's nodes pass
 * messages on over links of their own: what is published at one node can be heard before what was published, and
 * answered, at another a moment earlier. So what follows at the new node waits until the earlier is everywhere. How many
 * can wait is bounded by the clients: each waits for its own.
 */
export class PublishOrder {
  /** By slot: where it was published to last, and when, in milliseconds; made with the first message. */
  private nodes: Uint16Array | null = null;
  private times = new Float64Array(0);
  private held: Held[] = [];

  /** How long a message has to wait that would be published at this node now, in milliseconds; 0: not at all. */
  waitMs(slot: number, node: number, nowMs: number): number {
    if (this.nodes === null) {
      this.nodes = new Uint16Array(SLOT_COUNT).fill(NO_NODE);
      this.times = new Float64Array(SLOT_COUNT);
    }
    const last = this.nodes[slot];
    if (last !== node && last !== NO_NODE && nowMs - this.times[slot] < QUIET_MS) return ON_ITS_WAY_MS;
    this.nodes[slot] = node;
    this.times[slot] = nowMs;
    return 0;
  }

  /** The message is published now, wherever its slot is. */
  published(slot: number, node: number, nowMs: number): void {
    if (this.nodes === null) return;
    this.nodes[slot] = node;
    this.times[slot] = nowMs;
  }

  hold(dueMs: number, go: () => void): void {
    this.held.push({ dueMs, go });
  }

  tick(nowMs: number): void {
    const { held } = this;
    if (held.length === 0) return;
    this.held = held.filter(({ dueMs }) => dueMs > nowMs);
    for (const { dueMs, go } of held) if (dueMs <= nowMs) go();
  }
}
