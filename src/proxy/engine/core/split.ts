import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { mirrorSplit } from '../routing/mirror-split.js';
import { refuseNoUpstream } from '../routing/resolve.js';
import { REWRITTEN, rewriteKeys } from '../routing/rewrite.js';
import type { Routing, Way } from '../routing/routing.js';
import { sendRead } from '../routing/send-routed.js';
import type { Client } from './client.js';
import { acquireFanout } from './fanout.js';
import { keyOfBatch, slotsFor, writeGroups } from './groups.js';
import { refuseArity } from './refuse.js';
import { acquireRequest } from './request.js';

/**
 * Sends a command whose keys are in several slots as one command a slot, and what goes to one shard as one piece. With
 * all keys in one slot it goes on unchanged, and stays atomic. Servers that know no slots get one command each.
 */
export function split(client: Client, entry: CommandEntry, bytes: Bytes, start: number, frame: RequestFrame): boolean {
  const { core } = client;
  const { router } = core;
  const step = entry.keyStep;
  const keys = (frame.count - 1) / step;
  if (!Number.isInteger(keys)) {
    refuseArity(client, entry);
    return true;
  }
  const { routing } = core;
  if (routing !== null && routing.only === null) return splitRouted(routing, client, entry, bytes, start, frame, keys);
  const read = routing !== null && entry.replicaSafe ? (routing.only as Way).read : 0;
  core.countRequest(entry);
  const slots = slotsFor(keys);
  router.keySpace.slotsOf(bytes, frame.starts, frame.ends, 1, step, keys, slots);
  let same = true;
  for (let i = 1; i < keys && same; i++) same = slots[i] === slots[0];
  if (same) sendRead(client, entry, bytes, start, frame.end, router, slots[0], read);
  else fanOut(client, entry, bytes, frame, keys, null, read);
  return true;
}

/** The same where keys may go to several clusters, under other names, to replicas and to mirrors. */
function splitRouted(
  routing: Routing,
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
  keys: number,
): boolean {
  const { core } = client;
  const step = entry.keyStep;
  const ways: Way[] = [];
  let rewrites = false;
  let mirrored = false;
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    const way = routing.wayOf(bytes, frame.starts[arg], frame.ends[arg]);
    if (way === null) {
      refuseNoUpstream(client, entry);
      return true;
    }
    ways.push(way);
    rewrites ||= way.rewrites;
    mirrored ||= way.mirrors.length > 0;
  }
  core.countRequest(entry);
  if (rewrites) {
    const args = Int32Array.from(ways, (_, i) => 1 + i * step);
    bytes = rewriteKeys(core, bytes, start, frame, args, ways);
    start = 0;
    frame = REWRITTEN;
  }
  const slots = slotsFor(keys);
  let same = true;
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    const { router } = ways[i];
    slots[i] = router.keySpace.slotOf(bytes, frame.starts[arg], frame.ends[arg]);
    if (slots[i] !== slots[0] || router !== ways[0].router) same = false;
  }
  if (mirrored) mirrorSplit(client, entry, bytes, start, frame, ways);
  const [{ router, read }] = ways;
  if (same) sendRead(client, entry, bytes, start, frame.end, router, slots[0], entry.replicaSafe ? read : 0);
  else fanOut(client, entry, bytes, frame, keys, ways, 0);
  return true;
}

/** Sends a command as several; the keys' slots are in `slotsFor`. @param ways of each key; null: the only one, with `read` */
function fanOut(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  frame: RequestFrame,
  keys: number,
  ways: readonly Way[] | null,
  read: number,
): void {
  const { core } = client;
  const fanout = acquireFanout(entry.route, keys);
  writeGroups(core, fanout, bytes, frame, entry.keyStep, ways);

  const parent = acquireRequest();
  parent.entry = entry;
  parent.laneId = client.laneId;
  parent.startedMs = core.nowMs;
  parent.fanout = fanout;
  client.push(parent);
  for (let b = 0; b < fanout.batches; b++) {
    const part = acquireRequest();
    const first = fanout.firstOfBatch[b];
    part.entry = entry;
    part.bytes = fanout.commands;
    part.start = fanout.commandAt[first];
    part.end = fanout.commandAt[fanout.firstOfBatch[b + 1]];
    const way = ways === null ? null : ways[keyOfBatch(b)];
    part.router = way === null ? core.router : way.router;
    part.read = way === null ? read : entry.replicaSafe ? way.read : 0;
    part.slot = fanout.slots[first];
    part.replies = fanout.firstOfBatch[b + 1] - first;
    part.laneId = client.laneId;
    part.startedMs = core.nowMs;
    part.parent = parent;
    part.firstGroup = first;
    fanout.parts.push(part);
  }
  fanout.remaining = fanout.batches;
  // `parts` is complete before the first one is sent: one that fails at once must find the others.
  for (let b = 0, { batches } = fanout; b < batches; b++) core.route(fanout.parts[b]);
}
