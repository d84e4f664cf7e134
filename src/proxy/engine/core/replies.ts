import { type Bytes, copyBytes } from '../bytes.js';
import { Route } from '../commands/routes.js';
import { Counter, commandStatAt } from '../stats.js';
import type { Core } from './core.js';
import type { Lane } from './lane.js';
import { mergeReplies } from './merge.js';
import { readRedirect } from './redirect.js';
import { type Request, RequestState, releaseRequest } from './request.js';

/** Kept replies up to this size are copied into slabs, which hold nothing else. */
const KEPT_COPY_BYTES_MAX = 2048;
const SLAB_BYTES = 64 * 1024;

/** Brings replies to those who wait for them, and keeps those whose turn has not come. */
export class Replies {
  /** Bytes of kept replies, over all clients. */
  private heldBytes = 0;
  private slab: Bytes | null = null;
  private slabUsed = 0;

  constructor(private readonly core: Core) {}

  /** A whole reply to a request that has just left its connection's order. */
  complete(request: Request, bytes: Bytes, start: number, end: number, lane: Lane): void {
    if (bytes[start] === 45 && (request.client !== null || request.parent !== null)) {
      const redirect = request.pinned ? null : readRedirect(bytes, start, end);
      if (redirect !== null && this.core.retries.follow(request, redirect, lane)) return;
      if (request.entry?.route === Route.scripting && this.core.scripting.recovers(request, bytes, start, end, lane)) {
        return;
      }
      (request.router ?? this.core.router).count(Counter.upstream_rq_error);
      this.deliver(request, bytes, start, end, true);
      return;
    }
    this.deliver(request, bytes, start, end, false);
  }

  /** Gives a reply to whoever waits for it: now when it is its turn, else when it is. */
  deliver(request: Request, bytes: Bytes, start: number, end: number, isError: boolean): void {
    const router = request.router ?? this.core.router;
    this.core.stats[Counter.upstream_rq_total + router.statsOffset]++;
    if (request.recovery !== null) this.core.retries.settled(request);
    if (request.span !== null) request.span.answered(bytes, start, end, isError, this.core.nowMs);
    if (isError && request.entry !== null && request.parent === null)
      this.core.stats[commandStatAt(request.entry.id) + 1]++;
    const client = request.client;
    if (client === null) {
      if (request.parent === null) releaseRequest(request);
      else this.partDone(request, bytes, start, end);
      return;
    }
    if (client.head === request) {
      if (!request.silent) client.output.append(bytes, start, end);
      if (client.output.bytes > client.outputBytesMax && this.core.readingLane !== null) {
        this.core.slowClients.holdUpstream(client, this.core.readingLane);
      }
      client.advance();
      return;
    }
    this.keepReply(request, bytes, start, end);
    this.core.observer.kept(request);
    request.state = RequestState.done;
    this.hold(request, end - start);
  }

  /** Keeps a reply whose turn has not come. A small one is copied: it must not keep a large received chunk alive. */
  private keepReply(request: Request, bytes: Bytes, start: number, end: number): void {
    const size = end - start;
    if (size <= KEPT_COPY_BYTES_MAX && bytes.length >= size * 4) {
      if (this.slab === null || this.slabUsed + size > SLAB_BYTES) {
        this.slab = this.core.runtime.allocate(SLAB_BYTES);
        this.slabUsed = 0;
      }
      request.reply = this.slab;
      request.replyStart = this.slabUsed;
      this.slabUsed = request.replyEnd = copyBytes(bytes, start, end, this.slab, this.slabUsed);
      return;
    }
    request.reply = bytes;
    request.replyStart = start;
    request.replyEnd = end;
  }

  /** Counts bytes of a reply that cannot be passed on yet. The client that brings too many of them is let go. */
  hold(request: Request, size: number): void {
    request.held += size;
    this.heldBytes += size;
    if (this.heldBytes <= this.core.limits.heldRepliesBytesMax) return;
    const client = request.client ?? request.parent?.client;
    if (!client) return;
    this.core.count(Counter.downstream_cx_overflow_close);
    this.core.disconnect(client, 'replies wait for an earlier one, and take more memory than is allowed');
  }

  /** The held bytes of a request have been passed on or dropped. */
  unhold(request: Request): void {
    this.heldBytes -= request.held;
    request.held = 0;
  }

  private partDone(part: Request, bytes: Bytes, start: number, end: number): void {
    this.keepReply(part, bytes, start, end);
    this.hold(part, end - start);
    if (part.earlier !== null) this.joinParts(part);
    part.state = RequestState.done;
    const parent = part.parent as Request;
    this.core.observer.kept(part);
    if (part.upstreamMs > parent.upstreamMs) parent.upstreamMs = part.upstreamMs;
    const { task, fanout } = parent;
    if (task !== null) {
      this.unhold(part);
      task.answered(part);
      releaseRequest(part);
      return;
    }
    if (fanout === null) return;
    fanout.answered(this.core, part);
    if (--fanout.remaining > 0) return;
    const { client } = parent;
    const output = client !== null && client.head === parent && !parent.silent ? client.output : null;
    const merged = client === null ? null : mergeReplies(this.core, fanout, output);
    for (const done of fanout.parts) {
      this.unhold(done);
      releaseRequest(done);
    }
    fanout.release(this.core);
    parent.fanout = null;
    this.finish(parent, merged === null ? [] : merged.pieces, merged?.failed);
  }

  /** Answers a command that others have served; what was pushed for it in the client's order is done. */
  finish(parent: Request, pieces: Bytes[], failed = false): void {
    parent.fanout = null;
    parent.task = null;
    const client = parent.client;
    if (client === null) {
      releaseRequest(parent);
      return;
    }
    if (failed && parent.entry !== null) this.core.countError(parent.entry);
    if (parent.span !== null) parent.span.merged(pieces, failed);
    if (client.head === parent) {
      if (!parent.silent) for (const piece of pieces) client.output.append(piece, 0, piece.length);
      client.advance();
      return;
    }
    parent.earlier = pieces;
    parent.state = RequestState.done;
    let size = 0;
    for (const piece of pieces) size += piece.length;
    this.hold(parent, size);
  }

  private joinParts(part: Request): void {
    const pieces = part.earlier as Bytes[];
    let size = part.replyEnd - part.replyStart;
    for (const piece of pieces) size += piece.length;
    const whole = this.core.runtime.allocate(size);
    let at = 0;
    for (const piece of pieces) at += piece.copy(whole, at, 0, piece.length);
    (part.reply as Bytes).copy(whole, at, part.replyStart, part.replyEnd);
    part.reply = whole;
    part.replyStart = 0;
    part.replyEnd = size;
    part.earlier = null;
  }

  /** Answers a request with an error of the proxy's own. */
  fail(request: Request, error: Bytes): void {
    if (request.client === null && request.parent === null) {
      releaseRequest(request);
      return;
    }
    (request.router ?? this.core.router).count(Counter.upstream_rq_failure);
    this.dropEarlier(request);
    // Of whatever it was to bring, this one error has come.
    request.replies = 1;
    request.failed = true;
    this.deliver(request, error, 0, error.length, true);
  }

  /** Forgets the part of a reply that has come in, because the rest will not. */
  dropEarlier(request: Request): void {
    request.earlier = null;
    this.unhold(request);
  }

  timedOut(request: Request): void {
    (request.router ?? this.core.router).count(Counter.upstream_rq_timeout);
    this.fail(request, request.attempts === 0 ? this.core.texts.noUpstreamHost : this.core.texts.upstreamFailure);
  }
}
