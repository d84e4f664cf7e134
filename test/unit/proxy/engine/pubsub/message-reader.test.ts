import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Bytes } from '../../../../../src/proxy/engine/bytes.js';
import { MessageReader } from '../../../../../src/proxy/engine/pubsub/message-reader.js';

const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
const item = (...words: string[]) => `*${words.length}\r\n${words.map(bulk).join('')}`;

/** Reads the chunks; what was found as arrays of words, or a line. */
function read(chunks: readonly Buffer[]): { found: (string[] | string)[]; sane: boolean } {
  const found: (string[] | string)[] = [];
  const reader = new MessageReader((size) => Buffer.alloc(size), {
    item(bytes, start, end, { count, starts, ends }) {
      expect(bytes[start]).toBe(42);
      expect((bytes as Buffer).subarray(end - 2, end).toString()).toBe('\r\n');
      found.push(Array.from({ length: count }, (_, i) => (bytes as Buffer).toString('latin1', starts[i], ends[i])));
    },
    line: (bytes, start, end) => void found.push((bytes as Buffer).toString('latin1', start, end)),
    read() {},
  });
  const sane = chunks.every((chunk) => reader.read(chunk as Bytes, 0, chunk.length));
  return { found, sane };
}

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...[...places].map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => Buffer.from(bytes.subarray(at[i], end)));
}

describe('what a subscribed connection receives', () => {
  const word = fc.oneof(
    fc.string({ maxLength: 20 }).map((text) => Buffer.from(text).toString('latin1')),
    fc.constantFrom('', '\r\n', '*3\r\n$7\r\nmessage\r\n', 'x'.repeat(300)),
  );
  const thing = fc.oneof(
    fc.tuple(word, word).map(([channel, payload]) => ['message', channel, payload]),
    fc.tuple(word, word, word).map((words) => ['pmessage', ...words]),
  );

  it('is cut into the same messages wherever chunks end', () => {
    fc.assert(
      fc.property(fc.array(thing, { maxLength: 10 }), fc.array(fc.nat(5000), { maxLength: 12 }), (things, places) => {
        const bytes = Buffer.from(things.map((words) => item(...words)).join(''), 'latin1');
        expect(read(cut(bytes, places))).toEqual({ found: things, sane: true });
      }),
      { numRuns: 500 },
    );
  });

  it('may come one byte at a time', () => {
    const bytes = Buffer.from(
      `${item('message', 'a', 'b')}+PONG\r\n-ERR no\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n`,
    );
    const chunks = Array.from(bytes, (byte) => Buffer.from([byte]));
    expect(read(chunks).found).toEqual([['message', 'a', 'b'], '+PONG', '-ERR no', ['subscribe', 'x', '']]);
  });

  it('may hold messages of many megabytes between small ones', () => {
    const large = 'y'.repeat(5_000_000);
    const things = [
      ['message', 'a', '1'],
      ['message', 'a', large],
      ['message', 'a', '2'],
      ['message', 'b', large],
    ];
    const bytes = Buffer.from(things.map((words) => item(...words)).join(''), 'latin1');
    const chunks = cut(
      bytes,
      Array.from({ length: 150 }, (_, i) => i * 65_536 + 17),
    );
    expect(read(chunks)).toEqual({ found: things, sane: true });
  });

  it('takes memory for what was promised only as it comes', () => {
    const sizes: number[] = [];
    const payload = 'z'.repeat(40_000_000);
    const found: string[] = [];
    const reader = new MessageReader(
      (size) => {
        sizes.push(size);
        return Buffer.alloc(size);
      },
      {
        item: (bytes, _, __, { starts, ends }) =>
          void found.push((bytes as Buffer).toString('latin1', starts[2], ends[2])),
        line() {},
        read() {},
      },
    );
    const bytes = Buffer.from(item('message', 'a', payload));
    let came = 0;
    for (const chunk of cut(
      bytes,
      Array.from({ length: 600 }, (_, i) => i * 65_536 + 17),
    )) {
      came += chunk.length;
      expect(reader.read(chunk as Bytes, 0, chunk.length)).toBe(true);
      expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(Math.max(16 * 1024 * 1024, 2 * came));
    }
    expect(found[0] === payload).toBe(true);
    expect(sizes.length).toBeLessThan(10);
  });

  it.each([
    '$3\r\nfoo\r\n',
    ':1\r\n',
    '*0\r\n',
    '*5\r\n',
    '*3\r\n+x\r\n',
    '*x\r\n',
    'HTTP/1.1 200\r\n',
    '*99999999999\r\n',
    '*3\r\n$4294967295\r\n',
    '*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$9999999999\r\n',
    '*3\r\n$7\r\nmessage\r\n$1\r\ncx\ry',
  ])('is not %j', (text) => {
    expect(read([Buffer.from(text)]).sane).toBe(false);
  });
});
