import { type Bytes, copyBytes, copyWords, viewOf, WORD_COPY_BYTES_MAX, writeAscii } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { mirrorSplit } from '../routing/mirror-split.js';
import { refuseNoUpstream } from '../routing/resolve.js';
import { REWRITTEN, rewriteKeys } from '../routing/rewrite.js';
import type { Routing, Way } from '../routing/routing.js';
import { sendRead } from '../routing/send-routed.js';
import type { Client } from './client.js';
import type { Core } from './core.js';
import { acquireFanout, type Fanout } from './fanout.js';
import { refuseArity } from './refuse.js';
import { acquireRequest } from './request.js';

/** Slots and node indices of one cluster are below this. */
const MARKS = 65536;

/** Scratch memory of one thread, used within one call; marks are -1 in between. */
let groupOfMark = new Int32Array(0);
let batchOfNode = new Int32Array(0);
let slotOfKey = new Int32Array(64);
let offsetOfGroup = new Int32Array(64);
let slotOfGroup = new Int32Array(64);
let batchOfGroup = new Int32Array(64);
let markOfGroup = new Int32Array(64);
let nextOfBatch = new Int32Array(64);
/** Of each batch, one key that it serves. */
let keyOfBatch: number[] = [];

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
  reserve(keys);
  const { routing } = core;
  if (routing !== null && routing.only === null) return splitRouted(routing, client, entry, bytes, start, frame, keys);
  const read = routing !== null && entry.replicaSafe ? (routing.only as Way).read : 0;
  core.countRequest(entry);
  const slots = slotOfKey;
  router.keySpace.slotsOf(bytes, frame.starts, frame.ends, 1, step, keys, slots);
  let same = true;
  for (let i = 1; i < keys && same; i++) same = slots[i] === slots[0];
  if (same) sendRead(client, entry, bytes, start, frame.end, router, slotOfKey[0], read);
  else fanOut(client, entry, bytes, frame, keys, null, read);
  return true;
}

/** Makes room for the keys of a command. */
function reserve(keys: number): void {
  if (slotOfKey.length >= keys) return;
  slotOfKey = new Int32Array(keys * 2);
  offsetOfGroup = new Int32Array(keys * 2);
  slotOfGroup = new Int32Array(keys * 2);
  batchOfGroup = new Int32Array(keys * 2);
  markOfGroup = new Int32Array(keys * 2);
  nextOfBatch = new Int32Array(keys * 2);
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
  let same = true;
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    const { router } = ways[i];
    slotOfKey[i] = router.keySpace.slotOf(bytes, frame.starts[arg], frame.ends[arg]);
    if (slotOfKey[i] !== slotOfKey[0] || router !== ways[0].router) same = false;
  }
  if (mirrored) mirrorSplit(client, entry, bytes, start, frame, ways);
  const [{ router, read }] = ways;
  if (same) sendRead(client, entry, bytes, start, frame.end, router, slotOfKey[0], entry.replicaSafe ? read : 0);
  else fanOut(client, entry, bytes, frame, keys, ways, 0);
  return true;
}

/** Sends a command as several; the keys' slots are in `slotOfKey`. @param ways of each key; null: the only one, with `read` */
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
  const fanout = group(entry, core, keys, ways);
  encode(client, fanout, bytes, frame, entry.keyStep, keys);

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
    const way = ways === null ? null : ways[keyOfBatch[b]];
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

/** Puts keys together that one command can serve, and the commands in the order of the nodes that serve them. */
function group(entry: CommandEntry, core: Core, keys: number, ways: readonly Way[] | null): Fanout {
  const { slotMap } = core.router;
  reserveMarks(ways === null ? 1 : core.numbered.length);
  keyOfBatch = [];
  const fanout = acquireFanout(entry.route, keys);
  const { groupOfKey, keysOfGroup, slots, firstOfBatch } = fanout;
  const nodes: number[] = [];
  const sizes: number[] = [];
  let groups = 0;
  for (let i = 0; i < keys; i++) {
    const slot = slotOfKey[i];
    let node = 0;
    let mark = slot;
    if (ways === null) node = slotMap.nodeOf(slot);
    else {
      const { router } = ways[i];
      node = router.index * MARKS + router.slotMap.nodeOf(slot);
      mark = router.index * MARKS + slot;
    }
    let g = groupOfMark[mark];
    if (g < 0) {
      g = groups++;
      groupOfMark[mark] = g;
      slotOfGroup[g] = slot;
      markOfGroup[g] = mark;
      let batch = batchOfNode[node];
      if (batch < 0) {
        batch = nodes.length;
        batchOfNode[node] = batch;
        nodes.push(node);
        keyOfBatch.push(i);
        sizes.push(0);
      }
      batchOfGroup[g] = batch;
      sizes[batch]++;
    }
    groupOfKey[i] = g;
  }
  for (let g = 0; g < groups; g++) groupOfMark[markOfGroup[g]] = -1;
  for (const node of nodes) batchOfNode[node] = -1;

  // Groups get their final numbers: those of one batch follow one another.
  firstOfBatch[0] = 0;
  for (let b = 0; b < nodes.length; b++) {
    nextOfBatch[b] = firstOfBatch[b];
    firstOfBatch[b + 1] = firstOfBatch[b] + sizes[b];
  }
  for (let g = 0; g < groups; g++) {
    const final = nextOfBatch[batchOfGroup[g]]++;
    slots[final] = slotOfGroup[g];
    offsetOfGroup[g] = final;
    keysOfGroup[g] = 0;
  }
  for (let i = 0; i < keys; i++) {
    const g = offsetOfGroup[groupOfKey[i]];
    groupOfKey[i] = g;
    keysOfGroup[g]++;
  }
  fanout.groups = groups;
  fanout.batches = nodes.length;
  return fanout;
}

/** Marks of several clusters are kept apart. There are none before the first command that needs them. */
function reserveMarks(clusters: number): void {
  if (groupOfMark.length >= clusters * MARKS) return;
  groupOfMark = new Int32Array(clusters * MARKS).fill(-1);
  batchOfNode = new Int32Array(clusters * MARKS).fill(-1);
}

/** From this number of keys on, a view of the buffers pays. */
const VIEW_KEYS_MIN = 32;

/** Writes the groups as commands, one behind the other in one buffer. */
function encode(client: Client, fanout: Fanout, bytes: Bytes, frame: RequestFrame, step: number, keys: number): void {
  const { core } = client;
  const { groupOfKey, keysOfGroup, commandAt, groups } = fanout;
  const { ends } = frame;
  const name = `$${frame.ends[0] - frame.starts[0]}\r\n`;
  // The name's line is copied with its CRLF.
  const nameEnd = ends[0] + 2;
  const headSize = name.length + nameEnd - frame.starts[0];
  // The sizes first, in `commandAt` shifted by one; an argument's `$<length>\r\n` line is copied with it.
  commandAt[0] = 0;
  for (let g = 0; g < groups; g++) commandAt[g + 1] = countLineSize(keysOfGroup[g] * step + 1) + headSize;
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    commandAt[groupOfKey[i] + 1] += ends[arg + step - 1] - ends[arg - 1];
  }
  for (let g = 0; g < groups; g++) commandAt[g + 1] += commandAt[g];
  const out = fanout.allocateCommands(core, commandAt[groups]);
  const views = keys >= VIEW_KEYS_MIN;
  const source = views ? viewOf(bytes) : null;
  const target = views ? viewOf(out) : null;
  /** Most groups have one key: what stands before it is written once, and copied from there. */
  let lone = -1;
  let loneEnd = 0;
  for (let g = 0; g < groups; g++) {
    const at = commandAt[g];
    if (keysOfGroup[g] === 1 && lone >= 0) {
      offsetOfGroup[g] =
        target === null ? copyBytes(out, lone, loneEnd, out, at) : copyWords(target, lone, loneEnd, target, at);
      continue;
    }
    const named = writeAscii(`*${keysOfGroup[g] * step + 1}\r\n${name}`, out, at);
    offsetOfGroup[g] = copyBytes(bytes, frame.starts[0], nameEnd, out, named);
    if (keysOfGroup[g] !== 1) continue;
    lone = at;
    loneEnd = offsetOfGroup[g];
  }
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    const g = groupOfKey[i];
    // From behind the CRLF of the argument before to behind its own; neighbours in one group at once.
    const start = ends[arg - 1] + 2;
    while (i + 1 < keys && groupOfKey[i + 1] === g) {
      i++;
      arg += step;
    }
    const end = ends[arg + step - 1] + 2;
    offsetOfGroup[g] =
      source === null || target === null || end - start > WORD_COPY_BYTES_MAX
        ? copyBytes(bytes, start, end, out, offsetOfGroup[g])
        : copyWords(source, start, end, target, offsetOfGroup[g]);
  }
}

/** The length of `*<count>\r\n`. */
function countLineSize(count: number): number {
  if (count < 10) return 4;
  let size = 5;
  for (let rest = count; rest >= 100; rest /= 10) size++;
  return size;
}
