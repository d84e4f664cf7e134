import { Counter } from '../stats.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import { Hold } from './hold.js';
import type { Lane } from './lane.js';
import type { Redirect } from './redirect.js';
import { Lost, type Request, RequestState, releaseRequest } from './request.js';
import type { Router } from './router.js';
import type { UpstreamNode } from './upstream-node.js';

/** First wait before a command that was turned away (TRYAGAIN, LOADING, …) is sent again; it doubles. */
const RETRY_DELAY_MS = 20;
const RETRY_DELAY_MAX_MS = 250;
/** One is not sent again when less than this is left of its time: the answer would come too late. */
const LAST_TRY_MS = 60;
/** While commands wait because of what a node says of the cluster, the others are asked as often. */
const REFRESH_MS = 100;
/** A command that is redirected more often than this waits in between: the nodes disagree for the moment. */
const QUICK_REDIRECTS = 4;

/** A command that is to be sent again. */
interface Turned {
  readonly request: Request;
  /** Where a redirection sent it; null: wherever its slot is. */
  readonly lane: Lane | null;
  readonly asking: boolean;
}

/**
 * A client's commands for one slot that are sent again. They go in batches, each over one connection, and the next one
 * goes only when all of the last are answered: so they keep their order, however often they are turned away.
 */
export class Recovery {
  /** In the client's order. */
  waiting: Turned[] = [];
  /** Commands sent again and not answered yet. */
  out = 0;
  /** The next batch goes no sooner than this. */
  dueMs = 0;
  /** The node that turned the last of them away; null when none did since the last batch. */
  refusedBy: UpstreamNode | null = null;

  constructor(
    readonly owner: Client,
    readonly slot: number,
    readonly router: Router,
  ) {}

  insert(turned: Turned): void {
    const { waiting } = this;
    let at = waiting.length;
    while (at > 0 && waiting[at - 1].request.order > turned.request.order) at--;
    waiting.splice(at, 0, turned);
  }
}

/** Sends commands again: where a node says that they belong, a little later, or over another connection. */
export class Retries {
  private readonly recoveries = new Map<Client, Map<number, Recovery>>();
  /** Those that may have a batch to send. */
  private readonly scheduled = new Set<Recovery>();
  private refreshedMs = 0;

  constructor(private readonly core: Core) {}

  /** Follows a redirection, or sends the command again a little later. False: the client gets the error. */
  follow(request: Request, redirect: Redirect, lane: Lane): boolean {
    const { router } = lane;
    if (request.span !== null) request.span.redirected(redirect, lane.node.address, this.core.nowMs);
    const expired = this.core.nowMs - request.startedMs >= router.settings.opTimeoutMs;
    // A server outside of any cluster that speaks of slots is not what it is thought to be: that is for the client to see.
    if (redirect.type !== 'retry' && !router.keySpace.clustered) return false;
    if (lane.readonly) router.reads.turnedAway(lane.node);
    if (redirect.type === 'retry') {
      if (redirect.reason === 'tryagain') this.core.halfMoved.note(router, request.slot);
      router.count(redirect.reason === 'tryagain' ? Counter.upstream_rq_tryagain : Counter.upstream_rq_retry);
      if (redirect.reason !== 'tryagain') router.requestRefresh('cluster_down');
      if (redirect.reason === 'cluster_down') lane.node.downMs = this.core.nowMs;
      if (expired || request.attempts >= this.core.limits.attemptsMax) {
        // A slot that moves is no business of the client's; what else a node says may help to find the cause.
        if (redirect.reason !== 'tryagain') return false;
        this.core.replies.fail(request, this.core.texts.upstreamFailure);
        return true;
      }
      // What a replica turns away, another node can take at once.
      const waitMs = lane.readonly && request.attempts <= QUICK_REDIRECTS ? 0 : this.delayMs(request);
      // There is no time for another answer: the client is told this one.
      const { opTimeoutMs } = router.settings;
      const leftMs = opTimeoutMs - (this.core.nowMs - request.startedMs);
      if (waitMs + Math.min(LAST_TRY_MS, opTimeoutMs / 4) >= leftMs && redirect.reason !== 'tryagain') return false;
      // What may not be sent again is answered with what the node says.
      const said = redirect.reason !== 'tryagain';
      if (said && request.recovery === null && !router.health.breakers.admitsRetry()) return false;
      const recovery = this.again(request, waitMs, null, false, said);
      if (recovery !== null && said) recovery.refusedBy = lane.node;
      return true;
    }
    const target = router.redirected(redirect, lane.node);
    if (redirect.type === 'moved') {
      this.core.halfMoved.forget(router, redirect.slot);
      router.requestRefresh('moved');
    } else this.core.halfMoved.note(router, redirect.slot);
    if (expired || request.attempts >= this.core.limits.attemptsMax || target === null) {
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return true;
    }
    router.count(redirect.type === 'moved' ? Counter.upstream_rq_moved : Counter.upstream_rq_ask);
    if (request.attempts > QUICK_REDIRECTS) this.again(request, this.delayMs(request), null, false);
    else this.again(request, 0, target.lane(request.laneId), redirect.type === 'ask');
    return true;
  }

  /** Sends a command that was turned away as part of a batch; its own redirections are followed from then on. */
  resend(request: Request, router: Router): void {
    router.count(Counter.upstream_rq_retry);
    router.requestRefresh('moved');
    this.again(request, 0, null, false);
  }

  /** Sends a command again that has not run for a reason which is gone now; by default, wherever its slot is. */
  repeat(request: Request, lane: Lane | null): void {
    (request.router as Router).count(Counter.upstream_rq_retry);
    this.again(request, 0, lane, false);
  }

  /** A command waits for something else than a reply; then it is sent again or answered. None may overtake it. */
  suspend(request: Request): void {
    request.state = RequestState.waiting;
    request.client?.setHold(Hold.order);
  }

  /**
   * A connection died with this command on it. When the command cannot have been executed, or changes nothing, it is
   * sent again; otherwise nobody knows what became of it, and that is what the client is told.
   */
  interrupted(request: Request, whollyWritten: boolean, router: Router): void {
    if (request.client === null && request.parent === null) {
      releaseRequest(request);
      return;
    }
    if (request.streaming) {
      // Half a reply cannot be taken back.
      if (request.client !== null)
        this.core.disconnect(request.client, 'the upstream closed in the middle of its reply');
      return;
    }
    this.core.replies.dropEarlier(request);
    if (request.pinned) {
      request.lost = whollyWritten ? Lost.unknown : Lost.unsent;
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return;
    }
    const expired = this.core.nowMs - request.startedMs >= router.settings.opTimeoutMs;
    const repeatable = !whollyWritten || request.entry?.repeatable === true;
    if (!repeatable || expired || request.attempts >= this.core.limits.attemptsMax) {
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return;
    }
    router.count(Counter.upstream_rq_retry);
    request.span?.event('connection lost', this.core.nowMs);
    this.again(request, 0, null, false);
  }

  /**
   * What came in place of this command's reply cannot be understood. It is not sent again, even if it only reads: the
   * same would come.
   */
  spoiled(request: Request): void {
    if (request.client === null && request.parent === null) releaseRequest(request);
    else if (request.streaming) {
      if (request.client !== null) this.core.disconnect(request.client, 'the upstream sent half a reply and garbage');
    } else {
      if (request.pinned) request.lost = Lost.unknown;
      this.core.replies.fail(request, this.core.texts.upstreamProtocolError);
    }
  }

  /** Takes a command that waits for a connection that was lost, when earlier ones of its client and slot are sent again. */
  joins(request: Request): boolean {
    if (this.recoveries.size === 0) return false;
    const owner = request.client ?? request.parent?.client;
    if (owner == null || !this.recoveries.get(owner)?.has(request.slot)) return false;
    this.again(request, 0, null, false);
    return true;
  }

  /** A command that was sent again has its answer. */
  settled(request: Request): void {
    const recovery = request.recovery as Recovery;
    request.recovery = null;
    if (--recovery.out > 0) return;
    if (recovery.waiting.length > 0) this.schedule(recovery);
    else this.forget(recovery);
  }

  /** A client has left: nothing of it is sent again. */
  abandon(client: Client): void {
    const slots = this.recoveries.get(client);
    if (slots === undefined) return;
    this.recoveries.delete(client);
    for (const recovery of slots.values()) {
      this.scheduled.delete(recovery);
      const { waiting } = recovery;
      recovery.waiting = [];
      for (const { request } of waiting) this.core.replies.fail(request, this.core.texts.upstreamFailure);
    }
  }

  /** Commands of a cluster that are being sent again. */
  outstanding(router: Router): number {
    let count = 0;
    for (const slots of this.recoveries.values()) {
      for (const recovery of slots.values())
        if (recovery.router === router) count += recovery.out + recovery.waiting.length;
    }
    return count;
  }

  private delayMs(request: Request): number {
    const doubled = RETRY_DELAY_MS * 2 ** Math.min(Math.max(request.attempts - 1, 0), 8);
    return Math.min(RETRY_DELAY_MAX_MS, doubled) * (0.5 + this.core.random() / 2);
  }

  /** @returns null when the client was told that it failed */
  private again(
    request: Request,
    waitMs: number,
    lane: Lane | null,
    asking: boolean,
    admitted = false,
  ): Recovery | null {
    const owner = request.client ?? request.parent?.client;
    if (owner == null) {
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return null;
    }
    if (!admitted && request.recovery === null && !(request.router as Router).health.breakers.admitsRetry()) {
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return null;
    }
    // What the client sends from now on must not overtake this command.
    owner.setHold(Hold.order);
    request.state = RequestState.waiting;
    request.asking = false;
    const recovery = this.recoveryOf(owner, request.slot, request.router as Router);
    if (request.recovery !== null) {
      request.recovery = null;
      recovery.out--;
    }
    recovery.insert({ request, lane, asking });
    if (waitMs > 0) recovery.dueMs = Math.max(recovery.dueMs, this.core.nowMs + waitMs);
    this.schedule(recovery);
    return recovery;
  }

  private recoveryOf(owner: Client, slot: number, router: Router): Recovery {
    let slots = this.recoveries.get(owner);
    if (slots === undefined) {
      slots = new Map();
      this.recoveries.set(owner, slots);
    }
    let recovery = slots.get(slot);
    if (recovery === undefined) {
      recovery = new Recovery(owner, slot, router);
      slots.set(slot, recovery);
    }
    return recovery;
  }

  private forget(recovery: Recovery): void {
    this.scheduled.delete(recovery);
    const slots = this.recoveries.get(recovery.owner);
    if (slots?.get(recovery.slot) !== recovery) return;
    slots.delete(recovery.slot);
    if (slots.size === 0) this.recoveries.delete(recovery.owner);
  }

  private schedule(recovery: Recovery): void {
    this.scheduled.add(recovery);
    this.core.deferTurn();
  }

  /** Slots have other masters now: what was turned away by one that has its slot no more does not wait any longer. */
  mapChanged(router: Router): void {
    for (const slots of this.recoveries.values()) {
      for (const recovery of slots.values()) {
        if (recovery.router !== router || recovery.refusedBy === null || recovery.waiting.length === 0) continue;
        if (recovery.slot < 0 || router.nodeAt(router.slotMap.nodeOf(recovery.slot)) === recovery.refusedBy) continue;
        recovery.dueMs = 0;
        this.schedule(recovery);
      }
    }
  }

  /** Sends the batches that may go; called at the end of a turn, when all that was turned away in it is known. */
  flush(): void {
    for (const recovery of this.scheduled) {
      if (recovery.dueMs > this.core.nowMs) continue;
      this.scheduled.delete(recovery);
      if (recovery.out === 0) this.sendBatch(recovery);
    }
  }

  private sendBatch(recovery: Recovery): void {
    recovery.dueMs = 0;
    recovery.refusedBy = null;
    const { waiting } = recovery;
    const [{ lane }] = waiting;
    let size = 1;
    while (size < waiting.length && waiting[size].lane === lane) size++;
    recovery.waiting = waiting.slice(size);
    recovery.out = size;
    for (let i = 0; i < size; i++) {
      const { request, asking } = waiting[i];
      request.recovery = recovery;
      // A node may have been forgotten while its command waited for an earlier one.
      if (lane?.router.knows(lane.node)) {
        request.asking = asking;
        lane.router.sendTo(lane, request);
      } else this.core.route(request);
    }
  }

  /** Sends what has waited long enough, and gives up on what is older than its `op_timeout`. */
  tick(): void {
    if (this.recoveries.size === 0) return;
    const refused = new Set<Router>();
    for (const slots of this.recoveries.values()) {
      for (const recovery of slots.values()) {
        this.expire(recovery);
        if (recovery.refusedBy !== null && recovery.waiting.length > 0) refused.add(recovery.router);
      }
    }
    this.flush();
    if (refused.size === 0 || this.core.nowMs - this.refreshedMs < REFRESH_MS) return;
    this.refreshedMs = this.core.nowMs;
    for (const router of refused) router.requestRefresh('cluster_down');
  }

  private expire(recovery: Recovery): void {
    const expired = ({ request }: Turned) =>
      this.core.nowMs - request.startedMs >= (request.router as Router).settings.opTimeoutMs;
    const { waiting } = recovery;
    if (!waiting.some(expired)) return;
    const given = waiting.filter(expired);
    recovery.waiting = waiting.filter((turned) => !expired(turned));
    if (recovery.out === 0 && recovery.waiting.length === 0) this.forget(recovery);
    for (const { request } of given) this.core.replies.timedOut(request);
  }
}
