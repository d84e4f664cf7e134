import { type Bytes, latin1, parseDecimal } from '../bytes.js';
import { Route, type RouteKind } from '../commands/routes.js';
import { flatReplyEnd, ReplyFramer } from '../resp/reply-framer.js';
import type { Core } from './core.js';
import type { Request } from './request.js';

/** Commands whose keys are in several slots are served by one command a slot; this puts the answers together. */
export class Fanout {
  /** Parts, each with its reply once it is there. */
  readonly parts: Request[] = [];
  remaining = 0;
  /** For `splitValues`: the part that serves each key, in the order of the keys. */
  readonly partOfKey: number[] = [];

  constructor(readonly route: RouteKind) {}
}

/** A merged reply: bytes of its own, or ranges of what was received, in order. */
export interface MergedReply {
  pieces: Bytes[];
  failed: boolean;
}

/** Puts the parts' replies together; every part is done and its reply is in one piece. */
export function mergeReplies(core: Core, fanout: Fanout): MergedReply {
  switch (fanout.route) {
    case Route.splitValues:
      return mergeValues(core, fanout);
    case Route.splitSum:
      return mergeSum(core, fanout);
    default:
      return mergeOk(core, fanout);
  }
}

function isError(part: Request): boolean {
  return (part.reply as Bytes)[part.replyStart] === 45;
}

/** The first error as it came when there is one; Envoy's words when several parts failed. */
function errorOf(core: Core, fanout: Fanout): MergedReply | null {
  let count = 0;
  let first: Request | null = null;
  for (const part of fanout.parts) {
    if (!isError(part)) continue;
    first ??= part;
    count++;
  }
  if (first === null) return null;
  // A command that was refused everywhere for one reason (NOPERM, WRONGTYPE) is told that reason.
  if (fanout.parts.length === count && sameErrors(fanout.parts)) {
    const bytes = first.reply as Bytes;
    return { pieces: [bytes.subarray(first.replyStart, first.replyEnd) as Bytes], failed: true };
  }
  return { pieces: [core.text(`-finished with ${count} error(s)\r\n`)], failed: true };
}

function sameErrors(parts: readonly Request[]): boolean {
  const text = (part: Request) => latin1(part.reply as Bytes, part.replyStart, part.replyEnd);
  const first = text(parts[0]);
  return parts.every((part) => text(part) === first);
}

function mergeOk(core: Core, fanout: Fanout): MergedReply {
  return errorOf(core, fanout) ?? { pieces: [core.texts.ok], failed: false };
}

function mergeSum(core: Core, fanout: Fanout): MergedReply {
  const error = errorOf(core, fanout);
  if (error !== null) return error;
  let sum = 0;
  for (const part of fanout.parts) {
    const bytes = part.reply as Bytes;
    const value =
      bytes[part.replyStart] === 58 ? parseDecimal(bytes, part.replyStart + 1, part.replyEnd - 2) : Number.NaN;
    if (Number.isNaN(value)) return { pieces: [core.texts.upstreamProtocolError], failed: true };
    sum += value;
  }
  return { pieces: [core.text(`:${sum}\r\n`)], failed: false };
}

/** A merged array up to this size is copied into one buffer; larger values stay where they were received. */
const GATHER_BYTES_MAX = 16 * 1024;

function mergeValues(core: Core, fanout: Fanout): MergedReply {
  const { parts, partOfKey } = fanout;
  const at: number[] = new Array(parts.length);
  const framer = new ReplyFramer();
  let total = 16;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    const bytes = part.reply as Bytes;
    total += part.replyEnd - part.replyStart;
    if (isError(part)) continue;
    // The element count's line is passed over: the part was asked for as many keys as it serves.
    let line = part.replyStart;
    if (bytes[line] !== 42) return { pieces: [core.texts.upstreamProtocolError], failed: true };
    while (bytes[line] !== 10) line++;
    at[i] = line + 1;
  }
  let failed = false;
  const pieces: Bytes[] = [];
  let gather = core.runtime.allocate(Math.min(total, GATHER_BYTES_MAX));
  let used = 0;
  const header = core.text(`*${partOfKey.length}\r\n`);
  used += header.copy(gather, 0, 0, header.length);
  const append = (bytes: Bytes, start: number, end: number) => {
    const size = end - start;
    if (used + size > gather.length) {
      if (used > 0) pieces.push(gather.subarray(0, used) as Bytes);
      used = 0;
      if (size > GATHER_BYTES_MAX / 4) {
        pieces.push(bytes.subarray(start, end) as Bytes);
        gather = core.runtime.allocate(GATHER_BYTES_MAX);
        return;
      }
      gather = core.runtime.allocate(GATHER_BYTES_MAX);
    }
    bytes.copy(gather, used, start, end);
    used += size;
  };
  for (const index of partOfKey) {
    const part = parts[index];
    const bytes = part.reply as Bytes;
    if (isError(part)) {
      failed = true;
      append(bytes, part.replyStart, part.replyEnd);
      continue;
    }
    const start = at[index];
    let end = start < part.replyEnd ? flatReplyEnd(bytes, start, part.replyEnd) : -1;
    if (end < 0 && start < part.replyEnd) end = framer.feed(bytes, start, part.replyEnd);
    if (end < 0) return { pieces: [core.texts.upstreamProtocolError], failed: true };
    append(bytes, start, end);
    at[index] = end;
  }
  if (used > 0) pieces.push(gather.subarray(0, used) as Bytes);
  return { pieces, failed };
}
