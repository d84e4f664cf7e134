import { type Bytes, latin1 } from '../bytes.js';
import type { Redirect } from '../core/redirect.js';
import type { Who } from './fragments.js';

const MINUS = 45;
const NONE: readonly SpanEvent[] = [];

/** Events of one upstream request that are kept. */
const EVENTS_MAX = 32;
/** Upstream requests of one command that are kept; more are only counted. */
export const CHILDREN_MAX = 128;
/** Characters of an error that are kept. */
const ERROR_CHARACTERS_MAX = 64;

/** Something that happened to a request on its way. */
export interface SpanEvent {
  readonly name: string;
  readonly atMs: number;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What hangs on a request that is recorded. Times are the runtime's milliseconds. */
export interface Span {
  /** A node has answered, in so many bytes (0: unknown), `ms` after it was sent there last. */
  replied(host: string, bytes: number, nowMs: number, ms: number): void;
  /** This is the reply; when no node gave it, the proxy did. */
  answered(bytes: Bytes, start: number, end: number, isError: boolean, nowMs: number): void;
  /** Several have served it, and this is what was made of their replies. */
  merged(pieces: readonly Bytes[], failed: boolean): void;
  /** A node has sent it elsewhere, or turned it away. */
  redirected(redirect: Redirect, from: string, nowMs: number): void;
  /** Something else has happened to it. */
  event(name: string, nowMs: number): void;
  /** Takes note of one more upstream request that serves it; null when there are too many. */
  child(nowMs: number, event?: string): Span | null;
}

/** One upstream request of a command, with all its attempts. */
export class UpstreamSpan implements Span {
  host = '';
  endedMs = 0;
  bytes = 0;
  /** Empty when there was none. */
  error = '';
  /** Few have any. */
  events: readonly SpanEvent[] = NONE;

  /** @param startedMs when it was first given to a connection, or came to wait for one */
  constructor(
    private readonly parent: CommandSpan,
    readonly startedMs: number,
  ) {}

  replied(host: string, bytes: number, nowMs: number, ms: number): void {
    this.host = host;
    this.bytes = bytes;
    this.endedMs = nowMs;
    this.parent.heard(host, ms);
  }

  answered(bytes: Bytes, start: number, end: number, isError: boolean, nowMs: number): void {
    this.endedMs = nowMs;
    if (this.bytes < end - start) this.bytes = end - start;
    if (isError || bytes[start] === MINUS) this.error = errorText(bytes, start, end);
  }

  merged(): void {}

  redirected(redirect: Redirect, from: string, nowMs: number): void {
    const to: Record<string, string> =
      redirect.type === 'retry' ? {} : { 'redisforge.redirect.to': `${redirect.host}:${redirect.port}` };
    const name = redirect.type === 'retry' ? redirect.reason : redirect.type;
    this.add({ name: name.toUpperCase(), atMs: nowMs, attributes: { 'redisforge.redirect.from': from, ...to } });
  }

  event(name: string, nowMs: number): void {
    this.add({ name, atMs: nowMs, attributes: {} });
  }

  private add(event: SpanEvent): void {
    if (this.events.length < EVENTS_MAX) this.events = [...this.events, event];
  }

  child(): null {
    return null;
  }
}

/** One command of a client. It hangs on the request that has the command's place in the client's order. */
export class CommandSpan implements Span {
  /** Who wants it. */
  logged = false;
  traced = false;
  /** Its identifier when it is traced: 32 hexadecimal digits. */
  trace = '';
  /** Empty when it is not wanted, or there is none. */
  key = '';
  endedMs = 0;
  /** The node that answered last, and how long it took; of several, the longest. */
  host = '';
  upstreamMs = 0;
  responseBytes = 0;
  /** Empty when there was none. */
  error = '';
  /** The client left before it was answered. */
  abandoned = false;
  /** It is answered later, out of its client's order: a login that is being checked, a subscription. */
  deferred = false;
  readonly children: UpstreamSpan[] = [];
  /** Upstream requests beyond `CHILDREN_MAX`. */
  childrenDropped = 0;
  /** It is sent on as it came: nothing else serves it. */
  private own: UpstreamSpan | null = null;

  constructor(
    readonly startedMs: number,
    readonly command: string,
    readonly requestBytes: number,
    readonly who: Who,
  ) {}

  ownRequest(nowMs: number): void {
    this.own = this.child(nowMs);
  }

  child(nowMs: number, event?: string): UpstreamSpan | null {
    if (this.children.length >= CHILDREN_MAX) {
      this.childrenDropped++;
      return null;
    }
    const child = new UpstreamSpan(this, nowMs);
    if (event !== undefined) child.event(event, nowMs);
    this.children.push(child);
    return child;
  }

  /** A node has answered one of its upstream requests. */
  heard(host: string, ms: number): void {
    this.host = host;
    if (ms > this.upstreamMs) this.upstreamMs = ms;
  }

  replied(host: string, bytes: number, nowMs: number, ms: number): void {
    this.responseBytes = bytes;
    this.own?.replied(host, bytes, nowMs, ms);
  }

  answered(bytes: Bytes, start: number, end: number, isError: boolean, nowMs: number): void {
    if (this.responseBytes < end - start) this.responseBytes = end - start;
    if (isError || bytes[start] === MINUS) this.error = errorText(bytes, start, end);
    this.own?.answered(bytes, start, end, isError, nowMs);
  }

  merged(pieces: readonly Bytes[], failed: boolean): void {
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    // What was written straight into the client's output is about as long as what it was made of.
    if (pieces.length === 0) for (const child of this.children) bytes += child.bytes;
    this.responseBytes = bytes;
    const [first] = pieces;
    if (first?.[0] === MINUS) this.error = errorText(first, 0, first.length);
    else if (failed) this.error = 'ERR';
  }

  redirected(redirect: Redirect, from: string, nowMs: number): void {
    this.own?.redirected(redirect, from, nowMs);
  }

  event(name: string, nowMs: number): void {
    this.own?.event(name, nowMs);
  }
}

/** An error without its `-` and CRLF, cut. */
export function errorText(bytes: Bytes, start: number, end: number): string {
  const from = bytes[start] === MINUS ? start + 1 : start;
  const text = latin1(bytes, from, Math.min(end, from + ERROR_CHARACTERS_MAX));
  const line = text.indexOf('\r');
  return line < 0 ? text : text.slice(0, line);
}

/** The class of an error: its code, or, for texts of the proxy that have none, what `error.type` may say. */
export function errorClass(error: string): string {
  const [word = ''] = error.split(' ', 1);
  if (/^[A-Z][A-Z0-9_]*$/.test(word)) return word;
  return error
    .toLowerCase()
    .replace(/[^a-z]+/g, '_')
    .replace(/^_|_$/g, '')
    .slice(0, 64);
}
