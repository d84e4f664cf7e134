import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { requestFor } from '../core/request.js';
import type { Router } from '../core/router.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { mirrorCommand } from './mirror.js';
import { resolve } from './resolve.js';
import { Read } from './table.js';

/** Sends one command to its keys' cluster, in the client's order; reads as the read policy has it, copies to mirrors. */
export function sendRouted(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
): boolean {
  const { core } = client;
  const only = entry.manyKeys ? null : (core.routing?.only ?? null);
  const first = only === null ? 0 : entry.firstKey(bytes, frame);
  if (only !== null && first > 0) {
    // One cluster for all keys, and one key: the ordinary case of sharded mode.
    core.countRequest(entry);
    const { router: all, read } = only;
    const slot = all.keySpace.slotOf(bytes, frame.starts[first], frame.ends[first]);
    sendRead(client, entry, bytes, start, frame.end, all, slot, entry.replicaSafe ? read : Read.master);
    return true;
  }
  const resolved = resolve(client, entry, bytes, start, frame);
  if (resolved === null) return true;
  core.countRequest(entry);
  const { way, router, slot, key } = resolved;
  const { starts, ends, end } = resolved.frame;
  if (way !== null && way.mirrors.length > 0) {
    mirrorCommand(client, way, entry, resolved.bytes, resolved.start, end, starts[key], ends[key]);
  }
  const read = way !== null && entry.replicaSafe ? way.read : Read.master;
  sendRead(client, entry, resolved.bytes, resolved.start, end, router, slot, read);
  return true;
}

/** Sends one command on, in the client's order, to where a read policy lets it go. */
export function sendRead(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  end: number,
  router: Router,
  slot: number,
  read: number,
): void {
  const request = requestFor(entry, bytes, start, end, router, slot, client.core.nowMs, client.laneId);
  request.read = read;
  client.push(request);
  router.route(request);
}
