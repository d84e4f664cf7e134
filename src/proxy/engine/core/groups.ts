import { type Bytes, copyBytes, copyWords, viewOf, WORD_COPY_BYTES_MAX, writeAscii } from '../bytes.js';
import type { RequestFrame } from '../resp/request-framer.js';
import type { Way } from '../routing/routing.js';
import type { Core } from './core.js';
import type { Fanout } from './fanout.js';

/** Slots and node indices of one cluster are below this. */
const MARKS = 65536;

/**
 * Memory of one thread, used within one call. The keys of a group, and the groups of a batch, are chained by their
 * numbers in the order in which they came, so that the commands are written one after the other in one go.
 */
class Scratch {
  readonly slotOfKey: Int32Array;
  /** Behind a key, the next one of its group. */
  readonly nextKey: Int32Array;
  readonly keysOfGroup: Int32Array;
  readonly firstKey: Int32Array;
  readonly lastKey: Int32Array;
  readonly slotOfGroup: Int32Array;
  readonly markOfGroup: Int32Array;
  /** Behind a group, the next one of its batch. */
  readonly nextGroup: Int32Array;
  readonly firstGroup: Int32Array;
  readonly lastGroup: Int32Array;
  readonly nodeOfBatch: Int32Array;
  /** Of each batch, one key that it serves. */
  readonly keyOfBatch: Int32Array;

  /** @param room keys that it can divide */
  constructor(readonly room: number) {
    this.slotOfKey = new Int32Array(room);
    this.nextKey = new Int32Array(room);
    this.keysOfGroup = new Int32Array(room);
    this.firstKey = new Int32Array(room);
    this.lastKey = new Int32Array(room);
    this.slotOfGroup = new Int32Array(room);
    this.markOfGroup = new Int32Array(room);
    this.nextGroup = new Int32Array(room);
    this.firstGroup = new Int32Array(room);
    this.lastGroup = new Int32Array(room);
    this.nodeOfBatch = new Int32Array(room);
    this.keyOfBatch = new Int32Array(room);
  }
}

let scratch = new Scratch(64);
/** -1 in between. There are none before the first command that needs them. */
let groupOfMark = new Int32Array(0);
let batchOfNode = new Int32Array(0);

/** Where the slots of a command's keys are put; valid until the next call. */
export function slotsFor(keys: number): Int32Array {
  if (scratch.room < keys) scratch = new Scratch(keys * 2);
  return scratch.slotOfKey;
}

/** A key of a batch of the fan-out that was divided last. */
export function keyOfBatch(batch: number): number {
  return scratch.keyOfBatch[batch];
}

/** Marks of several clusters are kept apart. */
function reserveMarks(clusters: number): void {
  if (groupOfMark.length >= clusters * MARKS) return;
  groupOfMark = new Int32Array(clusters * MARKS).fill(-1);
  batchOfNode = new Int32Array(clusters * MARKS).fill(-1);
}

/**
 * Puts keys together that one command can serve, and the commands in the order of the nodes that serve them; writes
 * them one behind the other into one buffer.
 * @param ways of each key; null: the only one. The keys' slots are in `slotsFor`
 */
export function writeGroups(
  core: Core,
  fanout: Fanout,
  bytes: Bytes,
  frame: RequestFrame,
  step: number,
  ways: readonly Way[] | null,
): void {
  reserveMarks(ways === null ? 1 : core.numbered.length);
  chain(core, fanout, ways);
  write(core, fanout, bytes, frame, step);
}

/** Chains the keys of each group, and the groups of each batch. */
function chain(core: Core, fanout: Fanout, ways: readonly Way[] | null): void {
  const { slotOfKey, nextKey, keysOfGroup, firstKey, lastKey, slotOfGroup, markOfGroup } = scratch;
  const { nextGroup, firstGroup, lastGroup, nodeOfBatch, keyOfBatch } = scratch;
  const [marks, nodes, { keys }] = [groupOfMark, batchOfNode, fanout];
  let { router } = core;
  let base = 0;
  let groups = 0;
  let batches = 0;
  for (let i = 0; i < keys; i++) {
    const slot = slotOfKey[i];
    if (ways !== null) {
      router = ways[i].router;
      base = router.index * MARKS;
    }
    const mark = base + slot;
    const known = marks[mark];
    if (known >= 0) {
      nextKey[lastKey[known]] = i;
      lastKey[known] = i;
      keysOfGroup[known]++;
      continue;
    }
    marks[mark] = groups;
    markOfGroup[groups] = mark;
    slotOfGroup[groups] = slot;
    keysOfGroup[groups] = 1;
    firstKey[groups] = i;
    lastKey[groups] = i;
    const node = base + router.slotMap.nodeOf(slot);
    let batch = nodes[node];
    if (batch < 0) {
      batch = batches++;
      nodes[node] = batch;
      nodeOfBatch[batch] = node;
      keyOfBatch[batch] = i;
      firstGroup[batch] = groups;
    } else nextGroup[lastGroup[batch]] = groups;
    lastGroup[batch] = groups++;
  }
  fanout.groups = groups;
  fanout.batches = batches;
}

/** `*<count>\r\n` is no longer than that for a million keys with their values. */
const COUNT_LINE_BYTES_MAX = 10;

/** From this number of keys on, a view of the buffers pays. */
const VIEW_KEYS_MIN = 32;

/** What stands before the keys of most groups, which have one, is four words of its bytes, the last wherever it begins. */
const LONE_HEAD_BYTES_MAX = 16;

/** Writes the groups as commands, gives them their final numbers, and leaves the marks as they were. */
function write(core: Core, fanout: Fanout, bytes: Bytes, frame: RequestFrame, step: number): void {
  const { nextKey, firstKey, slotOfGroup, markOfGroup, nextGroup, firstGroup, lastGroup, nodeOfBatch } = scratch;
  const keysOf = scratch.keysOfGroup;
  const { groupOfKey, keysOfGroup, slots, firstOfBatch, commandAt, keys, groups, batches } = fanout;
  const [marks, nodes, { starts, ends }] = [groupOfMark, batchOfNode, frame];
  const nameStart = starts[0];
  // The name's line is copied with its CRLF, and so is what begins an argument, `$<length>\r\n`.
  const nameEnd = ends[0] + 2;
  const name = `$${nameEnd - 2 - nameStart}\r\n`;
  const headMax = COUNT_LINE_BYTES_MAX + name.length + nameEnd - nameStart;
  const out = fanout.allocateCommands(core, groups * headMax + ends[keys * step] - ends[0]);
  const views = keys >= VIEW_KEYS_MIN;
  const source = views ? viewOf(bytes) : null;
  const target = views ? viewOf(out) : null;
  const loneSize = 4 + name.length + nameEnd - nameStart;
  let lone = false;
  let [word0, word1, word2, word3] = [0, 0, 0, 0];
  let group = 0;
  let at = 0;
  for (let b = 0; b < batches; b++) {
    firstOfBatch[b] = group;
    const last = lastGroup[b];
    for (let g = firstGroup[b]; ; g = nextGroup[g]) {
      const count = keysOf[g];
      marks[markOfGroup[g]] = -1;
      slots[group] = slotOfGroup[g];
      keysOfGroup[group] = count;
      commandAt[group] = at;
      if (count === 1 && lone && target !== null) {
        target.setInt32(at, word0, true);
        target.setInt32(at + 4, word1, true);
        target.setInt32(at + 8, word2, true);
        target.setInt32(at + loneSize - 4, word3, true);
        at += loneSize;
      } else {
        const begun = at;
        at = writeAscii(`*${count * step + 1}\r\n${name}`, out, at);
        at = copyBytes(bytes, nameStart, nameEnd, out, at);
        if (count === 1 && target !== null && loneSize >= 12 && loneSize <= LONE_HEAD_BYTES_MAX) {
          lone = true;
          word0 = target.getInt32(begun, true);
          word1 = target.getInt32(begun + 4, true);
          word2 = target.getInt32(begun + 8, true);
          word3 = target.getInt32(at - 4, true);
        }
      }
      let key = firstKey[g];
      for (let left = count; ; key = nextKey[key]) {
        // From behind the CRLF of the argument before to behind its own; neighbours in one group at once.
        const start = ends[key * step] + 2;
        groupOfKey[key] = group;
        for (left--; left > 0 && nextKey[key] === key + 1; left--) groupOfKey[++key] = group;
        const end = ends[(key + 1) * step] + 2;
        at =
          source === null || target === null || end - start > WORD_COPY_BYTES_MAX
            ? copyBytes(bytes, start, end, out, at)
            : copyWords(source, start, end, target, at);
        if (left === 0) break;
      }
      group++;
      if (g === last) break;
    }
    nodes[nodeOfBatch[b]] = -1;
  }
  firstOfBatch[batches] = group;
  commandAt[group] = at;
}
