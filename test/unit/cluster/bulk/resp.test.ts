import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCommands } from '../../../../src/cluster/bulk/encode-commands.js';
import {
  BULK_MAX,
  ELEMENTS_MAX,
  LINE_MAX,
  ReplyError,
  ReplyReader,
} from '../../../../src/cluster/bulk/reply-reader.js';
import type { Command } from '../../../../src/cluster/node-connection.js';

const bytes = (max = 200) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const line = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !/[\r\n]/.test(text));

type Wire = { wire: Buffer; value: unknown };
const wireOf = (text: string) => Buffer.from(text);
const simple: fc.Arbitrary<Wire> = fc.oneof(
  line.map((text) => ({ wire: wireOf(`+${text}\r\n`), value: text })),
  line.map((text) => ({ wire: wireOf(`-ERR ${text}\r\n`), value: new ReplyError(`ERR ${text}`) })),
  fc.maxSafeInteger().map((value) => ({ wire: wireOf(`:${value}\r\n`), value })),
  bytes().map((value) => ({ wire: Buffer.concat([wireOf(`$${value.length}\r\n`), value, wireOf('\r\n')]), value })),
  fc.constant({ wire: wireOf('$-1\r\n'), value: null }),
  fc.constant({ wire: wireOf('*-1\r\n'), value: null }),
);
const { reply } = fc.letrec<{ reply: Wire }>((tie) => ({
  reply: fc.oneof(
    { weight: 3, arbitrary: simple },
    {
      weight: 1,
      arbitrary: fc.array(tie('reply'), { maxLength: 5 }).map((elements) => ({
        wire: Buffer.concat([wireOf(`*${elements.length}\r\n`), ...elements.map(({ wire }) => wire)]),
        value: elements.map(({ value }) => value),
      })),
    },
  ),
}));

describe('the reader of replies', () => {
  it('gives every reply, in whatever pieces they come', () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 8 }), fc.array(fc.nat(30), { maxLength: 40 }), (replies, cuts) => {
        const stream = Buffer.concat(replies.map(({ wire }) => wire));
        const reader = new ReplyReader();
        const found: unknown[] = [];
        let at = 0;
        for (const size of cuts) {
          found.push(...reader.push(stream.subarray(at, at + size)));
          at += Math.min(size, stream.length - at);
        }
        found.push(...reader.push(stream.subarray(at)));
        expect(found).toEqual(replies.map(({ value }) => value));
      }),
    );
  });

  it('reads a large bulk string that comes in small pieces without reading it again for each', () => {
    const size = 64 * 1024 * 1024;
    const reader = new ReplyReader();
    const started = process.cpuUsage();
    expect(reader.push(Buffer.from(`$${size}\r\n`))).toEqual([]);
    const piece = Buffer.alloc(16 * 1024, 'x');
    for (let at = 0; at < size; at += piece.length) expect(reader.push(piece)).toEqual([]);
    const [value] = reader.push(Buffer.from('\r\n'));
    expect((value as Buffer).length).toBe(size);
    expect(process.cpuUsage(started).user / 1_000).toBeLessThan(3_000);
  });

  it.each([
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n'],
    ['a number that is none', ':1x\r\n'],
    ['a number without digits', ':\r\n'],
    ['a line that ends with CR alone', '+OK\rx'],
    ['a bulk string above the bound', `$${BULK_MAX + 1}\r\n`],
    ['a negative length', '$-2\r\n'],
    ['an array above the bound', `*${ELEMENTS_MAX + 1}\r\n`],
    ['a line without end', `+${'x'.repeat(LINE_MAX + 1)}`],
    ['arrays within arrays within arrays', '*1\r\n'.repeat(20)],
  ])('refuses %s', (_, text) => {
    expect(() => new ReplyReader().push(Buffer.from(text))).toThrow('protocol error');
  });
});

describe('the writer of commands', () => {
  const word = fc.oneof(fc.string({ unit: 'binary', maxLength: 100 }), fc.maxSafeInteger(), bytes());
  const command = fc
    .tuple(fc.string({ minLength: 1, maxLength: 20 }), fc.array(word, { maxLength: 10 }))
    .map(([name, words]): Command => [name, ...words]);

  it('writes what a server reads: an array of bulk strings for each', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 10 }), (commands) => {
        const expected = commands.map((words) =>
          words.map((each) => Buffer.from(typeof each === 'object' ? each : `${each}`)),
        );
        expect(new ReplyReader().push(encodeCommands(commands))).toEqual(expected);
      }),
    );
  });
});
