import type { Bytes } from '../bytes.js';
import type { RouteKind } from '../commands/routes.js';
import type { Core } from './core.js';
import { Hold } from './hold.js';
import { readRedirect } from './redirect.js';
import { acquireRequest, type Request } from './request.js';
import type { Router } from './router.js';

/** Keys that a fan-out has room for at least; its room doubles from there. */
const KEYS_MIN = 32;

/** Free fan-outs kept for later have room for so many keys in all (40 bytes a key); more are left to the garbage collector. */
const FREE_KEYS_MAX = 65536;

/** Commands of this size or more are written into a pooled buffer; less would hold too much memory for too little. */
const POOLED_COMMANDS_BYTES_MIN = 16 * 1024;

/**
 * A command whose keys are in several slots is served by one command a slot, a *group*; groups for one node travel
 * together, as a *batch*. This keeps what belongs to which, and takes the answers. It is used again and again; of its
 * arrays, only what the numbers of keys, groups and batches cover counts.
 */
export class Fanout {
  route!: RouteKind;
  /** What was sent: batches, and groups that had to be sent again on their own. */
  readonly parts: Request[] = [];
  remaining = 0;
  keys = 0;
  groups = 0;
  batches = 0;
  /** Each key's group, and each group's number of keys. */
  readonly groupOfKey: Int32Array;
  readonly keysOfGroup: Int32Array;
  /** Each group's slot. */
  readonly slots: Int32Array;
  /** Number of each batch's first group; one more entry than there are batches. */
  readonly firstOfBatch: Int32Array;
  /** The groups' commands, one behind the other; `commandAt[g]` is where one begins. */
  commands: Bytes | null = null;
  readonly commandAt: Int32Array;
  /** The groups' replies. Of a batch whose reply is on its way, `replyEnd` counts from the batch's first byte. */
  readonly replies: (Bytes | null)[];
  readonly replyAt: Int32Array;
  readonly replyEnd: Int32Array;
  /** Parts whose replies hold no errors; as long as all are in it, what belongs to each group is not looked up. */
  readonly whole: Request[] = [];
  private allWhole = true;
  /** The commands' buffer is a pooled one, and no connection has any of it still to send. */
  private reusable = false;

  /** @param room keys that it can serve */
  constructor(readonly room: number) {
    this.groupOfKey = new Int32Array(room);
    this.keysOfGroup = new Int32Array(room);
    this.slots = new Int32Array(room);
    this.firstOfBatch = new Int32Array(room + 1);
    this.commandAt = new Int32Array(room + 1);
    this.replies = new Array(room).fill(null);
    this.replyAt = new Int32Array(room);
    this.replyEnd = new Int32Array(room);
  }

  /** Gives the commands a buffer of `size` bytes or more. */
  allocateCommands(core: Core, size: number): Bytes {
    this.reusable = size >= POOLED_COMMANDS_BYTES_MIN && size <= core.upstreamBuffers.size;
    this.commands = this.reusable ? core.upstreamBuffers.take() : core.runtime.allocate(size);
    return this.commands;
  }

  /** All is answered, and the answer is made: it is free for another command. */
  release(core: Core): void {
    if (this.reusable) core.upstreamBuffers.give(this.commands as Bytes);
    this.reusable = false;
    this.commands = null;
    this.parts.length = 0;
    // What was received is let go.
    if (!this.allWhole) this.replies.fill(null, 0, this.groups);
    this.allWhole = true;
    this.whole.length = 0;
    if (freeKeys + this.room > FREE_KEYS_MAX) return;
    freeKeys += this.room;
    free.push(this);
  }

  /** Takes the reply of a part. Groups that were redirected or turned away are sent again, each on its own. */
  answered(core: Core, part: Request): void {
    const bytes = part.reply as Bytes;
    const first = part.firstGroup;
    const { replies } = part;
    // What failed, or was answered before it was sent, may be in a connection's output still.
    if (part.failed || core.readingLane?.unsent(part) !== false) this.reusable = false;
    if (this.allWhole && !part.failed && !this.holdsErrors(part)) {
      if (replies === 1) this.replyEnd[first] = part.replyEnd - part.replyStart;
      this.whole.push(part);
      return;
    }
    this.spread();
    if (part.failed) {
      // One error of the proxy's own stands for them all.
      const last = this.lastGroup(part);
      for (let g = first; g < last; g++) this.take(g, bytes, part.replyStart, part.replyEnd);
      return;
    }
    if (replies === 1) {
      // It came as one whole reply.
      this.take(first, bytes, part.replyStart, part.replyEnd);
      return;
    }
    this.takeEach(part);
    for (let g = first, last = first + replies; g < last; g++) {
      const [at, end] = [this.replyAt[g], this.replyEnd[g]];
      if (bytes[at] === 45 && readRedirect(bytes, at, end) !== null) this.sendAgain(core, part, g);
    }
  }

  /** Notes for each group where its reply is. */
  spread(): void {
    this.allWhole = false;
    for (const part of this.whole) this.takeEach(part);
    this.whole.length = 0;
  }

  private takeEach({ reply, replyStart, firstGroup, replies }: Request): void {
    let at = replyStart;
    for (let g = firstGroup, last = firstGroup + replies; g < last; g++) {
      const end = replyStart + this.replyEnd[g];
      this.take(g, reply as Bytes, at, end);
      at = end;
    }
  }

  private holdsErrors({ reply, replyStart, firstGroup, replies }: Request): boolean {
    const bytes = reply as Bytes;
    const { replyEnd } = this;
    if (bytes[replyStart] === 45) return true;
    for (let g = firstGroup, last = firstGroup + replies - 1; g < last; g++) {
      if (bytes[replyStart + replyEnd[g]] === 45) return true;
    }
    return false;
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
    if (parent.span !== null) again.span = parent.span.child(core.nowMs, 'redirected');
    again.firstGroup = group;
    again.order = part.order;
    this.remaining++;
    this.parts.push(again);
    core.retries.resend(again, part.router as Router);
  }

  bytesOf(group: number): Bytes {
    return this.replies[group] as Bytes;
  }

  isError(group: number): boolean {
    return this.bytesOf(group)[this.replyAt[group]] === 45;
  }
}

const free: Fanout[] = [];
let freeKeys = 0;

/** A fan-out with room for a command's keys. */
export function acquireFanout(route: RouteKind, keys: number): Fanout {
  let fanout = free.pop();
  if (fanout !== undefined) freeKeys -= fanout.room;
  // One that is too small is let go: those that are in use grow to what is needed.
  if (fanout === undefined || fanout.room < keys) {
    let room = KEYS_MIN;
    while (room < keys) room *= 2;
    fanout = new Fanout(room);
  }
  fanout.route = route;
  fanout.keys = keys;
  return fanout;
}
