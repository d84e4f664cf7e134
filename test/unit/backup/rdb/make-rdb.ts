/** RDB files of any content for tests, written by what the format says and not with the reader's own tables. */
import fc from 'fast-check';

const byte = (value: number) => Buffer.of(value);
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};
const int64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
};

/** A length in one of its four forms, the shortest when none is asked for. */
export function length(value: number | bigint, form?: 6 | 14 | 32 | 64): Buffer {
  const number = BigInt(value);
  const wanted = form ?? (number < 64n ? 6 : number < 16_384n ? 14 : number < 2n ** 32n ? 32 : 64);
  if (wanted === 6) return byte(Number(number));
  if (wanted === 14) return Buffer.of(0x40 | Number(number >> 8n), Number(number & 255n));
  const bytes = Buffer.alloc(wanted === 32 ? 5 : 9);
  bytes[0] = wanted === 32 ? 0x80 : 0x81;
  if (wanted === 32) bytes.writeUInt32BE(Number(number), 1);
  else bytes.writeBigUInt64BE(number, 1);
  return bytes;
}

/** The simplest LZF there is: bytes as they are, and one place to take a run of equal bytes from. */
export function lzf(plain: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < plain.length; ) {
    let run = 0;
    while (at > 0 && run < 264 && at + run < plain.length && plain[at + run] === plain[at - 1]) run++;
    if (run >= 3) {
      pieces.push(run < 9 ? Buffer.of((run - 2) << 5, 0) : Buffer.of(7 << 5, run - 9, 0));
      at += run;
    } else {
      pieces.push(Buffer.of(0, plain[at]!));
      at++;
    }
  }
  return Buffer.concat(pieces);
}

export const plain = (text: string | Buffer) =>
  Buffer.concat([length(Buffer.from(text as string).length), Buffer.from(text as string)]);
export const compressed = (text: string | Buffer) => {
  const bytes = Buffer.from(text as string);
  const body = lzf(bytes);
  return Buffer.concat([byte(0xc3), length(body.length), length(bytes.length), body]);
};
export const integer = (value: number) => {
  if (value >= -128 && value < 128) return Buffer.of(0xc0, value & 255);
  if (value >= -32_768 && value < 32_768) return Buffer.of(0xc1, value & 255, (value >> 8) & 255);
  return Buffer.concat([byte(0xc2), int32(value)]);
};

/** A string, as it stands in the file and as it is. */
export interface Text {
  readonly stored: Buffer;
  readonly bytes: Buffer;
}
const raw = fc.oneof(
  fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(fc.integer({ min: 60, max: 700 }), fc.integer({ min: 0, max: 255 }))
    .map(([size, fill]) => Buffer.alloc(size, fill)),
);
export const text: fc.Arbitrary<Text> = fc.oneof(
  { weight: 4, arbitrary: raw.map((bytes) => ({ stored: plain(bytes), bytes })) },
  raw.filter((bytes) => bytes.length > 0).map((bytes) => ({ stored: compressed(bytes), bytes })),
  fc
    .oneof(fc.integer({ min: -300, max: 300 }), fc.integer())
    .map((value) => ({ stored: integer(value), bytes: Buffer.from(String(value)) })),
  raw.map((bytes) => ({ stored: Buffer.concat([length(bytes.length, 64), bytes]), bytes })),
);

const string = text.map(({ stored }) => stored);
const number = fc.oneof(
  fc.nat({ max: 63 }).map((value) => length(value)),
  fc.nat().map((value) => length(value)),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => length(value, 64)),
);
const bytes = (count: number) =>
  fc.uint8Array({ minLength: count, maxLength: count }).map((array) => Buffer.from(array));
const all = (...parts: fc.Arbitrary<Buffer>[]) => fc.tuple(...parts).map((made) => Buffer.concat(made));
const each = (part: fc.Arbitrary<Buffer>, maxLength = 4) =>
  fc.array(part, { maxLength }).map((parts) => Buffer.concat([length(parts.length), ...parts]));
const times = (count: number, part: fc.Arbitrary<Buffer>) => all(...Array.from({ length: count }, () => part));

const score = fc.oneof(
  fc.constantFrom(253, 254, 255).map(byte),
  fc.double().map((value) => Buffer.concat([byte(String(value).length), Buffer.from(String(value))])),
);
const moduleParts = fc
  .array(
    fc.oneof(
      all(fc.constantFrom(1, 2).map(byte), number),
      all(fc.constant(byte(3)), bytes(4)),
      all(fc.constant(byte(4)), bytes(8)),
      all(fc.constant(byte(5)), string),
    ),
    { maxLength: 5 },
  )
  .map((parts) => Buffer.concat([...parts, byte(0)]));
const moduleValue = all(number, moduleParts);

function stream(generation: 1 | 2 | 3 | 4): fc.Arbitrary<Buffer> {
  const entryId = bytes(16);
  const pending = all(entryId, bytes(8), number);
  const consumer = all(string, bytes(generation < 3 ? 8 : 16), each(entryId));
  const group = all(string, times(generation < 2 ? 2 : 3, number), each(pending), each(consumer, 2));
  const producers = each(all(string, each(all(string, number, number), 2)), 2);
  return all(
    each(all(string, string)),
    times(generation < 2 ? 3 : 8, number),
    each(group, 2),
    ...(generation < 4 ? [] : [times(2, number), producers, times(2, number)]),
  );
}

const pair = all(string, string);
const COMMON: [number, fc.Arbitrary<Buffer>][] = [
  ...[0, 9, 10, 11, 12, 13, 16, 17, 20].map((type): [number, fc.Arbitrary<Buffer>] => [type, string]),
  ...[1, 2, 14].map((type): [number, fc.Arbitrary<Buffer>] => [type, each(string)]),
  [3, each(all(string, score))],
  [4, each(pair)],
  [5, each(all(string, bytes(8)))],
  [7, moduleValue],
  [15, stream(1)],
  [18, each(all(fc.constantFrom(1, 2).map(byte), string))],
  [19, stream(2)],
  [21, stream(3)],
];
/** Values as they stand in files, by who writes them and by type. */
export const VALUES: Record<'redis' | 'valkey', ReadonlyMap<number, fc.Arbitrary<Buffer>>> = {
  redis: new Map([
    ...COMMON,
    [22, each(all(number, pair))],
    [23, string],
    [24, all(bytes(8), each(all(number, pair)))],
    [25, all(bytes(8), string)],
    [26, stream(4)],
  ]),
  valkey: new Map([...COMMON, [22, each(all(pair, bytes(8)))]]),
};

/** What a reader should tell of a file. */
export type Event =
  | {
      key: string;
      database: number;
      type: number;
      expireAtMs: number;
      idleSeconds: number;
      frequency: number;
      metadata?: string;
      value: string;
    }
  | { function: string }
  | { auxiliary: [string, string] };

export const hex = (of: Uint8Array) => Buffer.from(of).toString('hex');

interface Part {
  readonly stored: Buffer;
  readonly event?: Event;
  /** The database that those behind it are in. */
  readonly database?: number;
}

const family = fc.constantFrom('redis' as const, 'valkey' as const);
const optional = <T>(part: fc.Arbitrary<T>) => fc.option(part, { nil: undefined, freq: 3 });

function record(of: 'redis' | 'valkey'): fc.Arbitrary<Part> {
  const typed = fc.constantFrom(...VALUES[of]).chain(([type, value]) => value.map((stored) => ({ type, stored })));
  const notes = fc.record({
    expireMs: optional(fc.bigInt({ min: 0n, max: 2n ** 53n - 1n })),
    expireSeconds: optional(fc.nat()),
    idle: optional(fc.nat()),
    frequency: optional(fc.nat({ max: 255 })),
    metadata: of === 'redis' ? optional(each(all(bytes(4), moduleParts), 2)) : fc.constant(undefined),
  });
  return fc.tuple(text, typed, notes).map(([key, value, { expireMs, expireSeconds, idle, frequency, metadata }]) => {
    const seconds = expireMs === undefined ? expireSeconds : undefined;
    const before: Buffer[] = [];
    if (seconds !== undefined) before.push(byte(253), int32(seconds));
    if (expireMs !== undefined) before.push(byte(252), int64(expireMs));
    if (idle !== undefined) before.push(byte(248), length(idle));
    if (frequency !== undefined) before.push(Buffer.of(249, frequency));
    if (metadata !== undefined) before.push(byte(243), metadata);
    const event = {
      key: hex(key.bytes),
      database: 0,
      type: value.type,
      expireAtMs: expireMs !== undefined ? Number(expireMs) : seconds !== undefined ? seconds * 1000 : -1,
      idleSeconds: idle ?? -1,
      frequency: frequency ?? -1,
      ...(metadata === undefined ? {} : { metadata: `f3${hex(metadata)}` }),
      value: hex(value.stored),
    };
    return { stored: Buffer.concat([...before, byte(value.type), key.stored, value.stored]), event };
  });
}

function between(of: 'redis' | 'valkey'): fc.Arbitrary<Part> {
  const opcode = (code: number, ...parts: fc.Arbitrary<Buffer>[]) =>
    all(fc.constant(byte(code)), ...parts).map((stored): Part => ({ stored }));
  return fc.oneof(
    fc.nat({ max: 20 }).map((database) => ({ stored: Buffer.concat([byte(254), length(database)]), database })),
    opcode(251, number, number),
    opcode(244, number, number, number),
    opcode(247, moduleValue),
    ...(of === 'valkey' ? [opcode(243, string, each(times(2, number)))] : []),
    text.map(({ stored, bytes: source }) => ({
      stored: Buffer.concat([byte(245), stored]),
      event: { function: hex(source) },
    })),
    fc.tuple(text, text).map(([name, value]) => ({
      stored: Buffer.concat([byte(250), name.stored, value.stored]),
      event: { auxiliary: [hex(name.bytes), hex(value.bytes)] as [string, string] },
    })),
  );
}

export interface MadeRdb {
  readonly family: 'redis' | 'valkey';
  readonly file: Buffer;
  readonly events: Event[];
}

export const MAGIC = { redis: 'REDIS0013', valkey: 'VALKEY080' };

/** A file of these records, without a sum. */
export const rdbOf = (magic: string, ...records: Buffer[]) =>
  Buffer.concat([Buffer.from(magic), ...records, byte(255), Buffer.alloc(8)]);

/** A string as a record. */
export const stringRecord = (key: string | Buffer, value: string | Buffer) =>
  Buffer.concat([byte(0), plain(key), plain(value)]);

/** Files with some keys of any type, and what stands between them. */
export const rdb: fc.Arbitrary<MadeRdb> = family.chain((of) =>
  fc.array(fc.oneof({ weight: 3, arbitrary: record(of) }, between(of)), { maxLength: 8 }).map((parts) => {
    let database = 0;
    const events: Event[] = [];
    for (const part of parts) {
      database = part.database ?? database;
      if (part.event !== undefined) events.push('key' in part.event ? { ...part.event, database } : part.event);
    }
    return { family: of, file: rdbOf(MAGIC[of], ...parts.map(({ stored }) => stored)), events };
  }),
);
