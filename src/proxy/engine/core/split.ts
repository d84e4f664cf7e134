import { type Bytes, copyBytes } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { RequestFrame } from '../resp/request-framer.js';
import type { Client } from './client.js';
import { Fanout } from './fanout.js';
import { refuseArity } from './refuse.js';
import { acquireRequest } from './request.js';
import type { Router } from './router.js';
import { send } from './send.js';

/** Slots and node indices are below this. */
const MARKS = 65536;

/** Scratch memory of one thread, used within one call; marks are -1 in between. */
const groupOfMark = new Int32Array(MARKS).fill(-1);
const batchOfNode = new Int32Array(MARKS).fill(-1);
let slotOfKey = new Int32Array(64);
let offsetOfGroup = new Int32Array(64);
let slotOfGroup = new Int32Array(64);
let batchOfGroup = new Int32Array(64);

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
  core.countRequest(entry);
  if (slotOfKey.length < keys) {
    slotOfKey = new Int32Array(keys * 2);
    offsetOfGroup = new Int32Array(keys * 2);
    slotOfGroup = new Int32Array(keys * 2);
    batchOfGroup = new Int32Array(keys * 2);
  }
  const { keySpace } = router;
  let same = true;
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    slotOfKey[i] = keySpace.slotOf(bytes, frame.starts[arg], frame.ends[arg]);
    if (slotOfKey[i] !== slotOfKey[0]) same = false;
  }
  if (same) {
    send(client, entry, bytes, start, frame.end, router, slotOfKey[0]);
    return true;
  }
  const fanout = group(entry, router, keys);
  encode(client, fanout, bytes, frame, step, keys);

  const parent = acquireRequest();
  parent.entry = entry;
  parent.proto = client.proto;
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
    part.router = router;
    part.slot = fanout.slots[first];
    part.replies = fanout.firstOfBatch[b + 1] - first;
    part.proto = client.proto;
    part.startedMs = core.nowMs;
    part.parent = parent;
    part.firstGroup = first;
    fanout.parts.push(part);
  }
  fanout.remaining = fanout.batches;
  // `parts` is complete before the first one is sent: one that fails at once must find the others.
  for (let b = 0, { batches } = fanout; b < batches; b++) router.route(fanout.parts[b]);
  return true;
}

/** Puts keys together that one command can serve, and the commands in the order of the nodes that serve them. */
function group(entry: CommandEntry, router: Router, keys: number): Fanout {
  const { keySpace, slotMap } = router;
  const { clustered } = keySpace;
  const groupOfKey = new Int32Array(keys);
  const nodes: number[] = [];
  const sizes: number[] = [];
  let groups = 0;
  for (let i = 0; i < keys; i++) {
    const slot = slotOfKey[i];
    const node = slotMap.nodeOf(slot);
    const mark = clustered ? slot : node;
    let g = groupOfMark[mark];
    if (g < 0) {
      g = groups++;
      groupOfMark[mark] = g;
      slotOfGroup[g] = slot;
      let batch = batchOfNode[node];
      if (batch < 0) {
        batch = nodes.length;
        batchOfNode[node] = batch;
        nodes.push(node);
        sizes.push(0);
      }
      batchOfGroup[g] = batch;
      sizes[batch]++;
    }
    groupOfKey[i] = g;
  }
  // The map may have changed meanwhile: what was marked is what must be unmarked.
  if (clustered) for (let g = 0; g < groups; g++) groupOfMark[slotOfGroup[g]] = -1;
  else for (const node of nodes) groupOfMark[node] = -1;
  for (const node of nodes) batchOfNode[node] = -1;

  // Groups get their final numbers: those of one batch follow one another.
  const firstOfBatch = new Int32Array(nodes.length + 1);
  for (let b = 0; b < nodes.length; b++) firstOfBatch[b + 1] = firstOfBatch[b] + sizes[b];
  const next = firstOfBatch.slice();
  const slots = new Int32Array(groups);
  for (let g = 0; g < groups; g++) {
    const final = next[batchOfGroup[g]]++;
    slots[final] = slotOfGroup[g];
    offsetOfGroup[g] = final;
  }
  const keysOfGroup = new Int32Array(groups);
  for (let i = 0; i < keys; i++) {
    const g = offsetOfGroup[groupOfKey[i]];
    groupOfKey[i] = g;
    keysOfGroup[g]++;
  }
  return new Fanout(entry.route, firstOfBatch, slots, groupOfKey, keysOfGroup);
}

/** Writes the groups as commands, one behind the other in one buffer. */
function encode(client: Client, fanout: Fanout, bytes: Bytes, frame: RequestFrame, step: number, keys: number): void {
  const { core } = client;
  const { groupOfKey, keysOfGroup, commandAt, groups } = fanout;
  const nameStart = frame.starts[0];
  const nameLength = frame.ends[0] - nameStart;
  const name = core.text(`$${nameLength}\r\n`);
  // Most groups are of one key: what stands before it is written once and copied.
  const lone = core.runtime.allocate(core.countLine(step + 1).length + name.length + nameLength + 2);
  writeHead(core.countLine(step + 1), name, bytes, nameStart, nameLength, lone, 0);
  // The sizes first, in `commandAt` shifted by one; an argument's `$<length>\r\n` line is copied with it.
  for (let g = 0; g < groups; g++) {
    commandAt[g + 1] = core.countLine(keysOfGroup[g] * step + 1).length + name.length + nameLength + 2;
  }
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    commandAt[groupOfKey[i] + 1] += frame.ends[arg + step - 1] - frame.ends[arg - 1];
  }
  for (let g = 0; g < groups; g++) commandAt[g + 1] += commandAt[g];
  const out = core.runtime.allocate(commandAt[groups]);
  for (let g = 0; g < groups; g++) {
    if (keysOfGroup[g] === 1) offsetOfGroup[g] = copyBytes(lone, 0, lone.length, out, commandAt[g]);
    else {
      const count = core.countLine(keysOfGroup[g] * step + 1);
      offsetOfGroup[g] = writeHead(count, name, bytes, nameStart, nameLength, out, commandAt[g]);
    }
  }
  for (let i = 0, arg = 1; i < keys; i++, arg += step) {
    const g = groupOfKey[i];
    // From behind the CRLF of the argument before to behind its own.
    offsetOfGroup[g] = copyBytes(bytes, frame.ends[arg - 1] + 2, frame.ends[arg + step - 1] + 2, out, offsetOfGroup[g]);
  }
  fanout.commands = out;
}

/** Writes a command up to its first key. */
function writeHead(
  count: Bytes,
  name: Bytes,
  bytes: Bytes,
  nameStart: number,
  nameLength: number,
  out: Bytes,
  offset: number,
): number {
  let at = copyBytes(count, 0, count.length, out, offset);
  at = copyBytes(name, 0, name.length, out, at);
  return copyBytes(bytes, nameStart, nameStart + nameLength + 2, out, at);
}
