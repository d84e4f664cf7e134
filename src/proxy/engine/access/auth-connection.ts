import { type Bytes, latin1 } from '../bytes.js';
import type { Core } from '../core/core.js';
import { Output } from '../core/output.js';
import type { Transport, TransportEvents } from '../core/runtime.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { REPLY_MALFORMED, ReplyFramer } from '../resp/reply-framer.js';
import { Counter } from '../stats.js';

/** A connection that asks nothing any more is closed after this time. */
const IDLE_MS = 30_000;
/** Questions that wait for one connection; above it they are not asked. */
const WAITING_MAX = 4096;

interface Question {
  readonly bytes: Bytes;
  readonly deadlineMs: number;
  /** What the node said, without CRLF; null when it did not say anything. Called once, never within `ask`. */
  readonly done: (line: string | null) => void;
}

/**
 * The one connection of this worker to a node over which logins are checked: each AUTH logs it in as somebody else, so
 * nothing but AUTH is ever sent over it, and that is allowed whoever it is logged in as.
 */
export class AuthConnection implements TransportEvents {
  private transport: Transport | null = null;
  private connecting = false;
  private readonly output: Output;
  private readonly framer = new ReplyFramer();
  private line = '';
  /** Sent, oldest first. */
  private sent: Question[] = [];
  private waiting: Question[] = [];
  private usedMs = 0;
  private startedMs = 0;
  private retryAtMs = 0;
  private attempt: TransportEvents | null = null;

  constructor(
    private readonly core: Core,
    readonly node: UpstreamNode,
  ) {
    this.output = new Output(core.upstreamBuffers);
  }

  get ready(): boolean {
    return this.transport !== null;
  }

  /** Nothing is on its way, and nothing was for a while. */
  get idle(): boolean {
    if (this.sent.length > 0 || this.waiting.length > 0) return false;
    return this.core.nowMs - this.usedMs >= IDLE_MS;
  }

  ask(question: Question): void {
    this.usedMs = this.core.nowMs;
    if (this.waiting.length >= WAITING_MAX) {
      this.core.runtime.defer(() => question.done(null));
      return;
    }
    this.waiting.push(question);
    this.core.runtime.defer(this.send);
  }

  private readonly send = (): void => {
    if (this.waiting.length === 0) return;
    if (this.transport === null) {
      this.connect();
      return;
    }
    const { waiting } = this;
    this.waiting = [];
    for (const question of waiting) {
      this.output.append(question.bytes, 0, question.bytes.length);
      this.sent.push(question);
    }
    this.flush();
  };

  private connect(): void {
    const { core, node } = this;
    if (this.connecting || core.nowMs < this.retryAtMs) return;
    this.connecting = true;
    this.startedMs = core.nowMs;
    const attempt = new Attempt(this, () => this.attempt === attempt);
    this.attempt = attempt;
    core.runtime.connect(node.host, node.port, attempt, node.router.index);
  }

  private flush(): void {
    if (this.transport === null) return;
    const taken = this.output.flush(this.transport);
    if (taken < 0) this.closed('connection lost');
    else this.node.router.add(Counter.upstream_cx_tx_bytes_total, taken);
  }

  // ---------------------------------------------------------------- what the runtime says

  opened(transport: Transport): void {
    const { router } = this.node;
    this.connecting = false;
    this.transport = transport;
    router.count(Counter.upstream_cx_total);
    router.count(Counter.upstream_cx_active);
    this.send();
  }

  failed(_reason: string): void {
    this.node.router.count(Counter.upstream_cx_connect_fail);
    this.end();
  }

  closed(_reason: string): void {
    this.end();
  }

  drained(): void {
    this.output.blocked = false;
    this.flush();
  }

  received(bytes: Bytes): void {
    this.node.router.add(Counter.upstream_cx_rx_bytes_total, bytes.length);
    for (let at = 0; at < bytes.length; ) {
      const next = this.framer.feed(bytes, at, bytes.length);
      if (next === REPLY_MALFORMED) {
        this.end();
        return;
      }
      const end = next < 0 ? bytes.length : next;
      if (this.line.length < 512) this.line += latin1(bytes, at, end);
      at = end;
      if (next < 0) return;
      const line = this.line.trimEnd();
      this.line = '';
      const question = this.sent.shift();
      if (question === undefined) {
        // The node has said something of its own, such as that it has no room for clients.
        this.end();
        return;
      }
      question.done(line);
    }
  }

  /** The connection is gone. What was asked has no answer; it is the asker who asks again. */
  end(): void {
    const { transport } = this;
    this.attempt = null;
    this.connecting = false;
    this.transport = null;
    this.output.clear();
    this.framer.reset();
    this.line = '';
    this.retryAtMs = this.core.nowMs + this.core.limits.reconnectDelayMs * (0.5 + this.core.random());
    if (transport !== null) {
      this.node.router.add(Counter.upstream_cx_active, -1);
      transport.terminate();
    }
    const unanswered = [...this.sent, ...this.waiting];
    this.sent = [];
    this.waiting = [];
    for (const { done } of unanswered) done(null);
  }

  /** Gives up what has taken too long. Called ten times a second or so. */
  sweep(): void {
    const { nowMs } = this.core;
    const oldest = this.sent[0] ?? this.waiting[0];
    const slow = this.connecting && nowMs - this.startedMs >= this.node.router.settings.connectTimeoutMs;
    if (slow || (oldest !== undefined && oldest.deadlineMs <= nowMs)) this.end();
    else if (this.waiting.length > 0) this.send();
  }
}

/** One attempt to connect; what an earlier one still reports is not heard. */
class Attempt implements TransportEvents {
  constructor(
    private readonly connection: AuthConnection,
    private readonly current: () => boolean,
  ) {}
  opened(transport: Transport): void {
    if (this.current()) this.connection.opened(transport);
    else transport.terminate();
  }
  failed(reason: string): void {
    if (this.current()) this.connection.failed(reason);
  }
  received(bytes: Bytes): void {
    if (this.current()) this.connection.received(bytes);
  }
  drained(): void {
    if (this.current()) this.connection.drained();
  }
  closed(reason: string): void {
    if (this.current()) this.connection.closed(reason);
  }
}
