import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { sendRouted } from '../routing/send-routed.js';
import type { Client } from './client.js';
import { refuseArity } from './refuse.js';
import { requestFor } from './request.js';
import type { Router } from './router.js';

/** Sends one command on, in the client's order. A slot below 0: to any master. */
export function send(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  end: number,
  router: Router,
  slot: number,
): void {
  const request = requestFor(entry, bytes, start, end, router, slot, client.core.nowMs, client.laneId);
  client.push(request);
  router.route(request);
}

/** To the master of its first key's slot; the server itself refuses keys of several slots. */
export function sendKeyed(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
): boolean {
  const { core } = client;
  if (core.routing !== null) return sendRouted(client, entry, bytes, start, frame);
  const key = entry.firstKey(bytes, frame);
  if (key < 0) {
    refuseArity(client, entry, bytes, frame);
    return true;
  }
  core.countRequest(entry);
  const { router } = core;
  const slot = key === 0 ? -1 : router.keySpace.slotOf(bytes, frame.starts[key], frame.ends[key]);
  send(client, entry, bytes, start, frame.end, router, slot);
  return true;
}

/** Without a key: every master gives the same answer. */
export function sendAnywhere(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
): boolean {
  client.core.countRequest(entry);
  send(client, entry, bytes, start, frame.end, client.core.router, -1);
  return true;
}
