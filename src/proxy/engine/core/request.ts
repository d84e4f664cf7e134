import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Span } from '../trace/span.js';
import type { Client } from './client.js';
import type { Fanout } from './fanout.js';
import { protoOf } from './lane-id.js';
import type { Recovery } from './retries.js';
import type { Router } from './router.js';
import type { Task } from './task.js';

export const RequestState = {
  /** Waits for a connection, a topology or a moment to be sent again. */
  waiting: 0,
  /** In the output or on the wire of an upstream connection. */
  sent: 1,
  /** The reply is here; it waits for its turn in the client's order. */
  done: 2,
} as const;

export const Lost = {
  no: 0,
  /** It cannot have been executed. */
  unsent: 1,
  /** It may have been executed. */
  unknown: 2,
} as const;

/**
 * One command on its way. Requests are linked in their client's order and taken from a free list: nothing is
 * allocated per command once the proxy is warm.
 */
export class Request {
  /** The next in the client's order; while free, the next free one. */
  next: Request | null = null;
  /** Null when nobody waits for the reply: the client has left or was told that it took too long, or it is the proxy's own. */
  client: Client | null = null;
  entry: CommandEntry | null = null;
  state: number = RequestState.waiting;

  /** The command's bytes, kept until the reply so that it can be sent again. */
  bytes: Bytes | null = null;
  start = 0;
  end = 0;
  /** The upstream cluster that serves it. */
  router: Router | null = null;
  /** Below 0: any master. */
  slot = -1;
  /** Replies that its bytes bring: more than one when they hold several commands. They are delivered as one range. */
  replies = 1;
  /** Its reply is an error of the proxy's own, whatever it was to bring. */
  failed = false;
  /** Is not redirected or sent again by the engine: whoever sent it decides, and looks at `lost`. */
  pinned = false;
  /** Of a pinned command whose connection died: what is known of it. */
  lost: number = Lost.no;
  /** It only reads: where it may go, a number of `Read` (routing/table.ts). 0: to the master. */
  read = 0;
  /** Which of a node's connections it takes (lane-id.ts): by the RESP version of the reply, and by whose rights it runs. */
  laneId = 0;
  /** When it arrived, in the runtime's milliseconds. */
  startedMs = 0;
  /** When it was last put into a connection's output, and how long the node then took to answer. */
  sentMs = 0;
  upstreamMs = 0;
  /** Goes up with every command: of two commands, the later one has the larger. */
  order = 0;
  /** How often it has been sent. */
  attempts = 0;
  /** Must be preceded by ASKING: the slot is on its way to the node. */
  asking = false;
  /** Position in its connection's byte stream at which its last byte stands. */
  sentEnd = 0;
  /** The reply, when it cannot be passed on at once: one range of a received buffer … */
  reply: Bytes | null = null;
  replyStart = 0;
  replyEnd = 0;
  /** … and what came before that range, of a reply that arrived in several chunks. */
  earlier: Bytes[] | null = null;
  /** Bytes of the reply that count as held. */
  held = 0;
  /** Part of the reply is with the client already: it can only be finished or cut. */
  streaming = false;

  /** The batch that it was sent again with. */
  recovery: Recovery | null = null;

  /** What records its way; null nearly always. */
  span: Span | null = null;

  /** The client does not want the reply (CLIENT REPLY OFF, SKIP). */
  silent = false;

  /** Of a part of a fan-out: the number of the first command in its bytes. */
  firstGroup = 0;
  /** Set on a command that is served by several others … */
  fanout: Fanout | null = null;
  /** … or by a task that sends others … */
  task: Task | null = null;
  /** … and on each of those. */
  parent: Request | null = null;

  /** RESP version of the reply: 2 or 3. */
  get proto(): number {
    return protoOf(this.laneId);
  }
}

/** Free requests kept for later; more are left to the garbage collector. */
const FREE_MAX = 65536;

let free: Request | null = null;
let freeCount = 0;
let orders = 0;

export function acquireRequest(): Request {
  const request = free;
  if (request === null) return numbered(new Request());
  free = request.next;
  freeCount--;
  request.next = null;
  return numbered(request);
}

/** A request for the command in `bytes[start, end)`. */
export function requestFor(
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  end: number,
  router: Router,
  slot: number,
  startedMs: number,
  laneId: number,
): Request {
  const request = acquireRequest();
  request.entry = entry;
  request.bytes = bytes;
  request.start = start;
  request.end = end;
  request.router = router;
  request.slot = slot;
  request.startedMs = startedMs;
  request.laneId = laneId;
  return request;
}

function numbered(request: Request): Request {
  request.order = ++orders;
  return request;
}

export function releaseRequest(request: Request): void {
  if (freeCount >= FREE_MAX) return;
  request.client = null;
  request.entry = null;
  request.state = RequestState.waiting;
  request.bytes = null;
  request.router = null;
  request.slot = -1;
  request.read = 0;
  request.replies = 1;
  request.failed = false;
  request.pinned = false;
  request.lost = Lost.no;
  request.silent = false;
  request.attempts = 0;
  request.upstreamMs = 0;
  request.asking = false;
  request.reply = null;
  request.earlier = null;
  request.held = 0;
  request.streaming = false;
  request.recovery = null;
  request.span = null;
  request.fanout = null;
  request.task = null;
  request.parent = null;
  request.next = free;
  free = request;
  freeCount++;
}
