import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import type { Scheduled } from '../core/deadlines.js';
import { type DedicatedUser, masterOf } from '../core/dedicated.js';
import { tellDoubt } from '../core/doubts.js';
import type { Handler } from '../core/handlers.js';
import { type Lane, LaneState } from '../core/lane.js';
import { withProto } from '../core/lane-id.js';
import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import { beginTask, finishTask, sendPart, type Task } from '../core/task.js';
import type { UpstreamNode } from '../core/upstream-node.js';
import { decodeReply, ReplyError } from '../resp/decode.js';
import { encodeCommand } from '../resp/encode.js';
import { Counter } from '../stats.js';
import { KeptCommand } from './arguments.js';
import { type Blocked, beginWait, endWait, MOVED_GRACE_MS, UNBLOCKED } from './waits.js';

/** Names that are tried for a key of a node's own. */
const NAMES_MAX = 200_000;
/** What a server says to WAIT that has become a replica. */
const NO_MASTER = /^ERR WAIT(AOF)? cannot be used with replica/;
/** How often it is asked who has the slots of one that is no master. */
const AGAIN_MS = 50;
/** Nodes that are asked for one command, again ones included. */
const TARGETS_MAX = 4_096;
/** Replies to `marker`. */
const MARKER_REPLIES = 4;

/** A master to be asked. */
interface Target {
  readonly router: Router;
  readonly node: UpstreamNode;
}

/** One that turned out to be no master. */
interface Former extends Target {
  readonly mark: boolean;
  /** Who has its slots is no longer waited for. */
  readonly untilMs: number;
}

/** WAIT and WAITAOF: for what this client has written, wherever that was. */
export const waitForReplicas: Handler = (client, entry, bytes, start, frame) => {
  const { core } = client;
  core.countRequest(entry);
  new ReplicaWait(client, entry, new KeptCommand(core.runtime.allocate, bytes, start, frame));
  return true;
};

/**
 * Asks every master that the client has written to, over a connection of its own, and answers with the least. A server
 * counts the replicas that have what *this connection* has written; so each connection writes something first, which
 * then stands behind all that the client has written before.
 */
class ReplicaWait implements Task, Scheduled, Blocked, DedicatedUser {
  dueMs = Number.POSITIVE_INFINITY;
  private readonly core: Core;
  private readonly parent: Request;
  private readonly lanes = new Map<number, Lane>();
  private readonly deadlineMs: number;
  /** Since when one of those that are asked has had no slots any more. */
  private deposedSinceMs = Number.POSITIVE_INFINITY;
  /** Parts that are not answered. */
  private out = 0;
  /** Numbers of targets whose connection could not write: what it would count is not what was asked for. */
  private readonly unmarked = new Set<number>();
  /** Numbers of targets that are asked about what was written. */
  private readonly marked = new Set<number>();
  /** Targets that turned out to be no masters: who has their slots is asked when that is known. */
  private readonly again = new Map<number, Former>();
  private next = 0;
  private least: number[] | null = null;
  private error: Bytes | null = null;
  private unblocked: string | null = null;

  constructor(
    private readonly client: Client,
    private readonly entry: CommandEntry,
    private readonly command: KeptCommand,
  ) {
    this.core = client.core;
    const ms = Number(command.text(command.count - 1));
    this.deadlineMs = ms > 0 ? this.core.nowMs + ms : Number.POSITIVE_INFINITY;
    this.parent = beginTask(client, entry, this);
    client.belongings.add(this.leave);
    beginWait(client, this);
    this.core.deadlines.add(this, this.deadlineMs);
    const inDoubt = tellDoubt(client);
    if (inDoubt) this.least = this.nothing;
    const written = inDoubt ? [] : writtenTo(client);
    const targets = inDoubt || written.length > 0 ? written : mastersOf(this.core.router);
    // Parts may fail within the call that sends them.
    this.out++;
    for (const target of targets) this.ask(target, written.length > 0);
    if (targets.length === 0 && !inDoubt) this.error = this.core.texts.noUpstreamHost;
    this.settle();
  }

  private ask({ router, node }: Target, mark: boolean): void {
    const number = this.next++;
    // A connection remembers what was written over it, by whomever. The replies are the same in both RESP versions.
    const lane = router.dedicated.acquire(node, withProto(this.parent.laneId, 2), this, !mark);
    if (lane === null) {
      this.error ??= this.core.texts.tooManyDedicated;
      return;
    }
    this.lanes.set(number, lane);
    const part = { router, lane, pinned: true, startedMs: Number.POSITIVE_INFINITY, entry: null };
    const marker = mark ? markerOf(router, node, this.core) : null;
    if (mark) this.marked.add(number);
    if (marker !== null) {
      this.out++;
      sendPart(this.parent, { ...part, bytes: marker, replies: MARKER_REPLIES, index: 2 * number });
    } else if (mark) this.unmarked.add(number);
    this.out++;
    sendPart(this.parent, { ...part, bytes: this.command.bytes, index: 2 * number + 1 });
  }

  answered(part: Request): void {
    const number = part.firstGroup >> 1;
    const bytes = part.reply as Bytes;
    if ((part.firstGroup & 1) === 0) {
      // `+OK`, `+QUEUED`, `+QUEUED` and `*2` with what the two commands say.
      const last = part.failed ? 45 : bytes[part.replyEnd - 4];
      if (last !== 58) this.unmarked.add(number);
    } else this.take(part, number);
    this.settle();
  }

  private take(part: Request, number: number): void {
    const lane = this.lanes.get(number);
    if (lane === undefined) return;
    this.lanes.delete(number);
    const pool = lane.router.dedicated;
    const reply = part.failed ? null : decodeReply(part.reply as Bytes, part.replyStart, part.replyEnd);
    if (part.failed) pool.discard(lane);
    else pool.release(lane);
    if (reply instanceof ReplyError && NO_MASTER.test(reply.message) && this.asksAgain(lane, number)) return;
    if (reply instanceof ReplyError && !reply.message.startsWith('UNBLOCKED force')) {
      this.error ??= (part.reply as Bytes).subarray(part.replyStart, part.replyEnd) as Bytes;
      return;
    }
    const counts = Array.isArray(reply) ? reply : [reply];
    // A node that was lost or is no master any more may have lost what was written: nothing is known to be kept.
    const known = !this.unmarked.has(number) && counts.every((count) => typeof count === 'number');
    const numbers = known ? (counts as number[]) : this.nothing;
    this.least = this.least?.map((value, i) => Math.min(value, numbers[i])) ?? numbers;
  }

  /**
   * Waits for the map to tell who is master in its place, for an `op_timeout` at most. False: there is no time for it, or no
   * cluster, and the client is to hear what the server says.
   */
  private asksAgain({ router, node }: Lane, number: number): boolean {
    const { nowMs } = this.core;
    if (!router.keySpace.clustered || nowMs >= this.deadlineMs || this.next >= TARGETS_MAX) return false;
    const untilMs = Math.min(this.deadlineMs, nowMs + router.settings.opTimeoutMs);
    this.again.set(number, { router, node, mark: this.marked.has(number), untilMs });
    this.out++;
    router.requestRefresh('moved');
    this.core.deadlines.add(this, Math.min(untilMs, nowMs + AGAIN_MS));
    return true;
  }

  /** Asks those who have the slots now of the ones that were no masters. */
  private askSuccessors(): void {
    for (const [number, { router, node, mark }] of [...this.again]) {
      const successor = successorOf(router, node);
      if (successor === node) continue;
      this.again.delete(number);
      for (const target of successor === undefined ? mastersOf(router) : [{ router, node: successor }]) {
        this.ask(target, mark);
      }
      this.settle();
    }
  }

  /** What is said when nothing is known to be kept. */
  private get nothing(): number[] {
    return this.entry.name === 'waitaof' ? [0, 0] : [0];
  }

  private settle(): void {
    if (--this.out > 0) return;
    const { client, core, parent } = this;
    core.deadlines.remove(this);
    client.belongings.delete(this.leave);
    finishTask(core, parent, [this.reply()], this.error !== null);
    endWait(client);
  }

  private reply(): Bytes {
    const { core, least } = this;
    if (this.error !== null) return this.error;
    if (this.unblocked !== null) return core.text(this.unblocked);
    const numbers = (least ?? [0]).map((value) => `:${value}\r\n`).join('');
    return core.text(this.entry.name === 'waitaof' ? `*2\r\n${numbers}` : numbers);
  }

  private readonly leave = (): void => {
    for (const number of [...this.again.keys()]) this.giveUp(number);
    for (const lane of [...this.lanes.values()]) lane.router.dedicated.discard(lane);
  };

  unblock(how: 'timeout' | 'error'): void {
    if (how === 'error') this.unblocked = UNBLOCKED;
    this.leave();
  }

  private giveUp(number: number): void {
    this.again.delete(number);
    this.least = this.nothing;
    this.settle();
  }

  mapChanged(): void {
    this.askSuccessors();
    const deposed = [...this.lanes.values()].some(({ node }) => node.deposed);
    if (deposed === Number.isFinite(this.deposedSinceMs)) return;
    this.deposedSinceMs = deposed ? this.core.nowMs : Number.POSITIVE_INFINITY;
    this.due();
  }

  due(): void {
    // Without a connection of its own it does not hear that the map has changed.
    this.askSuccessors();
    const { nowMs } = this.core;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [number, { router, untilMs }] of [...this.again]) {
      if (nowMs >= untilMs) this.giveUp(number);
      else {
        router.requestRefresh('moved');
        nextMs = Math.min(nextMs, untilMs, nowMs + AGAIN_MS);
      }
    }
    for (const lane of [...this.lanes.values()]) {
      const endMs = this.endOf(lane);
      if (nowMs < endMs) {
        nextMs = Math.min(nextMs, endMs);
        continue;
      }
      const { router } = lane;
      if (nowMs >= this.deadlineMs + router.settings.opTimeoutMs) router.count(Counter.upstream_rq_timeout);
      router.dedicated.discard(lane);
    }
    if (this.lanes.size > 0 || this.again.size > 0) this.core.deadlines.add(this, nextMs);
  }

  /** Until when an answer is waited for. */
  private endOf({ node, router, state }: Lane): number {
    const { deadlineMs, deposedSinceMs } = this;
    // What it would answer is no more than 0 now: time is left to it only so that it can say so.
    if (node.deposed) return Math.min(deadlineMs, deposedSinceMs + MOVED_GRACE_MS);
    return state === LaneState.ready ? deadlineMs + router.settings.opTimeoutMs : deadlineMs;
  }
}

function mastersOf(router: Router): Target[] {
  return router.shards().map(({ node }) => ({ router, node }));
}

/** Itself while it is a master; undefined for a node that has gone, which may have given its slots to any. */
function successorOf(router: Router, node: UpstreamNode): UpstreamNode | undefined {
  return node.master ? node : node.masterIndex >= 0 ? router.nodeAt(node.masterIndex) : undefined;
}

/** The masters of what the client has written; of a node that is none any more, the one that took its place. */
function writtenTo(client: Client): Target[] {
  if (client.wrote === 0) return [];
  const targets = new Map<UpstreamNode, Target>();
  for (const router of client.core.routers) {
    for (const node of router.nodes()) {
      if ((client.wrote & node.bit) === 0) continue;
      const successor = successorOf(router, node);
      const found = successor === undefined ? mastersOf(router) : [{ router, node: successor }];
      for (const target of found) targets.set(target.node, target);
    }
  }
  return [...targets.values()];
}

const markerKeys = new WeakMap<UpstreamNode, string>();

/**
 * A write that leaves nothing behind: a key of the proxy's own is set and deleted in one transaction. Servers since
 * Redis 7.2 note only what a connection has really written, and PUBLISH is no write in a cluster.
 */
function markerOf(router: Router, node: UpstreamNode, core: Core): Bytes | null {
  const { allocate } = core.runtime;
  const isHere = (key: string) => {
    const bytes = core.text(key);
    return masterOf(router, router.keySpace.slotOf(bytes, 0, bytes.length)) === node;
  };
  let key = markerKeys.get(node);
  if (key === undefined || !isHere(key)) {
    key = undefined;
    for (let i = 0; i < NAMES_MAX && key === undefined; i++) {
      const name = `redisforge:wait:${i}`;
      if (isHere(name)) key = name;
    }
    if (key === undefined) return null;
    markerKeys.set(node, key);
  }
  const commands = [['MULTI'], ['SET', key, ''], ['DEL', key], ['EXEC']];
  const encoded = commands.map((command) => encodeCommand(command, allocate));
  const out = allocate(encoded.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of encoded) at += each.copy(out, at, 0, each.length);
  return out;
}
