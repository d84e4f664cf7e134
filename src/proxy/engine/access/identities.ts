import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { identityOf, LANES_PER_IDENTITY, laneId } from '../core/lane-id.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { encodeWords } from '../pubsub/encode.js';
import { Counter } from '../stats.js';
import { AuthCheck } from './auth-check.js';
import { Identity } from './identity.js';

/** Users are looked after this often. */
const SWEEP_INTERVAL_MS = 100;
/** A user that a node has refused is not checked again at once more often than this. */
const SOONER_MS = 1000;
/** Shares of the interval after which a user is checked again. */
const JITTER = 0.2;

/** No user: clients that have not logged in. Their commands find no connection. */
const NOBODY = -1;

/** What stands for users that are gone, and for nobody. */
const GONE = new Identity(NOBODY, '', '');
GONE.closed = true;

/** A connection that is made for a user. */
interface Connecting {
  readonly identity: Identity | null;
}

/** Users of Redis's that clients of this worker are logged in as, and their connections. */
export class Identities {
  readonly check: AuthCheck;
  private readonly byIndex = new Map<number, Identity>();
  private readonly byLogin = new Map<string, Identity>();
  /** Connections that are being made. */
  private readonly connecting = new Set<Connecting>();
  /** 0 is the proxy's own. */
  private next = 1;
  private sweptMs = 0;

  constructor(private readonly core: Core) {
    this.check = new AuthCheck(core);
  }

  get size(): number {
    return this.byIndex.size;
  }

  /** Whose a connection is, by its number; null: the proxy's own. One that is gone is closed. */
  ofLane(id: number): Identity | null {
    if (id >= 0 && id < LANES_PER_IDENTITY) return null;
    return this.byIndex.get(identityOf(id)) ?? GONE;
  }

  /**
   * The identity of a user and a password that Redis has accepted a moment ago. Null when there are as many as there
   * may be (`max_upstream_users`) and all have clients.
   */
  obtain(user: string, password: string): Identity | null {
    const { core } = this;
    const key = keyOf(user, password);
    const known = this.byLogin.get(key);
    if (known !== undefined) return known;
    const most = core.settings.upstreamAuth?.usersMax ?? 0;
    if (this.byIndex.size >= most && !this.closeOneIdle()) {
      core.count(Counter.upstream_user_overflow);
      return null;
    }
    const identity = new Identity(this.next++, user, password);
    identity.idleSinceMs = identity.checkedMs = core.nowMs;
    identity.nextCheckMs = core.nowMs + this.intervalMs;
    this.byIndex.set(identity.index, identity);
    this.byLogin.set(key, identity);
    core.count(Counter.upstream_user_total);
    this.gauge();
    return identity;
  }

  /** Somebody is logged in as this user, or was a moment ago. */
  knows(user: string): boolean {
    for (const identity of this.byIndex.values()) if (identity.user === user) return true;
    return false;
  }

  /** Has a client's commands run with this user's rights; null: as if it had not logged in. */
  assign(client: Client, identity: Identity | null): void {
    const before = client.identity;
    if (before === identity && before !== null) return;
    if (before !== null) {
      const leave = before.clients.get(client);
      before.clients.delete(client);
      before.idleSinceMs = this.core.nowMs;
      if (leave !== undefined) client.belongings.delete(leave);
      // What one user heard is not for another.
      if (!client.closed) this.core.pubsub.subscribers.leave(client);
    }
    client.identity = identity;
    client.laneId = laneId(identity?.index ?? this.nobody, client.proto);
    if (identity === null) return;
    const leave = () => this.assign(client, null);
    identity.clients.set(client, leave);
    client.belongings.add(leave);
  }

  /** Which connections the commands of a client take that has not logged in. */
  get nobody(): number {
    return this.core.settings.upstreamAuth == null ? 0 : NOBODY;
  }

  // ---------------------------------------------------------------- connections

  /** A connection of a user's asks whether it may be made now; the next tick asks again. */
  mayConnect(connection: Connecting): boolean {
    if (connection.identity?.closed !== false) return false;
    if (this.connecting.size >= this.core.limits.upstreamUserConnectingMax) return false;
    this.connecting.add(connection);
    return true;
  }

  /** It is made, or was not. */
  connected(connection: Connecting): void {
    this.connecting.delete(connection);
  }

  // ---------------------------------------------------------------- checks

  private get intervalMs(): number {
    const { upstreamAuth } = this.core.settings;
    return (upstreamAuth?.checkIntervalMs ?? 5000) * (1 - JITTER * this.core.random());
  }

  /** A node has refused or closed a connection of a user's: Redis closes those of users that are deleted. */
  doubt(identity: Identity): void {
    identity.nextCheckMs = Math.min(identity.nextCheckMs, identity.checkedMs + SOONER_MS);
  }

  /** Asks every node that the user has connections to; when none of them accepts the user, all masters. */
  private checkAgain(identity: Identity): void {
    const { core } = this;
    const intervalMs = this.intervalMs;
    identity.checking = true;
    identity.checkedMs = core.nowMs;
    identity.nextCheckMs = core.nowMs + intervalMs;
    const deadlineMs = core.nowMs + Math.min(intervalMs, core.router.settings.opTimeoutMs);
    const auth = encodeWords(['AUTH', identity.user, identity.password], core.runtime.allocate);
    const nodes = this.nodesOf(identity);
    let left = nodes.size;
    let accepted = false;
    const next = () => {
      if (accepted || identity.closed) {
        identity.checking = false;
        return;
      }
      this.check.anywhere(core.router, auth, deadlineMs, (verdict) => {
        identity.checking = false;
        if (verdict === null) core.count(Counter.upstream_auth_check_failure);
        else if (verdict !== '') this.revoke(identity, verdict);
      });
    };
    core.count(Counter.upstream_auth_check_total);
    if (left === 0) next();
    for (const node of nodes) {
      this.check.at(node, auth, deadlineMs, (verdict) => {
        if (verdict === '') accepted = true;
        else if (verdict === null) core.count(Counter.upstream_auth_check_failure);
        else if (!identity.closed) this.closeAt(identity, node, verdict);
        if (--left === 0) next();
      });
    }
  }

  private nodesOf(identity: Identity): Set<UpstreamNode> {
    const nodes = new Set<UpstreamNode>();
    for (const router of this.core.routers) {
      for (const node of router.nodes()) if (node.hasLanes(identity)) nodes.add(node);
      router.dedicated.nodesOf(identity, nodes);
    }
    this.core.pubsub.nodesOf(identity, nodes);
    return nodes;
  }

  /** One node does not accept the user any more. */
  private closeAt(identity: Identity, node: UpstreamNode, error: string): void {
    node.router.count(Counter.upstream_auth_refused);
    node.closeLanes(identity, error);
    node.router.dedicated.closeUser(identity, node, error);
    this.core.pubsub.closeFeeds(identity, node);
  }

  /** Redis refuses the user: its clients go, and its connections. */
  private revoke(identity: Identity, error: string): void {
    if (identity.closed) return;
    const { core } = this;
    core.count(Counter.upstream_user_revoked);
    core.runtime.log('warn', 'Redis does not accept a user any more; its clients are disconnected', {
      user: identity.user,
      clients: identity.clients.size,
      reason: error,
    });
    this.close(identity, 'Redis does not accept the user any more');
  }

  private close(identity: Identity, reason: string): void {
    const { core } = this;
    identity.closed = true;
    this.byIndex.delete(identity.index);
    this.byLogin.delete(keyOf(identity.user, identity.password));
    for (const client of [...identity.clients.keys()]) {
      client.transport.terminate();
      core.left(client);
    }
    core.pubsub.closeFeeds(identity, null);
    for (const router of [...core.routers, ...core.retiring]) {
      for (const node of router.nodes()) node.closeLanes(identity, reason);
      router.dedicated.closeUser(identity, null, reason);
    }
    this.gauge();
  }

  private closeOneIdle(): boolean {
    let oldest: Identity | null = null;
    for (const identity of this.byIndex.values()) {
      if (identity.clients.size > 0) continue;
      if (oldest === null || identity.idleSinceMs < oldest.idleSinceMs) oldest = identity;
    }
    if (oldest !== null) this.close(oldest, 'there are other users now');
    return oldest !== null;
  }

  private gauge(): void {
    this.core.stats[Counter.upstream_user_active] = this.byIndex.size;
  }

  // ---------------------------------------------------------------- time

  tick(): void {
    const { nowMs, limits } = this.core;
    if (nowMs - this.sweptMs < SWEEP_INTERVAL_MS) return;
    this.sweptMs = nowMs;
    this.check.sweep();
    for (const identity of this.byIndex.values()) {
      if (identity.clients.size === 0) {
        if (nowMs - identity.idleSinceMs >= limits.upstreamUserIdleMs) this.close(identity, 'idle');
      } else if (!identity.checking && nowMs >= identity.nextCheckMs) this.checkAgain(identity);
    }
  }
}

/** The user's length keeps `a` with `bc` apart from `ab` with `c`. */
function keyOf(user: string, password: string): string {
  return `${user.length}:${user}${password}`;
}
