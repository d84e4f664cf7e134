import { type Bytes, copyBytes, latin1, parseDecimal } from '../bytes.js';
import { Route } from '../commands/routes.js';
import { type Kernel, kernelFor } from '../kernel/kernel.js';
import { ReplyFramer, shortReplyEnd } from '../resp/reply-framer.js';
import type { Core } from './core.js';
import type { Fanout } from './fanout.js';
import type { Output } from './output.js';

const framer = new ReplyFramer();

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
  if (fanout.route === Route.splitValues) {
    const kernel = kernelFor(fanout.keys);
    const merged = kernel === null ? null : mergeByKernel(kernel, core, fanout, output);
    if (merged !== null) return merged;
  }
  fanout.spread();
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
    const piece = fanout.bytesOf(first).subarray(fanout.replyAt[first], fanout.replyEnd[first]) as Bytes;
    return { pieces: [piece], failed: true };
  }
  return { pieces: [core.text(`-finished with ${count} error(s)\r\n`)], failed: true };
}

function sameErrors(fanout: Fanout): boolean {
  const text = (g: number) => latin1(fanout.bytesOf(g), fanout.replyAt[g], fanout.replyEnd[g]);
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
    const start = fanout.replyAt[g];
    const value = bytes[start] === 58 ? parseDecimal(bytes, start + 1, fanout.replyEnd[g] - 2) : Number.NaN;
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

/** A merged array from this size up to a pooled buffer's is put together in one, and written from there. */
const POOLED_REPLY_BYTES_MIN = 32 * 1024;

/** `*<count>\r\n` is no longer than that. */
const COUNT_LINE_BYTES_MAX = 16;

/** Where each group's next value stands; below 0: it brought an error. Scratch memory, used within one call. */
let nextOfGroup = new Int32Array(64);

function mergeValues(core: Core, fanout: Fanout, output: Output | null): MergedReply {
  const { groups, keysOfGroup, replyAt, replyEnd } = fanout;
  if (nextOfGroup.length < groups) nextOfGroup = new Int32Array(groups * 2);
  let failed = false;
  let total = COUNT_LINE_BYTES_MAX;
  for (let g = 0; g < groups; g++) {
    const bytes = fanout.bytesOf(g);
    const start = replyAt[g];
    const size = replyEnd[g] - start;
    if (bytes[start] === 45) {
      nextOfGroup[g] = -1;
      failed = true;
      // It stands for each of the group's values.
      total += size * keysOfGroup[g];
      continue;
    }
    const values = valuesAt(bytes, start, keysOfGroup[g]);
    // What is in the output cannot be taken back: a group must bring as many values as it was asked for.
    if (values < 0) return { pieces: [core.texts.upstreamProtocolError], failed: true };
    nextOfGroup[g] = values;
    total += size;
  }
  const { upstreamBuffers } = core;
  if (output !== null && total >= POOLED_REPLY_BYTES_MIN && total <= upstreamBuffers.size) {
    const buffer = upstreamBuffers.take();
    output.adopt(buffer, copyValues(core, fanout, buffer), upstreamBuffers);
    return { pieces: [], failed };
  }
  const gather = output === null ? new Gather(core, total) : null;
  appendValues(core, fanout, output ?? (gather as Gather));
  gather?.close();
  return { pieces: gather?.pieces ?? [], failed };
}

/** As `mergeValues`, for many keys and replies without errors; null when there are some, or they are too large. */
function mergeByKernel(kernel: Kernel, core: Core, fanout: Fanout, output: Output | null): MergedReply | null {
  const { whole, batches, keys, groups, replyEnd } = fanout;
  if (whole.length !== batches) return null;
  let total = COUNT_LINE_BYTES_MAX;
  for (const part of whole) total += part.replyEnd - part.replyStart;
  if (total > kernel.windowBytes) return null;
  let at = 0;
  for (let b = 0; b < batches; b++) {
    const part = fanout.parts[b];
    (part.reply as Bytes).copy(kernel.memory, kernel.input + at, part.replyStart, part.replyEnd);
    const last = part.firstGroup + part.replies;
    for (let g = part.firstGroup; g < last; g++) kernel.replyEnd[g] = at + replyEnd[g];
    at += part.replyEnd - part.replyStart;
  }
  kernel.groupOfKey.set(fanout.groupOfKey.subarray(0, keys));
  kernel.keysOfGroup.set(fanout.keysOfGroup.subarray(0, groups));
  const size = kernel.run.gatherValues(keys, groups);
  if (size < 0) return null;
  const { upstreamBuffers } = core;
  const pooled = output !== null && size >= POOLED_REPLY_BYTES_MIN && size <= upstreamBuffers.size;
  const reply = pooled ? upstreamBuffers.take() : core.runtime.allocate(size);
  reply.set(kernel.memory.subarray(kernel.output, kernel.output + size));
  if (pooled) output.adopt(reply, size, upstreamBuffers);
  else output?.append(reply, 0, size);
  return { pieces: output === null ? [reply] : [], failed: false };
}

/** Where the values of an array of `count` of them begin; below 0 when it is not such an array. */
function valuesAt(bytes: Bytes, start: number, count: number): number {
  // `*1\r\n`
  if (count === 1 && bytes[start] === 42 && bytes[start + 1] === 49 && bytes[start + 2] === 13) return start + 4;
  let line = start;
  while (bytes[line] !== 10) line++;
  return bytes[start] === 42 && parseDecimal(bytes, start + 1, line - 1) === count ? line + 1 : -1;
}

/** The end of the next value of a group that brought no error. */
function valueEnd(fanout: Fanout, group: number, bytes: Bytes, at: number): number {
  const end = fanout.replyEnd[group];
  return fanout.keysOfGroup[group] === 1 ? end : replyEndAt(bytes, at, end);
}

/** The values in the order of their keys. */
function appendValues(core: Core, fanout: Fanout, target: Output | Gather): void {
  const { keys, groupOfKey, replyAt, replyEnd } = fanout;
  const header = core.countLine(keys);
  target.append(header, 0, header.length);
  for (let i = 0; i < keys; i++) {
    const g = groupOfKey[i];
    const bytes = fanout.bytesOf(g);
    const start = nextOfGroup[g];
    if (start < 0) target.append(bytes, replyAt[g], replyEnd[g]);
    else {
      const end = valueEnd(fanout, g, bytes, start);
      nextOfGroup[g] = end;
      target.append(bytes, start, end);
    }
  }
}

/** The same into a buffer that has room for all of them; returns the offset after the last. */
function copyValues(core: Core, fanout: Fanout, target: Bytes): number {
  const { keys, groupOfKey, replyAt, replyEnd } = fanout;
  const header = core.countLine(keys);
  let at = copyBytes(header, 0, header.length, target, 0);
  for (let i = 0; i < keys; i++) {
    const g = groupOfKey[i];
    const bytes = fanout.bytesOf(g);
    const start = nextOfGroup[g];
    if (start < 0) {
      at = copyBytes(bytes, replyAt[g], replyEnd[g], target, at);
      continue;
    }
    let end = valueEnd(fanout, g, bytes, start);
    // The values of neighbours in one group are neighbours there, too.
    while (i + 1 < keys && groupOfKey[i + 1] === g) {
      end = valueEnd(fanout, g, bytes, end);
      i++;
    }
    nextOfGroup[g] = end;
    at = copyBytes(bytes, start, end, target, at);
  }
  return at;
}
