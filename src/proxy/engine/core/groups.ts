import { type Bytes, copyBytes, copyWords, viewOf, WORD_COPY_BYTES_MAX, writeAscii } from '../bytes.js';
import { KERNEL_KEYS_MAX, type Kernel, kernelFor } from '../kernel/kernel.js';
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

  /**
   * @param room keys that it can divide
   * @param kernel in whose memory it is; null: in its own
   */
  constructor(
    readonly room: number,
    readonly kernel: Kernel | null,
  ) {
    const plain = () => new Int32Array(room);
    this.slotOfKey = kernel?.table('SLOT_OF_KEY') ?? plain();
    this.nextKey = kernel?.table('NEXT_KEY') ?? plain();
    this.keysOfGroup = kernel?.table('CHAINED_KEYS') ?? plain();
    this.firstKey = kernel?.table('FIRST_KEY') ?? plain();
    this.lastKey = kernel?.table('LAST_KEY') ?? plain();
    this.slotOfGroup = kernel?.table('SLOT_OF_GROUP') ?? plain();
    this.markOfGroup = kernel?.table('MARK_OF_GROUP') ?? plain();
    this.nextGroup = kernel?.table('NEXT_GROUP') ?? plain();
    this.firstGroup = kernel?.table('FIRST_GROUP') ?? plain();
    this.lastGroup = kernel?.table('LAST_GROUP') ?? plain();
    this.nodeOfBatch = kernel?.table('NODE_OF_BATCH') ?? plain();
    this.keyOfBatch = kernel?.table('KEY_OF_BATCH') ?? plain();
  }
}

let plain = new Scratch(64, null);
let shared: Scratch | null = null;
let scratch = plain;
/** -1 in between. There are none before the first command that needs them. */
let groupOfMark = new Int32Array(0);
let batchOfNode = new Int32Array(0);

/** Where the slots of a command's keys are put; valid until the next call. */
export function slotsFor(keys: number): Int32Array {
  const kernel = kernelFor(keys);
  if (kernel !== null) scratch = shared ??= new Scratch(KERNEL_KEYS_MAX, kernel);
  else {
    if (plain.room < keys) plain = new Scratch(keys * 2, null);
    scratch = plain;
  }
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
  const { kernel } = scratch;
  if (kernel === null || !writeByKernel(kernel, core, fanout, bytes, frame, step)) {
    write(core, fanout, bytes, frame, step);
  }
  unmark(fanout);
}

/** Leaves the marks as they were. */
function unmark({ groups, batches }: Fanout): void {
  const { markOfGroup, nodeOfBatch } = scratch;
  const marks = groupOfMark;
  const nodes = batchOfNode;
  for (let g = 0; g < groups; g++) marks[markOfGroup[g]] = -1;
  for (let b = 0; b < batches; b++) nodes[nodeOfBatch[b]] = -1;
}

/** Chains the keys of each group, and the groups of each batch. */
function chain(core: Core, fanout: Fanout, ways: readonly Way[] | null): void {
  const { slotOfKey, nextKey, keysOfGroup, firstKey, lastKey, slotOfGroup, markOfGroup } = scratch;
  const { nextGroup, firstGroup, lastGroup, nodeOfBatch, keyOfBatch } = scratch;
  const marks = groupOfMark;
  const nodes = batchOfNode;
  const { keys } = fanout;
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

/** What stands before the keys of a group takes no more than that. */
function headBytesMax({ starts, ends }: RequestFrame): number {
  return COUNT_LINE_BYTES_MAX * 2 + ends[0] + 2 - starts[0];
}

/** As `write`, for many keys; false when they are too large. */
function writeByKernel(
  kernel: Kernel,
  core: Core,
  fanout: Fanout,
  bytes: Bytes,
  frame: RequestFrame,
  step: number,
): boolean {
  const { keys, groups, batches } = fanout;
  const { ends } = frame;
  const args = keys * step + 1;
  const start = frame.starts[0];
  const end = ends[args - 1] + 2;
  const most = groups * headBytesMax(frame) + end - start;
  if (args > kernel.ends.length || most > kernel.windowBytes) return false;
  bytes.copy(kernel.memory, kernel.input, start, end);
  kernel.ends.set(ends.subarray(0, args));
  const size = kernel.run.writeCommands(kernel.input - start, step, batches, start);
  const out = fanout.allocateCommands(core, size);
  out.set(kernel.memory.subarray(kernel.output, kernel.output + size));
  fanout.groupOfKey.set(kernel.groupOfKey.subarray(0, keys));
  fanout.keysOfGroup.set(kernel.keysOfGroup.subarray(0, groups));
  fanout.slots.set(kernel.slots.subarray(0, groups));
  fanout.commandAt.set(kernel.commandAt.subarray(0, groups + 1));
  fanout.firstOfBatch.set(kernel.firstOfBatch.subarray(0, batches + 1));
  return true;
}

/** Writes the groups as commands, and gives them their final numbers. */
function write(core: Core, fanout: Fanout, bytes: Bytes, frame: RequestFrame, step: number): void {
  const { nextKey, firstKey, slotOfGroup, nextGroup, firstGroup, lastGroup } = scratch;
  const keysOf = scratch.keysOfGroup;
  const { groupOfKey, keysOfGroup, slots, firstOfBatch, commandAt, keys, groups, batches } = fanout;
  const { starts, ends } = frame;
  const nameStart = starts[0];
  // The name's line is copied with its CRLF, and so is what begins an argument, `$<length>\r\n`.
  const nameEnd = ends[0] + 2;
  const name = `$${nameEnd - 2 - nameStart}\r\n`;
  const out = fanout.allocateCommands(core, groups * headBytesMax(frame) + ends[keys * step] - ends[0]);
  const views = keys >= VIEW_KEYS_MIN;
  const source = views ? viewOf(bytes) : null;
  const target = views ? viewOf(out) : null;
  const loneSize = 4 + name.length + nameEnd - nameStart;
  /** Most groups have one key: what stands before it is written once, and copied from there. */
  let lone = -1;
  let group = 0;
  let at = 0;
  for (let b = 0; b < batches; b++) {
    firstOfBatch[b] = group;
    const last = lastGroup[b];
    for (let g = firstGroup[b]; ; g = nextGroup[g]) {
      const count = keysOf[g];
      slots[group] = slotOfGroup[g];
      keysOfGroup[group] = count;
      commandAt[group] = at;
      if (count === 1 && lone >= 0) {
        const end = lone + loneSize;
        at = target === null ? copyBytes(out, lone, end, out, at) : copyWords(target, lone, end, target, at);
      } else {
        const begun = at;
        at = writeAscii(`*${count * step + 1}\r\n${name}`, out, at);
        at = copyBytes(bytes, nameStart, nameEnd, out, at);
        if (count === 1) lone = begun;
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
  }
  firstOfBatch[batches] = group;
  commandAt[group] = at;
}
