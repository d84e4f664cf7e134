import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import { acquireRequest } from '../core/request.js';
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
  const resolved = resolve(client, entry, bytes, start, frame);
  if (resolved === null) return true;
  core.countRequest(entry);
  const { way, router, slot, key } = resolved;
  const request = acquireRequest();
  request.entry = entry;
  request.bytes = resolved.bytes;
  request.start = resolved.start;
  request.end = resolved.frame.end;
  request.router = router;
  request.slot = slot;
  request.read = way !== null && entry.replicaSafe ? way.read : Read.master;
  request.proto = client.proto;
  request.startedMs = core.nowMs;
  client.push(request);
  if (way !== null && way.mirrors.length > 0) {
    const { starts, ends, end } = resolved.frame;
    mirrorCommand(core, way, entry, resolved.bytes, resolved.start, end, starts[key], ends[key]);
  }
  router.route(request);
  return true;
}
