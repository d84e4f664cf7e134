import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import type { Lane } from './lane.js';
import { acquireRequest, type Request } from './request.js';
import type { Router } from './router.js';

/**
 * What serves one command of a client by several commands to upstreams, one after another or side by side. It belongs
 * to a request that keeps its place in the client's order: `beginTask` → `sendPart` … → `finishTask`.
 */
export interface Task {
  /**
   * A part has its reply, in `part.reply[part.replyStart, part.replyEnd)`, or an error in its place: of the server's,
   * or the proxy's own (`upstream failure`, `no upstream host`). The bytes may be kept (`subarray`), the part may not.
   * It is called also when the client has left (`part.parent.client` is null); then `finishTask` only cleans up.
   */
  answered(part: Request): void;
}

/** Takes a place in the client's order for a task. Every task ends with `finishTask`. */
export function beginTask(client: Client, entry: CommandEntry | null, task: Task): Request {
  const parent = acquireRequest();
  parent.entry = entry;
  parent.laneId = client.laneId;
  parent.startedMs = client.core.nowMs;
  parent.task = task;
  if (entry !== null) parent.span = client.core.recorder.ofTask(client);
  client.push(parent);
  return parent;
}

/** One upstream command of a task. */
export interface Part {
  /** Its bytes are `bytes[start, end)`; they must not change before the reply. By default all of them. */
  readonly bytes: Bytes;
  readonly start?: number;
  readonly end?: number;
  /** By default the parent's. */
  readonly entry?: CommandEntry | null;
  readonly router: Router;
  /** Which shard; below 0: any master. Not needed with `lane`. */
  readonly slot?: number;
  /** This connection, rather than the slot's. */
  readonly lane?: Lane;
  /** Is neither redirected nor sent again by the engine; see `Request.pinned` and `Request.lost`. */
  readonly pinned?: boolean;
  /** ASKING goes before it: the slot is on its way to the node of `lane`. */
  readonly asking?: boolean;
  /** Replies that the bytes bring. */
  readonly replies?: number;
  /** A number of the task's choosing, which the answered part bears as `firstGroup`; by default 0. */
  readonly index?: number;
  /** When its `op_timeout` begins; by default when the parent came. `Infinity`: it has none. */
  readonly startedMs?: number;
}

/** Sends a part. Its answer comes later, or within this call when there is no way to send it. */
export function sendPart(parent: Request, part: Part): void {
  const request = acquireRequest();
  request.entry = part.entry === undefined ? parent.entry : part.entry;
  request.bytes = part.bytes;
  request.start = part.start ?? 0;
  request.end = part.end ?? part.bytes.length;
  request.router = part.router;
  request.slot = part.slot ?? -1;
  request.laneId = parent.laneId;
  request.startedMs = part.startedMs ?? parent.startedMs;
  request.parent = parent;
  if (parent.span !== null) request.span = parent.span.child((request.router as Router).nowMs);
  request.pinned = part.pinned === true;
  request.asking = part.asking === true;
  request.replies = part.replies ?? 1;
  request.firstGroup = part.index ?? 0;
  if (part.lane === undefined) part.router.route(request);
  else part.router.sendTo(part.lane, request);
}

/** Gives the client the reply of its command; the request is gone then. */
export function finishTask(core: Core, parent: Request, pieces: Bytes[], failed = false): void {
  core.replies.finish(parent, pieces, failed);
}
