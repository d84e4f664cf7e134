import { Counter } from '../stats.js';
import { type Client, Hold } from './client.js';
import type { Core } from './core.js';
import type { Lane } from './lane.js';
import type { Redirect } from './redirect.js';
import { type Request, RequestState, releaseRequest } from './request.js';

/** First wait before a command that was turned away (TRYAGAIN, LOADING, …) is sent again; it doubles. */
const RETRY_DELAY_MS = 20;
const RETRY_DELAY_MAX_MS = 250;
/** A command that is redirected more often than this waits in between: the nodes disagree for the moment. */
const QUICK_REDIRECTS = 4;

interface Delayed {
  readonly request: Request;
  readonly dueMs: number;
  /** Whose command it is; it may have left meanwhile. */
  readonly owner: Client;
}

/** Sends commands again: where a node says that they belong, a little later, or over another connection. */
export class Retries {
  private delayed: Delayed[] = [];

  constructor(private readonly core: Core) {}

  /** Follows a redirection, or sends the command again a little later. False: the client gets the error. */
  follow(request: Request, redirect: Redirect, lane: Lane): boolean {
    const expired = this.core.nowMs - request.startedMs >= this.core.settings.opTimeoutMs;
    if (redirect.type === 'retry') {
      this.core.count(redirect.reason === 'tryagain' ? Counter.upstream_rq_tryagain : Counter.upstream_rq_retry);
      if (redirect.reason !== 'tryagain') this.core.runtime.requestRefresh('cluster_down');
      if (expired || request.attempts >= this.core.limits.attemptsMax) return false;
      this.holdOrder(request);
      this.delay(request);
      return true;
    }
    const target = this.core.router.redirected(redirect, lane.node);
    if (redirect.type === 'moved') this.core.runtime.requestRefresh('moved');
    if (expired || request.attempts >= this.core.limits.attemptsMax || target === null) {
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return true;
    }
    this.core.count(redirect.type === 'moved' ? Counter.upstream_rq_moved : Counter.upstream_rq_ask);
    this.holdOrder(request);
    if (request.attempts > QUICK_REDIRECTS || this.mustQueue(request)) {
      this.delay(request);
      return true;
    }
    request.asking = redirect.type === 'ask';
    request.state = RequestState.waiting;
    this.core.router.sendTo(target.lane(request.proto), request);
    return true;
  }

  /** What the client sends from now on must not overtake this command. */
  private holdOrder(request: Request): void {
    const client = request.client ?? request.parent?.client;
    client?.setHold(Hold.order);
  }

  /** An earlier command of the same client waits to be sent again: this one must not overtake it. */
  private mustQueue(request: Request): boolean {
    const owner = request.client ?? request.parent?.client;
    return owner != null && owner.delayed > 0;
  }

  private delay(request: Request): void {
    const owner = request.client ?? request.parent?.client;
    if (owner == null) {
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return;
    }
    request.state = RequestState.waiting;
    const doubled = RETRY_DELAY_MS * 2 ** Math.min(Math.max(request.attempts - 1, 0), 8);
    const wait = Math.min(RETRY_DELAY_MAX_MS, doubled) * (0.5 + this.core.random() / 2);
    owner.delayed++;
    this.delayed.push({ request, dueMs: this.core.nowMs + wait, owner });
  }

  /** Sends what has waited long enough; a client's commands keep their order, whatever each one's wait is. */
  tick(): void {
    if (this.delayed.length === 0) return;
    const delayed = this.delayed;
    this.delayed = [];
    const waiting = new Set<Client>();
    for (const item of delayed) {
      const { request, owner } = item;
      const abandoned = request.client === null && (request.parent === null || request.parent.client === null);
      if (!abandoned && (item.dueMs > this.core.nowMs || waiting.has(owner))) {
        waiting.add(owner);
        this.delayed.push(item);
        continue;
      }
      owner.delayed--;
      if (abandoned) this.core.replies.fail(request, this.core.texts.upstreamFailure);
      else this.core.route(request);
    }
  }

  /**
   * A connection died with this command on it. When the command cannot have been executed, or changes nothing, it is
   * sent again; otherwise nobody knows what became of it, and that is what the client is told.
   */
  interrupted(request: Request, whollyWritten: boolean): void {
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
    const expired = this.core.nowMs - request.startedMs >= this.core.settings.opTimeoutMs;
    const repeatable = !whollyWritten || request.entry?.repeatable === true;
    if (!repeatable || expired || request.attempts >= this.core.limits.attemptsMax) {
      this.core.replies.fail(request, this.core.texts.upstreamFailure);
      return;
    }
    this.core.count(Counter.upstream_rq_retry);
    if (this.mustQueue(request)) {
      this.delay(request);
      return;
    }
    request.state = RequestState.waiting;
    this.core.route(request);
  }
}
