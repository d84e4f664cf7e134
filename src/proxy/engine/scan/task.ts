import { type Partition, partitionOf, type ShardTask } from '../broadcast/shards.js';
import { parseTree } from '../broadcast/tree.js';
import { type Bytes, LF } from '../bytes.js';
import type { Core } from '../core/core.js';
import type { Lane } from '../core/lane.js';
import { readRedirect } from '../core/redirect.js';
import type { Request } from '../core/request.js';
import type { Router } from '../core/router.js';
import type { TransportEvents } from '../core/runtime.js';
import { finishTask, sendPart } from '../core/task.js';
import { encodeCommand } from '../resp/encode.js';
import { ReplyFramer } from '../resp/reply-framer.js';
import { type Cursor, checkIn, checkOf, decodeCursor, encodeCursor, fingerprintOf, readCursor } from './cursor.js';
import { readOwnSlots } from './own-slots.js';

export const INVALID_CURSOR = 'ERR invalid cursor';
const MOVED = 'ERR slots have moved between shards since this scan began: start it again with cursor 0';
const TOO_LARGE = 'ERR the shard has too many keys for a cursor of 63 bits that also names the shard';

/** What follows the cursor in the client's command, and how many arguments that had in all. */
export interface ScanOptions {
  readonly bytes: Bytes;
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

/** Fingerprints of the processes behind connections: a new connection is a new `attempt` of its lane. */
const fingerprints = new WeakMap<TransportEvents, number>();

/** What the one part that is out was sent for. */
type Phase = 'scan' | 'greet and scan' | 'wait' | 'check';

/**
 * One SCAN. A cursor means something only to the process that gave it — each has its own hash seed — so it is sent to a
 * connection whose process is known, or behind a question for it, and begins the shard anew for another one: elements may
 * come twice, and none is left out. When a shard is done its master is asked what slots it has: had some gone to a shard
 * that was scanned before, their keys would be missing, and the scan says so.
 */
export class ScanTask implements ShardTask {
  private phase: Phase = 'scan';
  private cursor!: Cursor;
  private partition!: Partition;
  /** What was found, from behind the cursor on; kept while the shard's slots are looked at. */
  private found: Bytes | null = null;
  private waits = 0;

  constructor(
    private readonly core: Core,
    private readonly router: Router,
    private readonly value: bigint,
    private readonly options: ScanOptions,
  ) {}

  begin(parent: Request, partition: Partition): void {
    const check = checkOf(partition.hash);
    this.partition = partition;
    if (this.value === 0n) this.cursor = { check, process: 0, shard: 0, own: 0n };
    else {
      const inside = checkIn(this.value);
      const cursor = decodeCursor(this.value, partition.shards.length);
      if (inside !== 0 && inside !== check) {
        this.fail(parent, MOVED);
        return;
      }
      if (cursor === null) {
        this.fail(parent, INVALID_CURSOR);
        return;
      }
      this.cursor = cursor;
    }
    this.scan(parent);
  }

  private get slot(): number {
    return this.partition.shards[this.cursor.shard].slot;
  }

  /** Over a connection whose process is known; else with a question for it in front. */
  private scan(parent: Request): void {
    const { router } = this;
    const lane = router.laneOf(this.slot, parent.laneId);
    const known = lane?.open && lane.attempt !== null ? fingerprints.get(lane.attempt) : undefined;
    if (lane === null || known === undefined) {
      this.greetAndScan(parent);
      return;
    }
    if (known !== this.cursor.process) this.cursor = { ...this.cursor, process: known, own: 0n };
    this.phase = 'scan';
    const bytes = this.command('');
    sendPart(parent, { bytes, router, slot: this.slot, lane, pinned: true });
  }

  private greetAndScan(parent: Request): void {
    this.phase = 'greet and scan';
    const bytes = this.command('*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n');
    sendPart(parent, { bytes, router: this.router, slot: this.slot, replies: 2 });
  }

  private command(before: string): Bytes {
    const { bytes, start, end, count } = this.options;
    const own = String(this.cursor.own);
    const head = this.core.text(`${before}*${count}\r\n$4\r\nSCAN\r\n$${own.length}\r\n${own}\r\n`);
    const command = this.core.runtime.allocate(head.length + end - start);
    head.copy(command, 0, 0, head.length);
    bytes.copy(command, head.length, start, end);
    return command;
  }

  answered(part: Request): void {
    const parent = part.parent as Request;
    if (parent.client === null) {
      finishTask(this.core, parent, []);
      return;
    }
    this.core.replies.unhold(parent);
    const reply = (part.reply as Bytes).subarray(part.replyStart, part.replyEnd) as Bytes;
    if (this.phase === 'check') this.checked(parent, reply, part.failed);
    else if (part.failed) {
      // The connection died with it: nothing has changed, and the next one is asked who it leads to.
      if (this.phase === 'scan') this.greetAndScan(parent);
      else finishTask(this.core, parent, [reply], true);
    } else if (this.phase === 'wait') {
      if (reply[0] === 45) finishTask(this.core, parent, [reply], true);
      else this.scan(parent);
    } else if (this.phase === 'scan') this.scanned(parent, reply);
    else this.greeted(parent, reply);
  }

  /** INFO's reply, then SCAN's. */
  private greeted(parent: Request, replies: Bytes): void {
    const end = new ReplyFramer().feed(replies, 0, replies.length);
    const lane = this.core.readingLane;
    if (end <= 0 || lane === null) {
      finishTask(this.core, parent, [this.core.texts.upstreamProtocolError], true);
      return;
    }
    const runId = /^run_id:(\S+)/m.exec(parseTree(replies, 0, end)?.text ?? '')?.[1];
    // A server that does not say it (NOPERM) is taken for the same as long as its address is.
    const process = fingerprintOf(runId ?? lane.node.address);
    if (lane.attempt !== null) fingerprints.set(lane.attempt, process);
    const other = process !== this.cursor.process;
    const { own } = this.cursor;
    this.cursor = { ...this.cursor, process };
    if (other && own !== 0n) {
      // The cursor was another process's.
      this.cursor = { ...this.cursor, own: 0n };
      this.scan(parent);
    } else this.scanned(parent, replies.subarray(end) as Bytes);
  }

  private scanned(parent: Request, reply: Bytes): void {
    const { core, router } = this;
    if (reply[0] === 45) {
      const again = this.waits < core.limits.attemptsMax && readRedirect(reply, 0, reply.length)?.type === 'retry';
      if (again) this.waitForServer(parent);
      else finishTask(core, parent, [reply], true);
      return;
    }
    // `*2`, a bulk string with the cursor, and the elements.
    const cursorAt = reply.indexOf(LF, reply.indexOf(LF) + 1) + 1;
    const cursorEnd = reply.indexOf(LF, cursorAt) - 1;
    const own = cursorAt > 0 && cursorEnd > cursorAt ? readCursor(reply, cursorAt, cursorEnd) : null;
    if (own === null) {
      finishTask(core, parent, [core.texts.upstreamProtocolError], true);
      return;
    }
    this.cursor = { ...this.cursor, own };
    this.found = reply.subarray(cursorEnd + 2) as Bytes;
    if (own !== 0n) this.answer(parent);
    else if (router.keySpace.clustered && core.readingLane !== null) this.check(parent, core.readingLane);
    else this.nextShard(parent);
  }

  /** The server loads, or has lost its master: waits with a command that the engine sends until it is served. */
  private waitForServer(parent: Request): void {
    this.phase = 'wait';
    this.waits++;
    const bytes = encodeCommand(['DBSIZE'], this.core.runtime.allocate);
    sendPart(parent, { bytes, router: this.router, slot: this.slot });
  }

  private check(parent: Request, lane: Lane): void {
    this.phase = 'check';
    // The elements wait meanwhile, like a reply whose turn has not come.
    this.core.replies.hold(parent, (this.found as Bytes).length);
    const bytes = encodeCommand(['CLUSTER', 'NODES'], this.core.runtime.allocate);
    sendPart(parent, { bytes, entry: null, router: this.router, lane, slot: this.slot, pinned: true });
  }

  /** CLUSTER NODES of the master whose last keys have come. */
  private checked(parent: Request, reply: Bytes, failed: boolean): void {
    const { router, partition } = this;
    // Without an answer nobody knows what became of its slots: the shard is scanned once more.
    if (failed) {
      this.answer(parent);
      return;
    }
    const own = readOwnSlots((parseTree(reply, 0, reply.length)?.text ?? '').replace(/^txt:/, ''));
    // It may not be asked (NOPERM): what is left is the check of the slot map at every step.
    if (own === null) {
      this.nextShard(parent);
      return;
    }
    if (own.replica) {
      router.requestRefresh('moved');
      this.answer(parent);
      return;
    }
    const now = partitionOf(router);
    const { nodeIndex } = now.shards[this.cursor.shard] ?? {};
    let same = !own.open && now.hash === partition.hash;
    for (let slot = 0; same && slot < own.owned.length; slot++) {
      same = (own.owned[slot] === 1) === (router.slotMap.nodeOf(slot) === nodeIndex);
    }
    if (same) this.nextShard(parent);
    else {
      router.requestRefresh('moved');
      this.fail(parent, MOVED);
    }
  }

  private nextShard(parent: Request): void {
    const shard = this.cursor.shard + 1;
    if (shard === this.partition.shards.length) this.finish(parent, 0n);
    else {
      this.cursor = { ...this.cursor, process: 0, shard, own: 0n };
      this.answer(parent);
    }
  }

  private answer(parent: Request): void {
    const value = encodeCursor(this.cursor, this.partition.shards.length);
    if (value === null) this.fail(parent, TOO_LARGE);
    else this.finish(parent, value);
  }

  private finish(parent: Request, value: bigint): void {
    const text = String(value);
    const head = this.core.text(`*2\r\n$${text.length}\r\n${text}\r\n`);
    finishTask(this.core, parent, [head, this.found as Bytes]);
  }

  private fail(parent: Request, text: string): void {
    finishTask(this.core, parent, [this.core.text(`-${text}\r\n`)], true);
  }
}
