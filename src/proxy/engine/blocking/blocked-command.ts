import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Scheduled } from '../core/deadlines.js';
import { type DedicatedUser, masterOf } from '../core/dedicated.js';
import { type Lane, LaneState } from '../core/lane.js';
import { type Redirect, readRedirect } from '../core/redirect.js';
import { Lost, type Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { Counter } from '../stats.js';
import { type KeptCommand, type TimeoutPlace, timeoutPlace, timeoutText, waitMs } from './arguments.js';
import type { NewestIds } from './newest-ids.js';
import { isForced } from './replies.js';
import { type Blocked, beginWait, emptyReply, endWait, MOVED_GRACE_MS, UNBLOCKED } from './waits.js';

/** Waits between attempts to go on with a wait, doubling. */
const RETRY_DELAY_MS = 20;
const RETRY_DELAY_MAX_MS = 250;
/**
 * The server looks at the keys before it waits. So that a short wait finds what is there, the first connection is waited for
 * at least so long, though the command's own time may be over by then.
 */
const FIRST_ASK_MS = 250;
/** Redirected more often than this in a row, it waits in between: the nodes disagree for the moment. */
const QUICK_REDIRECTS = 4;

/**
 * One blocking command of a client: waits over a connection of its own, for as long as it says. It follows its slot:
 * after a redirection, a failover or a lost connection the wait goes on, for the time left.
 */
export class BlockedCommand implements Task, DedicatedUser, Scheduled, Blocked {
  dueMs = Number.POSITIVE_INFINITY;
  private readonly core: Core;
  private readonly parent: Request;
  private readonly timeout: TimeoutPlace;
  private readonly deadlineMs: number;
  /** Until when the first connection is waited for. */
  private readonly firstAskMs: number;
  private lane: Lane | null = null;
  private attempts = 0;
  private asked = false;
  /** Since when the connection's node is not the slot's master; 0: it is, or nobody knows. */
  private strangeSinceMs = 0;
  /** What the client is to get in place of whatever comes. */
  private ending: Bytes | null = null;
  private finished = false;

  constructor(
    private readonly client: Client,
    entry: CommandEntry,
    private readonly command: KeptCommand,
    private readonly router: Router,
    private readonly slot: number,
    /** What `$` stands for; null when it is not said. */
    private readonly ids: NewestIds | null,
  ) {
    this.core = client.core;
    this.timeout = timeoutPlace(entry.name, command);
    this.deadlineMs = this.core.nowMs + waitMs(command, this.timeout);
    this.firstAskMs = Math.max(this.deadlineMs, this.core.nowMs + FIRST_ASK_MS);
    this.parent = beginTask(client, entry, this);
    client.belongings.add(this.leave);
    beginWait(client, this);
    this.go(masterOf(router, slot), false);
  }

  // ---------------------------------------------------------------- sending

  private go(node: UpstreamNode | null, asking: boolean): void {
    if (this.core.nowMs >= this.deadlineMs) {
      this.timedOut();
      return;
    }
    if (node === null) {
      this.router.requestRefresh('unassigned_slot');
      this.later();
      return;
    }
    const lane = this.router.dedicated.acquire(node, this.parent.laneId, this);
    if (lane === null) {
      this.finish(this.core.texts.tooManyDedicated, true);
      return;
    }
    this.lane = lane;
    this.asked = asking;
    this.strangeSinceMs = 0;
    const part = { router: this.router, slot: this.slot, lane, pinned: true, startedMs: Number.POSITIVE_INFINITY };
    const ids = this.ids?.questions(this.core.runtime.allocate) ?? [];
    const bytes = this.attempts++ === 0 ? this.command.bytes : this.rewritten();
    this.schedule();
    this.mapChanged();
    for (const [index, question] of ids) sendPart(this.parent, { ...part, bytes: question, index, asking });
    sendPart(this.parent, { ...part, bytes, asking });
  }

  /** The command with the time that is left, and with the IDs that `$` stood for. */
  private rewritten(): Bytes {
    const texts = new Map<number, string>(this.ids?.known);
    if (this.deadlineMs !== Number.POSITIVE_INFINITY) {
      texts.set(this.timeout.at, timeoutText(this.deadlineMs - this.core.nowMs, this.timeout));
    }
    return texts.size === 0 ? this.command.bytes : this.command.with(texts);
  }

  /** Goes on a little later, wherever the slot is then. */
  private later(): void {
    if (this.router.retirement?.over) {
      this.finish(this.core.texts.noUpstreamHost, true);
      return;
    }
    const delay = Math.min(RETRY_DELAY_MAX_MS, RETRY_DELAY_MS * 2 ** Math.min(this.attempts, 8));
    const dueMs = this.core.nowMs + delay * (0.5 + this.core.random() / 2);
    this.core.deadlines.add(this, Math.min(this.deadlineMs, dueMs));
  }

  due(): void {
    if (this.lane === null) this.go(masterOf(this.router, this.slot), false);
    else this.look(this.lane);
  }

  // ---------------------------------------------------------------- answers

  answered(part: Request): void {
    if (part.firstGroup !== 0) {
      if (!part.failed) this.ids?.answered(part);
      return;
    }
    const lane = this.lane as Lane;
    this.lane = null;
    if (this.parent.client === null || this.ending !== null) {
      this.router.dedicated.discard(lane);
      this.finish(this.ending);
      return;
    }
    if (part.failed) {
      this.router.dedicated.discard(lane);
      if (part.lost === Lost.no) this.finish(this.replyOf(part), true);
      else {
        this.router.count(Counter.upstream_rq_retry);
        this.router.requestRefresh('connection_lost');
        this.later();
      }
      return;
    }
    const bytes = part.reply as Bytes;
    const isError = bytes[part.replyStart] === 45;
    const redirect = isError ? readRedirect(bytes, part.replyStart, part.replyEnd) : null;
    const { node } = lane;
    this.router.dedicated.release(lane);
    if (redirect !== null) this.follow(redirect, node);
    else if (isError && isForced(bytes, part.replyStart, part.replyEnd)) {
      this.router.count(Counter.upstream_rq_retry);
      this.router.requestRefresh('cluster_down');
      this.later();
    } else this.finish(this.replyOf(part), isError);
  }

  private follow(redirect: Redirect, from: UpstreamNode): void {
    const { router } = this;
    if (redirect.type === 'retry') {
      router.count(redirect.reason === 'tryagain' ? Counter.upstream_rq_tryagain : Counter.upstream_rq_retry);
      if (redirect.reason !== 'tryagain') router.requestRefresh('cluster_down');
      this.later();
      return;
    }
    const target = router.redirected(redirect, from);
    if (redirect.type === 'moved') router.requestRefresh('moved');
    router.count(redirect.type === 'moved' ? Counter.upstream_rq_moved : Counter.upstream_rq_ask);
    if (target === null || this.attempts > QUICK_REDIRECTS) this.later();
    else this.go(target, redirect.type === 'ask');
  }

  private replyOf(part: Request): Bytes {
    return (part.reply as Bytes).subarray(part.replyStart, part.replyEnd) as Bytes;
  }

  private timedOut(): void {
    this.finish(this.core.text(emptyReply(this.parent.proto)));
  }

  private finish(reply: Bytes | null, failed = false): void {
    if (this.finished) return;
    this.finished = true;
    const { client, core, parent } = this;
    this.core.deadlines.remove(this);
    client.belongings.delete(this.leave);
    finishTask(core, parent, reply === null ? [] : [reply], failed);
    endWait(client);
  }

  // ---------------------------------------------------------------- the end from outside

  /** The client has left. */
  private readonly leave = (): void => {
    if (this.lane === null) this.finish(null);
    else this.router.dedicated.discard(this.lane);
  };

  unblock(how: 'timeout' | 'error'): void {
    this.end(this.core.text(how === 'timeout' ? emptyReply(this.parent.proto) : UNBLOCKED));
  }

  /** Ends the wait; the client gets `reply`. */
  private end(reply: Bytes): void {
    this.ending = reply;
    if (this.lane === null) this.finish(reply);
    else this.router.dedicated.discard(this.lane);
  }

  // ---------------------------------------------------------------- while it waits

  /** When it is to be looked at next, while it has a connection. */
  private schedule(): void {
    const { deadlineMs, strangeSinceMs } = this;
    const { patienceMs } = this;
    const endMs = this.core.nowMs < patienceMs ? patienceMs : deadlineMs + this.router.settings.opTimeoutMs;
    const graceMs = strangeSinceMs === 0 ? Number.POSITIVE_INFINITY : strangeSinceMs + MOVED_GRACE_MS;
    this.core.deadlines.add(this, Math.min(endMs, graceMs));
  }

  /** How long a connection may take. */
  private get patienceMs(): number {
    return this.attempts > 1 ? this.deadlineMs : this.firstAskMs;
  }

  private look(lane: Lane): void {
    const { nowMs } = this.core;
    const { opTimeoutMs } = this.router.settings;
    if (nowMs >= this.patienceMs && lane.state !== LaneState.ready) {
      // No connection in all that time: whoever waits that long gets what the server would say.
      this.router.dedicated.discard(lane);
    } else if (nowMs >= this.deadlineMs + opTimeoutMs) {
      this.router.count(Counter.upstream_rq_timeout);
      this.end(this.core.texts.upstreamFailure);
    } else if (this.strangeSinceMs !== 0 && nowMs - this.strangeSinceMs >= MOVED_GRACE_MS) {
      this.router.dedicated.discard(lane);
    } else this.schedule();
  }

  mapChanged(): void {
    const { lane } = this;
    if (lane === null || this.asked || this.slot < 0) return;
    const master = masterOf(this.router, this.slot);
    const strange = master !== null && master !== lane.node;
    if (strange === (this.strangeSinceMs !== 0)) return;
    this.strangeSinceMs = strange ? this.core.nowMs : 0;
    this.schedule();
  }
}
