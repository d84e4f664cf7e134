/**
 * How each value is made, as small programs that {@link ValueWalker} follows: enough to know where it ends. Words stand in
 * pairs: what comes, and a number. Pure.
 */
import { Opcode, type RdbFamily, versionOfType } from './format.js';

export const Step = {
  /** The value is whole. */
  end: 0,
  /** A string in any encoding. */
  string: 1,
  /** A length, or any number that is written as one. */
  length: 2,
  /** So many bytes. */
  bytes: 3,
  /** A length n: what stands up to `again` comes n times. */
  repeat: 4,
  again: 5,
  /** A number as text behind one byte for its length, or a byte for what is no number. */
  textNumber: 6,
  /** What a module wrote, up to its end mark. */
  module: 7,
} as const;

export type Program = Int32Array;

const STRING = [Step.string, 0];
const LENGTH = [Step.length, 0];
const AGAIN = [Step.again, 0];
const MODULE = [Step.module, 0];
const TEXT_NUMBER = [Step.textNumber, 0];
const bytes = (count: number) => [Step.bytes, count];
const each = (...words: number[][]) => [Step.repeat, 0, ...words.flat(), ...AGAIN];
const program = (...words: number[][]): Program => Int32Array.from([...words.flat(), Step.end, 0]);

/** Milliseconds; half of an entry's id in a stream. */
const LONG = bytes(8);
const ENTRY_ID = bytes(16);
const PAIR = [STRING, STRING];

/** Entries; then their number and ids, groups with what is pending and for whom. @param generation 1 to 4 */
function stream(generation: number): Program {
  const ids = generation === 1 ? 3 : 8;
  const consumer = [STRING, generation >= 3 ? bytes(16) : LONG, each(ENTRY_ID)];
  const position = Array.from({ length: generation === 1 ? 2 : 3 }, () => LENGTH);
  const group = [STRING, ...position, each(ENTRY_ID, LONG, LENGTH), each(...consumer)];
  // Who sent what, so that it is not taken twice.
  const producers = [LENGTH, LENGTH, each(STRING, each(STRING, LENGTH, LENGTH)), LENGTH, LENGTH];
  return program(
    each(...PAIR),
    ...Array.from({ length: ids }, () => LENGTH),
    each(...group),
    ...(generation >= 4 ? producers : []),
  );
}

const ONE_STRING = program(STRING);
const COMMON: readonly (Program | undefined)[] = [
  ONE_STRING, // 0: string
  program(each(STRING)), // 1: list
  program(each(STRING)), // 2: set
  program(each(STRING, TEXT_NUMBER)), // 3: sorted set
  program(each(...PAIR)), // 4: hash
  program(each(STRING, LONG)), // 5: sorted set, binary scores
  undefined, // 6: modules before Redis 4.0 was released
  program(LENGTH, MODULE), // 7
  undefined,
  ONE_STRING, // 9: hash as a zipmap
  ONE_STRING, // 10: list as a ziplist
  ONE_STRING, // 11: set of integers
  ONE_STRING, // 12: sorted set as a ziplist
  ONE_STRING, // 13: hash as a ziplist
  program(each(STRING)), // 14: list of ziplists
  stream(1), // 15
  ONE_STRING, // 16: hash as a listpack
  ONE_STRING, // 17: sorted set as a listpack
  program(each(LENGTH, STRING)), // 18: list of listpacks and large elements
  stream(2), // 19
  ONE_STRING, // 20: set as a listpack
  stream(3), // 21
];
const REDIS: readonly (Program | undefined)[] = [
  ...COMMON,
  program(each(LENGTH, ...PAIR)), // 22: hash whose fields expire, Redis 7.4 before its release
  ONE_STRING, // 23: the same, as a listpack
  program(LONG, each(LENGTH, ...PAIR)), // 24: hash whose fields expire, the first of them first
  program(LONG, STRING), // 25: the same, as a listpack
  stream(4), // 26
];
const VALKEY: readonly (Program | undefined)[] = [
  ...COMMON,
  program(each(...PAIR, LONG)), // 22: hash whose fields expire
];

const lengths = (count: number) => program(...Array.from({ length: count }, () => LENGTH));
const SKIPPED: readonly [number, Program][] = [
  [Opcode.slotInfo, lengths(3)],
  [Opcode.moduleData, program(LENGTH, MODULE)],
  [Opcode.resize, lengths(2)],
];

/** What a value of the type is made of, by type; undefined for types that a file of that version cannot hold. */
export function valuePrograms(family: RdbFamily, version: number): readonly (Program | undefined)[] {
  const known = family === 'valkey' ? VALKEY : REDIS;
  return known.map((each, type) => ((versionOfType(type, family) ?? Infinity) <= version ? each : undefined));
}

/** What stands behind an opcode that says nothing of keys, by opcode. */
export function skippedPrograms(family: RdbFamily): ReadonlyMap<number, Program> {
  const own: readonly [number, Program][] =
    family === 'valkey' ? [[Opcode.slotImport, program(STRING, each(LENGTH, LENGTH))]] : [];
  return new Map([...SKIPPED, ...own]);
}

/** Behind {@link Opcode.keyMetadata} of Redis: what each class of a module says of the key. */
export const KEY_METADATA: Program = program(each(bytes(4), MODULE));
/** A string that nobody asks for. */
export const STRING_SKIPPED: Program = ONE_STRING;
/** Two of them. */
export const PAIR_SKIPPED: Program = program(...PAIR);

/** How deep repetitions are nested: a stream's groups, their consumers, what is pending for them. */
export const NESTED_MAX = 4;
