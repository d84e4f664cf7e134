// The loops of a command of very many keys, in AssemblyScript: TypeScript's syntax with the types of WebAssembly, which
// has what JavaScript lacks: 64-bit integers, and loads and stores of eight bytes wherever they are. Generated from this
// by scripts/generate-kernel.js: src/proxy/engine/kernel/kernel.generated.ts. What calls it, and what it must be equal to,
// is in src/proxy/engine/kernel/. All addresses are fixed; callers see to the bounds.

/** Keys, groups and batches of one call at most; a key may come with one more argument (MSET). */
export const KEYS_MAX: i32 = 4096;
/** Bytes that may be put in at INPUT, and that may come out at OUTPUT. */
export const WINDOW_BYTES: i32 = 0x40000;

// Tables of 32-bit numbers, at distances that hold KEYS_MAX + 1 of them.
/** Where each argument begins and ends: offsets that become addresses by adding a base. */
export const STARTS: i32 = 0x10000;
export const ENDS: i32 = 0x19000;
export const SLOT_OF_KEY: i32 = 0x22000;
export const NEXT_KEY: i32 = 0x27000;
export const CHAINED_KEYS: i32 = 0x2c000;
export const FIRST_KEY: i32 = 0x31000;
export const LAST_KEY: i32 = 0x36000;
export const SLOT_OF_GROUP: i32 = 0x3b000;
export const MARK_OF_GROUP: i32 = 0x40000;
export const NEXT_GROUP: i32 = 0x45000;
export const FIRST_GROUP: i32 = 0x4a000;
export const LAST_GROUP: i32 = 0x4f000;
export const NODE_OF_BATCH: i32 = 0x54000;
export const KEY_OF_BATCH: i32 = 0x59000;
export const GROUP_OF_KEY: i32 = 0x5e000;
export const KEYS_OF_GROUP: i32 = 0x63000;
export const SLOTS: i32 = 0x68000;
export const COMMAND_AT: i32 = 0x6d000;
export const FIRST_OF_BATCH: i32 = 0x72000;
export const REPLY_END: i32 = 0x77000;
export const REPLY_AT: i32 = 0x7c000;
/** Halves of hashes, the lower one first. */
export const HASHES: i32 = 0x81000;

export const INPUT: i32 = 0x90000;
export const OUTPUT: i32 = 0xd0000;
/** Sixteen pages of 64 KiB, and one more. */
export const MEMORY_BYTES: i32 = 0x110000;

function at(table: i32, index: i32): i32 {
  return load<i32>(table + (index << 2));
}

function put(table: i32, index: i32, value: i32): void {
  store<i32>(table + (index << 2), value);
}

/** Above this, what the runtime has for it is faster. */
const LOOP_BYTES_MAX: i32 = 256;

/** Copies bytes, eight at a time, the last eight wherever they begin. Returns the address behind the copy. */
function copy(to: i32, from: i32, size: i32): i32 {
  const end = to + size;
  if (size < 8) for (; to < end; to++, from++) store<u8>(to, load<u8>(from));
  else if (size > LOOP_BYTES_MAX) memory.copy(to, from, size);
  else {
    const last = from + size - 8;
    for (; from < last; to += 8, from += 8) store<u64>(to, load<u64>(from));
    store<u64>(end - 8, load<u64>(last));
  }
  return end;
}

/** Writes a type, a count and CRLF: `*12\r\n`. */
function putLine(to: i32, type: u8, count: i32): i32 {
  store<u8>(to++, type);
  let unit = 1;
  while (count / unit >= 10) unit *= 10;
  for (; unit > 0; unit /= 10) store<u8>(to++, <u8>(48 + ((count / unit) % 10)));
  store<u16>(to, 0x0a0d);
  return to + 2;
}

// ---------------------------------------------------------------- hashes

const M: u64 = ((<u64>0xc6a4a793) << 32) | 0x5bd1e995;
const SEED: u64 = 0xc70f6907;

/** MurmurHash2 as in hash/murmur2-64.ts. */
function murmur2(from: i32, size: i32): u64 {
  let hash = SEED ^ (<u64>size * M);
  const end = from + (size & ~7);
  for (; from < end; from += 8) {
    const mixed = load<u64>(from) * M;
    hash = (hash ^ ((mixed ^ (mixed >> 47)) * M)) * M;
  }
  const rest = size & 7;
  if (rest > 0) {
    let block: u64 = 0;
    for (let i = 0; i < rest; i++) block |= (<u64>load<u8>(from + i)) << (i << 3);
    hash = (hash ^ block) * M;
  }
  hash = (hash ^ (hash >> 47)) * M;
  return hash ^ (hash >> 47);
}

/** Hashes `count` arguments, every `step`-th from the first in the tables on, into HASHES. */
export function hashArguments(base: i32, step: i32, count: i32): void {
  for (let i = 0, arg = 0; i < count; i++, arg += step) {
    const start = at(STARTS, arg);
    store<u64>(HASHES + (i << 3), murmur2(base + start, at(ENDS, arg) - start));
  }
}

// ---------------------------------------------------------------- commands

/**
 * Writes the groups that are chained as commands to OUTPUT, those of each batch one behind the other, and gives them
 * their final numbers. As `write` in core/groups.ts.
 * @param base what turns an offset in ENDS (the command's name first) into an address
 * @param name where the name begins
 * @returns bytes written
 */
export function writeCommands(base: i32, step: i32, batches: i32, name: i32): i32 {
  const nameSize = at(ENDS, 0) - name;
  let to = OUTPUT;
  let group = 0;
  // Most groups have one key; what stands before it is copied from the first of them.
  let lone = 0;
  let loneSize = 0;
  for (let batch = 0; batch < batches; batch++) {
    put(FIRST_OF_BATCH, batch, group);
    const last = at(LAST_GROUP, batch);
    for (let chained = at(FIRST_GROUP, batch); ; chained = at(NEXT_GROUP, chained)) {
      let left = at(CHAINED_KEYS, chained);
      put(SLOTS, group, at(SLOT_OF_GROUP, chained));
      put(KEYS_OF_GROUP, group, left);
      put(COMMAND_AT, group, to - OUTPUT);
      if (left === 1 && lone > 0) to = copy(to, lone, loneSize);
      else {
        const begun = to;
        to = putLine(to, 42, left * step + 1);
        to = putLine(to, 36, nameSize);
        to = copy(to, base + name, nameSize + 2);
        if (left === 1) {
          lone = begun;
          loneSize = to - begun;
        }
      }
      let key = at(FIRST_KEY, chained);
      for (;;) {
        const arg = key * step;
        const start = at(ENDS, arg) + 2;
        to = copy(to, base + start, at(ENDS, arg + step) + 2 - start);
        put(GROUP_OF_KEY, key, group);
        if (--left === 0) break;
        key = at(NEXT_KEY, key);
      }
      group++;
      if (chained === last) break;
    }
  }
  put(FIRST_OF_BATCH, batches, group);
  put(COMMAND_AT, group, to - OUTPUT);
  return to - OUTPUT;
}

// ---------------------------------------------------------------- replies

/** The end of the bulk string or null at `from`; 0 when it is anything else or goes on behind `end`. */
function valueEnd(from: i32, end: i32): i32 {
  const type = load<u8>(from);
  let at = from + 1;
  if (type === 95) return at + 2 <= end && load<u16>(at) === 0x0a0d ? at + 2 : 0;
  if (type !== 36) return 0;
  let size = 0;
  for (; at < end; at++) {
    const digit = <i32>load<u8>(at) - 48;
    if (digit < 0 || digit > 9) break;
    size = size * 10 + digit;
    if (size > WINDOW_BYTES) return 0;
  }
  if (at === from + 1) {
    // `$-1\r\n`
    return at + 4 <= end && load<u32>(at) === 0x0a0d312d ? at + 4 : 0;
  }
  if (at + 2 > end || load<u16>(at) !== 0x0a0d) return 0;
  at += 2 + size + 2;
  return at <= end && load<u16>(at - 2) === 0x0a0d ? at : 0;
}

/**
 * Puts the values of the groups' replies to OUTPUT in the order of their keys, as one array. The replies of each batch
 * stand in INPUT one behind the other; REPLY_END has where each one ends, counted from INPUT.
 * @returns bytes written; -1 when a reply is no array of as many bulk strings or nulls as it has keys
 */
export function gatherValues(keys: i32, groups: i32): i32 {
  let from = INPUT;
  for (let group = 0; group < groups; group++) {
    const end = INPUT + at(REPLY_END, group);
    const values = at(KEYS_OF_GROUP, group);
    if (values === 1) {
      // `*1\r\n`
      if (from + 4 > end || load<u32>(from) !== 0x0a0d312a) return -1;
      put(REPLY_AT, group, from + 4);
      from = end;
      continue;
    }
    const line = putLine(OUTPUT, 42, values) - OUTPUT;
    if (from + line > end) return -1;
    for (let i = 0; i < line; i++) if (load<u8>(from + i) !== load<u8>(OUTPUT + i)) return -1;
    put(REPLY_AT, group, from + line);
    from = end;
  }
  let to = putLine(OUTPUT, 42, keys);
  for (let key = 0; key < keys; key++) {
    const group = at(GROUP_OF_KEY, key);
    const start = at(REPLY_AT, group);
    const limit = INPUT + at(REPLY_END, group);
    const end = at(KEYS_OF_GROUP, group) === 1 ? limit : valueEnd(start, limit);
    if (end === 0) return -1;
    put(REPLY_AT, group, end);
    to = copy(to, start, end - start);
  }
  return to - OUTPUT;
}
