/** Inputs that are nearly right: things that are read every day, with some of their bytes exchanged, moved, gone or repeated. */
import fc from 'fast-check';

/** Numbers at which programs have their bounds. */
const NUMBERS = [
  ...['0', '1', '-1', '-0', '00', '+1', '1e9', '1.5', 'NaN', '', ' 1', '0x10', '127', '128', '255', '256', '16383'],
  ...['16384', '32768', '65535', '65536', '1048576', '1048577', '536870912', '536870913', '2147483647', '2147483648'],
  ...['4294967295', '4294967296', '9007199254740992', '9223372036854775807', '18446744073709551616', '9'.repeat(40)],
];
const ODD = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  '\t',
  ' ',
  ',',
  ':',
  '@',
  '-',
  '?',
  '"',
  "'",
  '\\',
  '{',
  '}',
  '[',
  ']',
  '#',
  '&',
  '*',
]
  .concat(['\u00e9', '\u2028', '\ufeff', '%', '$', '$(', '${', '!!', '---', '<<', '__proto__', 'a'.repeat(300)])
  .map((text) => Buffer.from(text));
const BYTES = [0, 1, 10, 13, 32, 63, 64, 127, 128, 191, 192, 243, 250, 251, 252, 253, 254, 255];
const DIGITS = /[0-9]+/g;
const CHANGES_MAX = 4;
const REPEATS_MAX = 40;

type Change = (bytes: Buffer) => Buffer;

const spliced = (bytes: Buffer, at: number, gone: number, come: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, at), come, bytes.subarray(Math.min(bytes.length, at + gone))]);

/** A place and a length, however long the bytes are. */
const place = fc.tuple(fc.nat(), fc.oneof(fc.nat(4), fc.nat(64), fc.nat(4_096)));
const within = (bytes: Buffer, [at, length]: [number, number]) => {
  const start = at % (bytes.length + 1);
  return { start, length: Math.min(length, bytes.length - start) };
};

const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(7)).map(
    ([at, bit]): Change =>
      (bytes) => {
        if (bytes.length === 0) return bytes;
        const copy = Buffer.from(bytes);
        const index = at % copy.length;
        copy[index] = (copy[index] as number) ^ (1 << bit);
        return copy;
      },
  ),
  fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(...BYTES), fc.nat(255))).map(
    ([at, byte]): Change =>
      (bytes) =>
        spliced(bytes, at % (bytes.length + 1), 1, Buffer.of(byte)),
  ),
  place.map(
    (where): Change =>
      (bytes) => {
        const { start, length } = within(bytes, where);
        return spliced(bytes, start, length, Buffer.alloc(0));
      },
  ),
  fc.nat().map(
    (at): Change =>
      (bytes) =>
        bytes.subarray(0, at % (bytes.length + 1)),
  ),
  fc.tuple(place, fc.nat(), fc.integer({ min: 1, max: REPEATS_MAX })).map(
    ([where, to, times]): Change =>
      (bytes) => {
        const { start, length } = within(bytes, where);
        const again = Buffer.concat(
          Array.from({ length: times }, () => bytes.subarray(start, start + Math.min(length, 64))),
        );
        return spliced(bytes, to % (bytes.length + 1), 0, again);
      },
  ),
  fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(...ODD), fc.uint8Array({ maxLength: 12 }))).map(
    ([at, come]): Change =>
      (bytes) =>
        spliced(bytes, at % (bytes.length + 1), 0, come),
  ),
  fc.tuple(fc.nat(), fc.constantFrom(...NUMBERS)).map(
    ([which, number]): Change =>
      (bytes) => {
        const text = bytes.toString('latin1');
        const all = [...text.matchAll(DIGITS)];
        const found = all[which % Math.max(1, all.length)];
        return found === undefined ? bytes : spliced(bytes, found.index, found[0].length, Buffer.from(number));
      },
  ),
);

/** Bytes of one of these, or of two of them one in the other, with up to four changes. */
export function bytesLike(corpus: readonly (Buffer | string)[]): fc.Arbitrary<Buffer> {
  const known = corpus.map((each) => Buffer.from(each as string));
  return changed(fc.constantFrom(...known));
}

/** The same of any others. */
export function changed(inputs: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const base = fc.oneof(
    { weight: 5, arbitrary: inputs },
    fc.tuple(inputs, inputs, fc.nat()).map(([one, other, at]) => spliced(one, at % (one.length + 1), 0, other)),
  );
  return fc
    .tuple(base, fc.array(changes, { maxLength: CHANGES_MAX }))
    .map(([bytes, list]) => list.reduce((before, change) => change(before), bytes));
}

/** As `bytesLike`, as text. */
export const textLike = (corpus: readonly string[]): fc.Arbitrary<string> =>
  bytesLike(corpus).map((bytes) => bytes.toString());

/** Where a stream is cut. */
export const cuts = fc.array(fc.nat(), { maxLength: 12 });

/** The bytes in pieces that end at these places, each in memory of its own. */
export function piecesOf(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((cut) => cut % (bytes.length + 1))), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => Buffer.from(bytes.subarray(ends[index - 1] ?? 0, end)));
}
