import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Scheduled } from '../core/deadlines.js';
import { masterOf } from '../core/dedicated.js';
import { Hold } from '../core/hold.js';
import type { Lane } from '../core/lane.js';
import { type Redirect, readRedirect } from '../core/redirect.js';
import { Lost, type Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { Counter } from '../stats.js';
import { Watch, watchOf } from './watch.js';

const RETRY_DELAY_MS = 20;
const RETRY_DELAY_MAX_MS = 250;

/**
 * WATCH, on its way to the master of its keys' slot. The client is not read until it is answered: what it reads
 * afterwards must not be older than the watch.
 */
export class Watching implements Task, Scheduled {
  dueMs = Number.POSITIVE_INFINITY;
  private readonly core: Core;
  private readonly parent: Request;
  private readonly deadlineMs: number;
  private lane: Lane | null = null;
  private attempts = 0;

  constructor(
    private readonly client: Client,
    entry: CommandEntry,
    private readonly command: Bytes,
    private readonly router: Router,
    private readonly slot: number,
    /** What stands for its keys. */
    private readonly digests: ReadonlySet<string>,
  ) {
    this.core = client.core;
    this.deadlineMs = this.core.nowMs + router.settings.opTimeoutMs;
    this.parent = beginTask(client, entry, this);
    client.setHold(Hold.order);
    client.belongings.add(this.leave);
    const watch = watchOf(client);
    if (watch === null) this.go(masterOf(router, slot));
    else this.send(watch.lane);
  }

  private go(node: UpstreamNode | null): void {
    if (node === null) {
      this.router.requestRefresh('unassigned_slot');
      this.later();
      return;
    }
    const lane = this.router.dedicated.acquire(node, this.parent.laneId);
    if (lane === null) this.finish(this.core.texts.tooManyDedicated, true);
    else this.send(lane);
  }

  private send(lane: Lane): void {
    this.attempts++;
    this.lane = lane;
    this.router.dedicated.expectReply(lane, this.parent.startedMs);
    sendPart(this.parent, { bytes: this.command, router: this.router, slot: this.slot, lane, pinned: true });
  }

  private later(): void {
    const delay = Math.min(RETRY_DELAY_MAX_MS, RETRY_DELAY_MS * 2 ** Math.min(this.attempts, 8));
    this.core.deadlines.add(this, this.core.nowMs + delay * (0.5 + this.core.random() / 2));
  }

  due(): void {
    if (this.core.nowMs < this.deadlineMs) this.go(masterOf(this.router, this.slot));
    else {
      this.router.count(Counter.upstream_rq_timeout);
      this.finish(this.attempts === 0 ? this.core.texts.noUpstreamHost : this.core.texts.upstreamFailure, true);
    }
  }

  answered(part: Request): void {
    const lane = this.lane as Lane;
    this.lane = null;
    const { dedicated } = this.router;
    if (this.parent.client === null) {
      dedicated.discard(lane);
      this.finish(this.core.texts.empty, false);
      return;
    }
    const bytes = part.reply as Bytes;
    const isError = bytes[part.replyStart] === 45;
    const redirect = isError && !part.failed ? readRedirect(bytes, part.replyStart, part.replyEnd) : null;
    const reply = bytes.subarray(part.replyStart, part.replyEnd) as Bytes;
    const watch = watchOf(this.client);
    if (watch !== null) {
      // Of the keys that it watches already nobody knows any more what became of them: EXEC will say that they changed.
      if (part.failed || redirect !== null) dedicated.discard(lane);
      else if (!isError) watch.add(this.digests);
      this.finish(part.failed || redirect !== null ? this.core.texts.ok : reply, isError && redirect === null);
      return;
    }
    if (!isError) {
      new Watch(this.client, this.router, this.slot, lane).add(this.digests);
      this.finish(reply, false);
      return;
    }
    if (part.failed) dedicated.discard(lane);
    else dedicated.release(lane);
    if (redirect !== null) this.follow(redirect, lane.node);
    else if (part.failed && part.lost !== Lost.no) {
      this.router.requestRefresh('connection_lost');
      this.later();
    } else this.finish(reply, true);
  }

  private follow(redirect: Redirect, from: UpstreamNode): void {
    const { router } = this;
    if (redirect.type === 'moved') {
      router.count(Counter.upstream_rq_moved);
      router.requestRefresh('moved');
      const target = router.redirected(redirect, from);
      if (target !== null && this.attempts <= 2) this.go(target);
      else this.later();
      return;
    }
    // A key that is on its way between two nodes cannot be watched on either: the slot will have moved soon.
    router.count(redirect.type === 'ask' ? Counter.upstream_rq_ask : Counter.upstream_rq_retry);
    router.requestRefresh('cluster_down');
    this.later();
  }

  private finish(reply: Bytes, failed: boolean): void {
    this.client.belongings.delete(this.leave);
    this.core.deadlines.remove(this);
    finishTask(this.core, this.parent, [reply], failed);
  }

  /** The client has left. */
  private readonly leave = (): void => {
    if (this.lane !== null) this.router.dedicated.discard(this.lane);
    else this.finish(this.core.texts.empty, false);
  };
}
