import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  flatArrayEnd,
  flatReplyEnd,
  REPLY_INCOMPLETE,
  REPLY_MALFORMED,
  ReplyFramer,
  shortReplyEnd,
} from '../../../../../src/proxy/engine/resp/reply-framer.js';
import { decodeValue } from '../support/resp.js';

const line = fc.string({ unit: 'grapheme-ascii', maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, '_'));
const binary = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));

function bulk(type: string, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${type}${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]);
}

/** Replies of every type of RESP2 and RESP3, nested, as bytes. */
const { reply } = fc.letrec<{ reply: Buffer }>((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    line.map((text) => Buffer.from(`+${text}\r\n`)),
    line.map((text) => Buffer.from(`-ERR ${text}\r\n`)),
    fc.integer().map((value) => Buffer.from(`:${value}\r\n`)),
    fc
      .constantFrom('$-1\r\n', '*-1\r\n', '_\r\n', '#t\r\n', '#f\r\n', ',1.5e3\r\n', ',inf\r\n', '(-349\r\n')
      .map(Buffer.from),
    binary.map((bytes) => bulk('$', bytes)),
    binary.map((bytes) => bulk('!', bytes)),
    binary.map((bytes) => bulk('=', Buffer.concat([Buffer.from('txt:'), bytes]))),
    fc
      .tuple(fc.constantFrom('*', '~', '>', '%'), fc.array(tie('reply'), { maxLength: 5 }))
      .map(([type, elements]) => aggregate(type, elements)),
    fc
      .tuple(tie('reply'), tie('reply'), tie('reply'))
      .map(([key, value, described]) => Buffer.concat([Buffer.from('|1\r\n'), key, value, described])),
  ),
}));

function aggregate(type: string, elements: Buffer[]): Buffer {
  const pairs = elements.slice(0, elements.length - (elements.length % 2));
  const held = type === '%' ? pairs : elements;
  return Buffer.concat([Buffer.from(`${type}${type === '%' ? held.length / 2 : held.length}\r\n`), ...held]);
}

/** Where the reference decoder sees the replies end. */
function referenceEnds(bytes: Buffer): number[] {
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; at = ends.at(-1) as number) {
    const decoded = decodeValue(bytes, at);
    if (decoded === null) throw new Error('the generated replies are cut off');
    ends.push(decoded.end);
  }
  return ends;
}

/** Feeds chunks as a connection does; the ends are counted from the first byte. */
function framedEnds(chunks: Buffer[]): number[] {
  const framer = new ReplyFramer();
  const ends: number[] = [];
  let before = 0;
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      const flat = framer.idle ? flatReplyEnd(chunk, at, chunk.length) : REPLY_INCOMPLETE;
      const end = flat > 0 ? flat : framer.feed(chunk, at, chunk.length);
      if (end === REPLY_INCOMPLETE) {
        expect(framer.idle).toBe(false);
        break;
      }
      if (end === REPLY_MALFORMED) throw new Error('well-formed bytes were called malformed');
      at = end;
      ends.push(before + at);
      expect(framer.idle).toBe(true);
    }
    before += chunk.length;
  }
  return ends;
}

describe('framing replies', () => {
  it('finds the ends that a simple decoder finds, cut at every possible byte', () => {
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 3 }), (replies) => {
        const bytes = Buffer.concat(replies);
        const ends = referenceEnds(bytes);
        expect(framedEnds([bytes])).toEqual(ends);
        for (let cut = 0; cut <= bytes.length; cut++) {
          expect(framedEnds([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(ends);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('finds them in chunks of any size, down to single bytes', () => {
    const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 8 }), cuts, (replies, at) => {
        const bytes = Buffer.concat(replies);
        const ends = referenceEnds(bytes);
        const places = [0, ...at.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        expect(framedEnds(places.slice(1).map((place, i) => bytes.subarray(places[i], place)))).toEqual(ends);
        expect(framedEnds([...bytes].map((byte) => Buffer.from([byte])))).toEqual(ends);
      }),
      { numRuns: 200 },
    );
  });

  it('is not between replies when all but the last element of an array has come', () => {
    const framer = new ReplyFramer();
    const first = Buffer.from('*2\r\n$1\r\na\r\n');
    expect(framer.feed(first, 0, first.length)).toBe(REPLY_INCOMPLETE);
    expect(framer.idle).toBe(false);
    const second = Buffer.from('$1\r\nb\r\n+OK\r\n');
    expect(framer.feed(second, 0, second.length)).toBe(7);
    expect(framer.idle).toBe(true);
  });

  it('takes any depth of nesting without recursion', () => {
    const depth = 200_000;
    const bytes = Buffer.from(`${'*1\r\n'.repeat(depth)}:1\r\n`);
    expect(framedEnds([bytes])).toEqual([bytes.length]);
  });

  it('sees a flat reply end exactly where the general way does, or leaves it to that', () => {
    fc.assert(
      fc.property(reply, fc.nat({ max: 300 }), (bytes, length) => {
        const part = bytes.subarray(0, length);
        const flat = flatReplyEnd(part, 0, part.length);
        if (flat !== REPLY_INCOMPLETE) expect(flat).toBe(referenceEnds(bytes)[0]);
        const short = shortReplyEnd(part, 0, part.length);
        if (short !== REPLY_INCOMPLETE) expect(short).toBe(referenceEnds(bytes)[0]);
        const array = part[0] === 42 ? flatArrayEnd(part, 0, part.length) : REPLY_INCOMPLETE;
        if (array !== REPLY_INCOMPLETE) expect(array).toBe(referenceEnds(bytes)[0]);
      }),
    );
  });

  it('sees the end of an array of plain values at a glance, and of no part of one', () => {
    const values = fc.array(
      fc.oneof(
        binary.map((bytes) => bulk('$', bytes)),
        fc.constant(Buffer.from(':7\r\n')),
      ),
    );
    fc.assert(
      fc.property(values, (elements) => {
        const whole = Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements]);
        expect(flatArrayEnd(Buffer.concat([whole, Buffer.from('+OK\r\n')]), 0, whole.length + 5)).toBe(whole.length);
        for (let cut = 0; cut < whole.length; cut++) expect(flatArrayEnd(whole, 0, cut)).toBe(REPLY_INCOMPLETE);
      }),
    );
  });

  it.each([
    ['a type that there is not', 'hello\r\n'],
    ['a length without digits', '$\r\n'],
    ['a length of letters', '*x\r\n'],
    ['a length with a sign behind digits', '$1-\r\n'],
    ['a negative length that is not -1', '*-2\r\n'],
    ['a bulk string that goes on', '$2\r\nabcd\r\n'],
    ['a bulk string larger than any', '$99999999999\r\n'],
    ['an aggregate larger than any', '*9999999999\r\n'],
    ['a length of too many digits', '$0000000000000000000001\r\na\r\n'],
    ['a length whose line does not end', '$1\r0a\r\n'],
    ['an array whose line does not end', '*1\r0:1\r\n'],
  ])('calls %s malformed', (_what, text) => {
    const bytes = Buffer.from(text);
    expect(new ReplyFramer().feed(bytes, 0, bytes.length)).toBe(REPLY_MALFORMED);
    for (const way of [shortReplyEnd, flatArrayEnd]) {
      if (!text.includes('0000')) expect(way(bytes, 0, bytes.length)).toBe(REPLY_INCOMPLETE);
    }
  });

  it('neither throws nor goes round in circles on arbitrary bytes', () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc
        .string({
          unit: fc.constantFrom('*', '$', '%', '>', '-', '+', ':', '|', '1', '2', '0', '9', '\r', '\n'),
          maxLength: 60,
        })
        .map((text) => new Uint8Array(Buffer.from(text))),
    );
    fc.assert(
      fc.property(hostile, fc.nat({ max: 100 }), (bytes, cut) => {
        const framer = new ReplyFramer();
        for (const chunk of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
          let at = 0;
          while (at < chunk.length) {
            const flat = framer.idle ? flatReplyEnd(chunk, at, chunk.length) : REPLY_INCOMPLETE;
            const end = flat > 0 ? flat : framer.feed(chunk, at, chunk.length);
            if (end === REPLY_MALFORMED) return;
            if (end === REPLY_INCOMPLETE) break;
            expect(end).toBeGreaterThan(at);
            expect(end).toBeLessThanOrEqual(chunk.length);
            at = end;
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('forgets half a reply when it is reset', () => {
    const framer = new ReplyFramer();
    const half = Buffer.from('*3\r\n$5\r\nhel');
    framer.feed(half, 0, half.length);
    framer.reset();
    expect(framer.idle).toBe(true);
    const next = Buffer.from('*1\r\n:1\r\n');
    expect(framer.feed(next, 0, next.length)).toBe(next.length);
  });
});
