import type { Bytes } from '../bytes.js';
import { COMMANDS } from '../commands/table.generated.js';
import {
  flatArrayEnd,
  flatReplyEnd,
  REPLY_INCOMPLETE,
  REPLY_MALFORMED,
  ReplyFramer,
  shortReplyEnd,
  shortReplyEnds,
} from '../resp/reply-framer.js';
import { upstreamTimesAt } from '../stats.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import type { RequestFifo } from './fifo.js';
import type { Lane } from './lane.js';
import type { Request } from './request.js';

/** An error that arrives in pieces is collected up to this size; Redis's own are lines. */
const ERROR_BYTES_MAX = 1024 * 1024;

const NOT_RESP = 'the upstream sent bytes that are not RESP';
const NOT_ASKED = 'the upstream sent a reply that nobody asked for';
const ENDLESS_ERROR = 'the upstream sent an error without an end';

const PUSH = 62;
const ARRAY = 42;

/**
 * A reply is passed on before it is whole once this much of it has come. What is passed on cannot be taken back: when
 * the connection dies, so must the client's; below this, the command can be repeated or answered with an error.
 */
const STREAM_BYTES_MIN = 16 * 1024;

/** Cuts what one upstream connection receives into replies, and matches them with the commands in flight. */
export class ReplyReader {
  private readonly framer = new ReplyFramer();
  /** The reply that is being framed is a push message, which answers no command. */
  private inPush = false;
  private errorCarry: Bytes | null = null;
  /** Replies that are still to come of the batch that is being read. */
  private left = 0;
  /** Bytes that came in earlier chunks, of the reply that is being read. */
  private cameBytes = 0;
  /** Where the times of the node's answers are counted. A connection that is lent waits for other clients: below 0. */
  private readonly timesAt: number;
  /** Bytes of that batch that came in earlier chunks. */
  private collected = 0;

  constructor(
    private readonly core: Core,
    private readonly lane: Lane,
    private readonly fifo: RequestFifo,
  ) {
    this.timesAt = lane.pool === null ? upstreamTimesAt(COMMANDS.length, lane.router.index) : -1;
  }

  /** Forgets a reply that will not be finished. */
  reset(): void {
    this.framer.reset();
    this.inPush = false;
    this.errorCarry = null;
    this.left = 0;
    this.cameBytes = 0;
  }

  /** Reads the replies in `bytes[at, end)`; the last one may go on in the next chunk. */
  read(bytes: Bytes, at: number, end: number): void {
    const framer = this.framer;
    const fifo = this.fifo;
    while (at < end) {
      if (fifo.length !== 0 && fifo.peek().replies !== 1) {
        at = this.readBatch(fifo.peek(), bytes, at, end);
        continue;
      }
      const start = at;
      let next: number = REPLY_INCOMPLETE;
      const fresh = framer.idle && this.errorCarry === null;
      if (fresh) {
        next = flatReplyEnd(bytes, at, end);
        if (next < 0) {
          if (bytes[at] === ARRAY) next = flatArrayEnd(bytes, at, end);
          else this.inPush = bytes[at] === PUSH;
        }
      }
      if (next < 0) {
        next = framer.feed(bytes, at, end);
        if (next === REPLY_MALFORMED) {
          this.lane.garbage(NOT_RESP, true);
          return;
        }
        if (this.inPush) {
          if (next === REPLY_INCOMPLETE) return;
          this.inPush = false;
          at = next;
          continue;
        }
      }
      // What was given to the connection in this very turn has not left yet.
      if (fifo.length === 0 || (this.lane.dirty && this.lane.unsent(fifo.peek()))) {
        this.lane.garbage(NOT_ASKED, false);
        return;
      }
      const request = fifo.peek();
      if (next === REPLY_INCOMPLETE) {
        this.cameBytes += end - start;
        this.partial(request, bytes, start, end, fresh);
        return;
      }
      fifo.shift();
      at = next;
      if (fresh) {
        this.core.observer.replied(request, next - start, this.timesAt);
        this.core.replies.complete(request, bytes, start, next, this.lane);
      } else {
        this.core.observer.replied(request, this.cameBytes + next - start, this.timesAt);
        this.cameBytes = 0;
        this.completeParts(request, bytes, start, next);
      }
    }
  }

  /** Replies to one request that holds several commands: they are delivered together. Returns where it stopped. */
  private readBatch(request: Request, bytes: Bytes, at: number, end: number): number {
    const { framer } = this;
    if (this.left === 0) {
      if (this.lane.dirty && bytes[at] !== PUSH && this.lane.unsent(request)) {
        this.lane.garbage(NOT_ASKED, false);
        return end;
      }
      this.left = request.replies;
      this.collected = 0;
    }
    // Where the replies end is noted here, so that nobody has to look for it again.
    const fanout = request.parent === null ? null : request.parent.fanout;
    let start = at;
    while (at < end) {
      if (fanout !== null && framer.idle && this.left > 1) {
        // All but the last one that are of the common kinds.
        const first = request.firstGroup + request.replies - this.left;
        const origin = start - this.collected;
        const framed = shortReplyEnds(bytes, at, end, origin, fanout.replyEnd, first, first + this.left - 1);
        if (framed > 0) {
          this.left -= framed;
          at = fanout.replyEnd[first + framed - 1] + origin;
          if (at >= end) break;
        }
      }
      let next: number = REPLY_INCOMPLETE;
      if (framer.idle) {
        this.inPush = bytes[at] === PUSH;
        if (this.inPush) this.collect(request, bytes, start, at);
        else next = shortReplyEnd(bytes, at, end);
      }
      if (next < 0) next = framer.feed(bytes, at, end);
      if (next === REPLY_MALFORMED) {
        this.lane.garbage(NOT_RESP, true);
        return end;
      }
      if (this.inPush) {
        if (next === REPLY_INCOMPLETE) return end;
        this.inPush = false;
        start = at = next;
        continue;
      }
      if (next === REPLY_INCOMPLETE) break;
      at = next;
      if (fanout !== null) {
        fanout.replyEnd[request.firstGroup + request.replies - this.left] = this.collected + at - start;
      }
      if (--this.left === 0) {
        this.fifo.shift();
        this.core.observer.replied(request, 0, this.timesAt);
        this.core.replies.deliver(request, bytes, start, at, false);
        return at;
      }
    }
    this.collect(request, bytes, start, end);
    return end;
  }

  /** Keeps what has come of a reply whose reader wants it whole. */
  private collect(request: Request, bytes: Bytes, start: number, end: number): void {
    this.collected += end - start;
    if (start === end || (request.client === null && request.parent === null)) return;
    request.earlier ??= [];
    this.core.replies.hold(request, end - start);
    request.earlier?.push(start === 0 && end === bytes.length ? bytes : (bytes.subarray(start, end) as Bytes));
  }

  /** A reply that goes on in the next chunk. */
  private partial(request: Request, bytes: Bytes, start: number, end: number, fresh: boolean): void {
    if (this.errorCarry !== null || (fresh && bytes[start] === 45)) {
      // Errors may be redirections; they are looked at whole.
      this.errorCarry = this.joined(this.errorCarry, bytes, start, end);
      if (this.errorCarry.length > ERROR_BYTES_MAX) this.lane.garbage(ENDLESS_ERROR, true);
      return;
    }
    const client = request.client;
    const large = request.streaming || request.held + end - start >= STREAM_BYTES_MIN;
    if (large && client !== null && request.parent === null && client.head === request && !request.silent) {
      if (!request.streaming) {
        request.streaming = true;
        this.giveEarlier(request, client);
      }
      client.stream(bytes, start, end);
      if (client.output.bytes > client.outputBytesMax) this.core.slowClients.holdUpstream(client, this.lane);
      return;
    }
    this.collect(request, bytes, start, end);
  }

  private completeParts(request: Request, bytes: Bytes, start: number, end: number): void {
    if (this.errorCarry !== null) {
      const error = this.joined(this.errorCarry, bytes, start, end);
      this.errorCarry = null;
      this.core.replies.complete(request, error, 0, error.length, this.lane);
      return;
    }
    const client = request.client;
    if (!request.streaming && client !== null && request.parent === null && client.head === request) {
      this.giveEarlier(request, client);
    }
    const streamed = request.streaming;
    this.core.replies.deliver(request, bytes, start, end, false);
    if (streamed && client !== null) this.core.pubsub.streamed(client);
  }

  /** What was kept of a reply while its turn had not come. */
  private giveEarlier(request: Request, client: Client): void {
    if (request.earlier === null) return;
    if (!request.silent) for (const piece of request.earlier) client.stream(piece, 0, piece.length);
    this.core.replies.dropEarlier(request);
  }

  private joined(first: Bytes | null, bytes: Bytes, start: number, end: number): Bytes {
    const before = first === null ? 0 : first.length;
    const whole = this.core.runtime.allocate(before + end - start);
    first?.copy(whole, 0, 0, before);
    bytes.copy(whole, before, start, end);
    return whole;
  }
}
