import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Scheduled } from '../core/deadlines.js';
import { type Request, RequestState } from '../core/request.js';
import { beginTask, finishTask, type Task } from '../core/task.js';

/** How often it is looked whether a slow command has its reply. */
const LOOK_MS = 10;
/** What may be missing from the delay: less than that is not waited for again. */
const SLACK_MS = 2;

/**
 * Holds back the reply of the command that comes next in a client's order. It has a place of its own there, just before
 * it, and an empty reply. As in Envoy, the delay comes on top of what the command takes, within `LOOK_MS`.
 */
export class Gate implements Task, Scheduled {
  dueMs = Number.POSITIVE_INFINITY;
  private readonly parent: Request;
  /** The command has its reply, and the delay goes on from there. */
  private counted = false;

  constructor(
    private readonly core: Core,
    client: Client,
    private readonly delayMs: number,
  ) {
    this.parent = beginTask(client, null, this);
    core.faults.waiting++;
    core.deadlines.add(this, core.nowMs + delayMs);
  }

  /** It sends nothing. */
  answered(): void {}

  due(): void {
    const { core, parent } = this;
    if (parent.client !== null && this.waitsOn()) return;
    core.faults.waiting--;
    finishTask(core, parent, []);
  }

  /** True when the delay has still to go on. */
  private waitsOn(): boolean {
    const { core, parent, delayMs } = this;
    const held = parent.next;
    if (this.counted || held === null) return false;
    if (held.state !== RequestState.done) {
      core.deadlines.add(this, core.nowMs + LOOK_MS);
      return true;
    }
    this.counted = true;
    // When it was answered is known of what went to one node; of others, the delay is taken to be over.
    const leftMs = held.attempts === 0 ? 0 : held.sentMs + held.upstreamMs + delayMs - core.nowMs;
    if (leftMs < SLACK_MS) return false;
    core.deadlines.add(this, core.nowMs + leftMs);
    return true;
  }
}
