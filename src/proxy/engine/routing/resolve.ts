import type { Bytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { refuse, refuseArity } from '../core/refuse.js';
import type { Router } from '../core/router.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { findKeys, KEYS } from './keys.js';
import { REWRITTEN, rewriteKeys } from './rewrite.js';
import type { Way } from './routing.js';

/** Where a command goes. One for all clients of a thread: it is used within one call only. */
export interface Resolved {
  router: Router;
  /** Below 0: any master. */
  slot: number;
  /** Null for a command without keys, and when there is nothing but one Redis Cluster. */
  way: Way | null;
  /** The command with the keys that the upstream is to see: `bytes[start, frame.end)`. */
  bytes: Bytes;
  start: number;
  frame: RequestFrame;
  /** The first key's argument number in `frame`; 0: there is none. */
  key: number;
}

const RESOLVED = {} as Resolved;

/**
 * Finds the cluster and the slot of a command by all of its keys, and gives them the names that they have there.
 * Servers that know no slots do not refuse keys of others, so that is done here.
 * @returns null when the command was refused; the client has its answer, and it is counted, then
 */
export function resolve(
  client: Client,
  entry: CommandEntry,
  bytes: Bytes,
  start: number,
  frame: RequestFrame,
): Resolved | null {
  const { core } = client;
  const key = entry.firstKey(bytes, frame);
  if (key < 0) {
    refuseArity(client, entry, bytes, frame);
    return null;
  }
  RESOLVED.bytes = bytes;
  RESOLVED.start = start;
  RESOLVED.frame = frame;
  RESOLVED.key = key;
  RESOLVED.router = core.router;
  RESOLVED.way = null;
  RESOLVED.slot = -1;
  if (key === 0) return RESOLVED;
  const { routing } = core;
  if (routing === null) {
    RESOLVED.slot = core.router.keySpace.slotOf(bytes, frame.starts[key], frame.ends[key]);
    return RESOLVED;
  }
  const way = routing.wayOf(bytes, frame.starts[key], frame.ends[key]);
  if (way === null) {
    refuseNoUpstream(client, entry);
    return null;
  }
  RESOLVED.router = way.router;
  RESOLVED.way = way;
  if ((entry.manyKeys || way.rewrites) && !resolveAll(client, entry, way)) return null;
  const { frame: final } = RESOLVED;
  RESOLVED.slot = way.router.keySpace.slotOf(RESOLVED.bytes, final.starts[key], final.ends[key]);
  return RESOLVED;
}

/** The same with all keys; false when the command was refused. */
function resolveAll(client: Client, entry: CommandEntry, first: Way): boolean {
  const { core } = client;
  const { bytes, start, frame } = RESOLVED;
  const count = findKeys(entry, bytes, frame);
  const keys = KEYS.at.slice(0, count).sort();
  const ways: Way[] = [];
  let rewrites = false;
  for (let i = 0; i < count; i++) {
    const way = wayOf(core, bytes, frame, keys[i]);
    if (way === null) {
      refuseNoUpstream(client, entry);
      return false;
    }
    if (way.router !== first.router) {
      refuse(client, entry, `CROSSSLOT Keys in request are routed to different clusters`);
      return false;
    }
    ways.push(way);
    rewrites ||= way.rewrites;
  }
  if (rewrites) {
    RESOLVED.bytes = rewriteKeys(core, bytes, start, frame, keys, ways);
    RESOLVED.start = 0;
    RESOLVED.frame = REWRITTEN;
  }
  if (!first.router.keySpace.clustered && !together(first.router, keys)) {
    refuseApart(client, entry);
    return false;
  }
  return true;
}

function wayOf(core: Core, bytes: Bytes, frame: RequestFrame, argument: number): Way | null {
  return core.routing?.wayOf(bytes, frame.starts[argument], frame.ends[argument]) ?? null;
}

function together({ keySpace }: Router, keys: Int32Array): boolean {
  const { bytes, frame } = RESOLVED;
  for (let i = 1, first = -1; i <= keys.length; i++) {
    const slot = keySpace.slotOf(bytes, frame.starts[keys[i - 1]], frame.ends[keys[i - 1]]);
    if (first < 0) first = slot;
    else if (slot !== first) return false;
  }
  return true;
}

/** Keys on servers that know nothing of each other. */
export function refuseApart(client: Client, entry: CommandEntry): void {
  refuse(client, entry, `ERR '${entry.name}' needs its keys on one host; these keys are on different hosts`);
}

/** No route, no catch-all: Envoy's answer. */
export function refuseNoUpstream(client: Client, entry: CommandEntry): void {
  refuse(client, entry, 'no upstream host');
}

/** A key's cluster and slot. Used within one call only. */
export const ROUTE = { router: null as Router | null, slot: -1 };

/**
 * The cluster and the slot of the key in `bytes[start, end)`, under the name that the client gives it.
 * @returns `ROUTE`, or null when no route leads anywhere
 */
export function routeOf(core: Core, bytes: Bytes, start: number, end: number): typeof ROUTE | null {
  const way = core.routing === null ? null : core.routing.wayOf(bytes, start, end);
  if (core.routing !== null && way === null) return null;
  const router = way?.router ?? core.router;
  ROUTE.router = router;
  if (way?.rewrites) {
    const key = core.runtime.allocate(way.lengthOf(end - start));
    ROUTE.slot = router.keySpace.slotOf(key, 0, way.write(bytes, start, end, key, 0));
  } else ROUTE.slot = router.keySpace.slotOf(bytes, start, end);
  return ROUTE;
}
