import type { Bytes } from '../bytes.js';
import type { Core } from '../core/core.js';
import type { Router } from '../core/router.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { AuthConnection } from './auth-connection.js';

/** `''`: Redis accepts the login; another text: its error, without `-`; null: no node answered. */
export type Verdict = string | null;

/** When no node can be asked, they are tried again after this time. */
const RETRY_MS = 100;
/** Logins that wait for it; further ones are told at once that they cannot be checked. */
const WAITING_MAX = 4096;

interface Waiting {
  readonly dueMs: number;
  readonly go: () => void;
}

/** Errors by which Redis refuses a login; any other says something of the node. */
const REFUSAL = /^-(WRONGPASS|ERR AUTH <password> called|ERR invalid password)/;

/** Asks nodes whether they accept logins. */
export class AuthCheck {
  private readonly connections = new Map<UpstreamNode, AuthConnection>();
  private waiting: Waiting[] = [];
  /** Connections that are for one purpose. */
  private readonly short = new Set<AuthConnection>();
  private turn = 0;

  constructor(private readonly core: Core) {}

  /** Connections that are there. */
  get open(): number {
    let open = 0;
    for (const connection of this.connections.values()) if (connection.ready) open++;
    return open;
  }

  /** Asks one node, once. */
  at(node: UpstreamNode, auth: Bytes, deadlineMs: number, done: (verdict: Verdict) => void): void {
    let connection = this.connections.get(node);
    if (connection === undefined) {
      connection = new AuthConnection(this.core, node);
      this.connections.set(node, connection);
    }
    connection.ask({
      bytes: auth,
      deadlineMs,
      done: (line) => {
        if (line?.startsWith('+')) done('');
        else if (line !== null && REFUSAL.test(line)) done(line.slice(1));
        else done(null);
      },
    });
  }

  /**
   * Asks the masters one after another until one accepts: users are each node's own, and while they are changed the
   * nodes may disagree. What a node does not accept it refuses itself, command by command.
   */
  anywhere(router: Router, auth: Bytes, deadlineMs: number, done: (verdict: Verdict) => void): void {
    const { masters } = router;
    const first = masters.length === 0 ? 0 : this.turn++ % masters.length;
    const order = masters.map((_, i) => masters[(first + i) % masters.length] as UpstreamNode);
    // One that is connected answers at once.
    order.sort((a, b) => Number(this.ready(b)) - Number(this.ready(a)));
    let refusal: string | null = null;
    const ask = (at: number): void => {
      if (at < order.length && this.core.nowMs < deadlineMs) {
        this.at(order[at] as UpstreamNode, auth, deadlineMs, (verdict) => {
          if (verdict === '') {
            done('');
            return;
          }
          refusal ??= verdict;
          ask(at + 1);
        });
        return;
      }
      const full = this.waiting.length >= WAITING_MAX;
      if (refusal !== null || full || this.core.nowMs + RETRY_MS >= deadlineMs) done(refusal);
      else {
        const go = () => this.anywhere(router, auth, deadlineMs, done);
        this.waiting.push({ dueMs: this.core.nowMs + RETRY_MS, go });
      }
    };
    ask(0);
  }

  /** Says several things to some master over a connection of its own; brings the reply to the last one. */
  once(router: Router, commands: readonly Bytes[], deadlineMs: number, done: (line: string | null) => void): void {
    const { masters } = router;
    const node = masters.find((each) => this.ready(each)) ?? masters[0];
    if (node === undefined) {
      done(null);
      return;
    }
    const connection = new AuthConnection(this.core, node);
    this.short.add(connection);
    commands.forEach((bytes, i) => {
      const last = i === commands.length - 1;
      connection.ask({
        bytes,
        deadlineMs,
        done: (line) => {
          if (!last) return;
          this.short.delete(connection);
          connection.end();
          done(line);
        },
      });
    });
  }

  private ready(node: UpstreamNode): boolean {
    return this.connections.get(node)?.ready === true;
  }

  /** Called ten times a second or so. */
  sweep(): void {
    const { nowMs } = this.core;
    for (const [node, connection] of this.connections) {
      connection.sweep();
      if (!connection.idle && node.router.knows(node)) continue;
      this.connections.delete(node);
      connection.end();
    }
    for (const connection of this.short) connection.sweep();
    if (this.waiting.length === 0) return;
    const due = this.waiting.filter(({ dueMs }) => dueMs <= nowMs);
    this.waiting = this.waiting.filter(({ dueMs }) => dueMs > nowMs);
    for (const { go } of due) go();
  }
}
