import { type Bytes, latin1, parseDecimal } from '../bytes.js';
import { Route, type RouteKind } from '../commands/routes.js';
import { ReplyFramer, shortReplyEnd } from '../resp/reply-framer.js';
import type { Core } from './core.js';
import { Hold } from './hold.js';
import type { Output } from './output.js';
import { readRedirect } from './redirect.js';
import { acquireRequest, type Request } from './request.js';
import type { Router } from './router.js';

const framer = new ReplyFramer();

/**
 * A command whose keys are in several slots is served by one command a slot, a *group*; groups for one node travel
 * together, as a *batch*. This keeps what belongs to which, and puts the answers together.
 */
export class Fanout {
  /** What was sent: batches, and groups that had to be sent again on their own. */
  readonly parts: Request[] = [];
  remaining = 0;
  readonly groups: number;
  readonly batches: number;
  /** The groups' commands, one behind the other; `commandAt[g]` is where one begins. */
  commands!: Bytes;
  readonly commandAt: Int32Array;
  /** The groups' replies. */
  private readonly replies: (Bytes | null)[];
  private readonly replyAt: Int32Array;
  private readonly replyEnd: Int32Array;

  /**
   * @param firstOfBatch number of each batch's first group; one more entry than there are batches
   * @param slots each group's slot
   * @param groupOfKey each key's group
   * @param keysOfGroup each group's number of keys
   */
  constructor(
    readonly route: RouteKind,
    readonly firstOfBatch: Int32Array,
    readonly slots: Int32Array,
    readonly groupOfKey: Int32Array,
    readonly keysOfGroup: Int32Array,
  ) {
    this.groups = slots.length;
    this.batches = firstOfBatch.length - 1;
    this.commandAt = new Int32Array(this.groups + 1);
    this.replies = new Array(this.groups).fill(null);
    this.replyAt = new Int32Array(this.groups);
    this.replyEnd = new Int32Array(this.groups);
  }

  /** Takes the reply of a part. Groups that were redirected or turned away are sent again, each on its own. */
  answered(core: Core, part: Request): void {
    const bytes = part.reply as Bytes;
    const first = part.firstGroup;
    const { replies } = part;
    const last = this.lastGroup(part);
    if (part.failed) {
      // One error of the proxy's own stands for them all.
      for (let g = first; g < last; g++) this.take(g, bytes, part.replyStart, part.replyEnd);
      return;
    }
    if (replies === 1) {
      // It came as one whole reply.
      this.take(first, bytes, part.replyStart, part.replyEnd);
      return;
    }
    let at = part.replyStart;
    for (let g = first; g < last; g++) {
      const end = replyEndAt(bytes, at, part.replyEnd);
      this.take(g, bytes, at, end);
      if (bytes[at] === 45 && readRedirect(bytes, at, end) !== null) this.sendAgain(core, part, g);
      at = end;
    }
  }

  private lastGroup(part: Request): number {
    // A part that holds one group may stand in the middle of a batch: its end tells.
    let last = part.firstGroup;
    while (this.commandAt[last] < part.end) last++;
    return last;
  }

  private take(group: number, bytes: Bytes, start: number, end: number): void {
    this.replies[group] = bytes;
    this.replyAt[group] = start;
    this.replyEnd[group] = end;
  }

  /** A group goes its own way; from here on the engine follows its redirections. */
  private sendAgain(core: Core, part: Request, group: number): void {
    const parent = part.parent as Request;
    if (parent.client === null) return;
    const lane = core.readingLane;
    if (lane?.readonly) lane.router.reads.turnedAway(lane.node);
    // What the client sends from now on must not overtake it.
    parent.client.setHold(Hold.order);
    const again = acquireRequest();
    again.entry = part.entry;
    again.bytes = this.commands;
    again.start = this.commandAt[group];
    again.end = this.commandAt[group + 1];
    again.router = part.router;
    again.slot = this.slots[group];
    again.laneId = part.laneId;
    again.startedMs = part.startedMs;
    again.parent = parent;
    again.firstGroup = group;
    again.order = part.order;
    this.remaining++;
    this.parts.push(again);
    core.retries.resend(again, part.router as Router);
  }

  bytesOf(group: number): Bytes {
    return this.replies[group] as Bytes;
  }

  startOf(group: number): number {
    return this.replyAt[group];
  }

  endOf(group: number): number {
    return this.replyEnd[group];
  }

  isError(group: number): boolean {
    return this.bytesOf(group)[this.replyAt[group]] === 45;
  }
}

/** The end of the whole reply at `at`. The range is known to hold whole replies only. */
function replyEndAt(bytes: Bytes, at: number, end: number): number {
  const short = shortReplyEnd(bytes, at, end);
  if (short >= 0) return short;
  const framed = framer.feed(bytes, at, end);
  if (framed >= 0) return framed;
  framer.reset();
  return end;
}

/** A merged reply: bytes of its own, or ranges of what was received, in order. */
export interface MergedReply {
  pieces: Bytes[];
  failed: boolean;
}

/**
 * Puts the groups' replies together; every group has its own, in one piece. An array of values may go into `output`
 * right away; then there are no pieces.
 */
export function mergeReplies(core: Core, fanout: Fanout, output: Output | null): MergedReply {
  switch (fanout.route) {
    case Route.splitValues:
      return mergeValues(core, fanout, output);
    case Route.splitSum:
      return mergeSum(core, fanout);
    default:
      return errorOf(core, fanout) ?? { pieces: [core.texts.ok], failed: false };
  }
}

/** The first error as it came when there is one; Envoy's words when several groups failed. */
function errorOf(core: Core, fanout: Fanout): MergedReply | null {
  let count = 0;
  let first = -1;
  for (let g = 0; g < fanout.groups; g++) {
    if (!fanout.isError(g)) continue;
    if (first < 0) first = g;
    count++;
  }
  if (first < 0) return null;
  // A command that was refused everywhere for one reason (NOPERM, WRONGTYPE) is told that reason.
  if (fanout.groups === count && sameErrors(fanout)) {
    const piece = fanout.bytesOf(first).subarray(fanout.startOf(first), fanout.endOf(first)) as Bytes;
    return { pieces: [piece], failed: true };
  }
  return { pieces: [core.text(`-finished with ${count} error(s)\r\n`)], failed: true };
}

function sameErrors(fanout: Fanout): boolean {
  const text = (g: number) => latin1(fanout.bytesOf(g), fanout.startOf(g), fanout.endOf(g));
  const first = text(0);
  for (let g = 1; g < fanout.groups; g++) if (text(g) !== first) return false;
  return true;
}

function mergeSum(core: Core, fanout: Fanout): MergedReply {
  const error = errorOf(core, fanout);
  if (error !== null) return error;
  let sum = 0;
  for (let g = 0; g < fanout.groups; g++) {
    const bytes = fanout.bytesOf(g);
    const start = fanout.startOf(g);
    const value = bytes[start] === 58 ? parseDecimal(bytes, start + 1, fanout.endOf(g) - 2) : Number.NaN;
    if (Number.isNaN(value)) return { pieces: [core.texts.upstreamProtocolError], failed: true };
    sum += value;
  }
  return { pieces: [core.text(`:${sum}\r\n`)], failed: false };
}

/** A merged array up to this size is copied into one buffer; larger values stay where they were received. */
const GATHER_BYTES_MAX = 128 * 1024;

/** Bytes that follow one another in a reply: small ones are gathered, large ones passed by reference. */
class Gather {
  readonly pieces: Bytes[] = [];
  private buffer: Bytes;
  private used = 0;

  constructor(
    private readonly core: Core,
    expected: number,
  ) {
    this.buffer = core.runtime.allocate(Math.min(expected, GATHER_BYTES_MAX));
  }

  append(bytes: Bytes, start: number, end: number): void {
    const size = end - start;
    if (this.used + size > this.buffer.length) {
      this.close();
      this.buffer = this.core.runtime.allocate(GATHER_BYTES_MAX);
      if (size > GATHER_BYTES_MAX / 4) {
        this.pieces.push(bytes.subarray(start, end) as Bytes);
        return;
      }
    }
    bytes.copy(this.buffer, this.used, start, end);
    this.used += size;
  }

  close(): void {
    if (this.used > 0) this.pieces.push(this.buffer.subarray(0, this.used) as Bytes);
    this.used = 0;
  }
}

function mergeValues(core: Core, fanout: Fanout, output: Output | null): MergedReply {
  const { groups, groupOfKey, keysOfGroup } = fanout;
  /** Where each group's next value stands. */
  const at = new Int32Array(groups);
  let total = 16;
  for (let g = 0; g < groups; g++) {
    const bytes = fanout.bytesOf(g);
    let line = fanout.startOf(g);
    total += fanout.endOf(g) - line;
    if (fanout.isError(g)) continue;
    // What is in the output cannot be taken back: a group must bring as many values as it was asked for.
    const values = line;
    while (bytes[line] !== 10) line++;
    if (bytes[values] !== 42 || parseDecimal(bytes, values + 1, line - 1) !== keysOfGroup[g]) {
      return { pieces: [core.texts.upstreamProtocolError], failed: true };
    }
    at[g] = line + 1;
  }
  let failed = false;
  const gather = output === null ? new Gather(core, total) : null;
  const target = output ?? (gather as Gather);
  const header = core.countLine(groupOfKey.length);
  target.append(header, 0, header.length);
  for (let i = 0; i < groupOfKey.length; i++) {
    const g = groupOfKey[i];
    const bytes = fanout.bytesOf(g);
    if (fanout.isError(g)) {
      failed = true;
      target.append(bytes, fanout.startOf(g), fanout.endOf(g));
      continue;
    }
    const start = at[g];
    const end = keysOfGroup[g] === 1 ? fanout.endOf(g) : replyEndAt(bytes, start, fanout.endOf(g));
    target.append(bytes, start, end);
    at[g] = end;
  }
  gather?.close();
  return { pieces: gather?.pieces ?? [], failed };
}
