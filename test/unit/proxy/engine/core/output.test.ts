import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Bytes } from '../../../../../src/proxy/engine/bytes.js';
import { BufferPool, Output } from '../../../../../src/proxy/engine/core/output.js';

const POOL_BYTES = 64;

/** A pool that knows who has which buffer. */
class CheckedPool extends BufferPool {
  readonly out = new Set<Bytes>();

  constructor(keep = 4) {
    super((size) => Buffer.alloc(size), POOL_BYTES, keep);
  }

  override take(): Bytes {
    const buffer = super.take();
    if (this.out.has(buffer)) throw new Error('a buffer was handed out twice');
    this.out.add(buffer);
    return buffer;
  }

  override give(buffer: Bytes): void {
    if (!this.out.delete(buffer)) throw new Error('a buffer was given back twice, or was never taken');
    buffer.fill(0xdd);
    super.give(buffer);
  }
}

type Step =
  | { type: 'append'; source: number; start: number; length: number }
  | { type: 'flush'; takes: number[] }
  | { type: 'clear' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('append' as const),
      source: fc.nat({ max: 2 }),
      start: fc.nat({ max: 150 }),
      length: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 150 })),
    }),
  },
  {
    weight: 3,
    // What each write takes at most; -1: the connection is gone.
    arbitrary: fc.record({
      type: fc.constant('flush' as const),
      takes: fc.array(
        fc.oneof({ weight: 8, arbitrary: fc.nat({ max: 200 }) }, { weight: 1, arbitrary: fc.constant(-1) }),
        {
          minLength: 1,
          maxLength: 6,
        },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'clear' as const }) },
);

describe('the output of a connection', () => {
  it('gives the bytes in order and whole to a sink that takes random amounts, and its buffers back once', () => {
    const sources = [0, 1, 2].map((n) => Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 7 + n * 85) & 0xff)));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat({ max: 3 }), (steps, keep) => {
        const pool = new CheckedPool(keep);
        const output = new Output(pool);
        let expected = Buffer.alloc(0);
        for (const each of steps) {
          if (each.type === 'append') {
            const source = sources[each.source] as Buffer;
            output.append(source, each.start, each.start + each.length);
            expected = Buffer.concat([expected, source.subarray(each.start, each.start + each.length)]);
          } else if (each.type === 'clear') {
            output.clear();
            expected = Buffer.alloc(0);
            expect(pool.out.size).toBe(0);
          } else {
            const takes = [...each.takes];
            let gone = false;
            let written = Buffer.alloc(0);
            const taken = output.flush({
              write(bytes, offset, length) {
                expect(offset + length).toBeLessThanOrEqual(bytes.length);
                // Once it is gone it stays so, and a full socket takes nothing more.
                const most = takes.shift() ?? 0;
                if (gone || most < 0) {
                  gone = true;
                  return -1;
                }
                const count = Math.min(length, most);
                written = Buffer.concat([written, bytes.subarray(offset, offset + count)]);
                return count;
              },
            });
            expect(written).toEqual(expected.subarray(0, written.length));
            expected = expected.subarray(written.length);
            if (gone && written.length === 0) expect(taken).toBeLessThan(0);
            else expect(taken).toBe(written.length);
            if (!gone) expect(output.blocked).toBe(expected.length > 0);
          }
          expect(output.bytes).toBe(expected.length);
        }
        const rest: Buffer[] = [];
        while (output.bytes > 0) {
          output.flush({
            write(bytes, offset, length) {
              rest.push(Buffer.from(bytes.subarray(offset, offset + length)));
              return length;
            },
          });
        }
        expect(Buffer.concat(rest)).toEqual(expected);
        expect(pool.out.size).toBe(0);
      }),
      { numRuns: 1500 },
    );
  });

  it('writes one run of received bytes from where it was received, without a copy', () => {
    const output = new Output(new CheckedPool());
    const source = Buffer.from('+OK\r\n+OK\r\n');
    output.append(source, 0, 5);
    output.append(source, 5, 10);
    const writes: [Uint8Array, number, number][] = [];
    output.flush({ write: (bytes, offset, length) => writes.push([bytes, offset, length]) * length });
    expect(writes).toEqual([[source, 0, 10]]);
  });

  it('gathers small pieces into one write', () => {
    const output = new Output(new CheckedPool());
    for (let i = 0; i < 10; i++) output.append(Buffer.from(`:${i}\r\n`), 0, 4);
    const writes: string[] = [];
    output.flush({
      write(bytes, offset, length) {
        writes.push(Buffer.from(bytes.subarray(offset, offset + length)).toString());
        return length;
      },
    });
    expect(writes).toEqual([':0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n']);
  });
});

describe('a pool of buffers', () => {
  it('keeps no more than it was told, and gives those out again', () => {
    let allocated = 0;
    const pool = new BufferPool((size) => Buffer.alloc(size, ++allocated), POOL_BYTES, 2);
    const taken = [pool.take(), pool.take(), pool.take()];
    for (const buffer of taken) pool.give(buffer);
    expect(new Set([pool.take(), pool.take()])).toEqual(new Set(taken.slice(0, 2)));
    pool.take();
    expect(allocated).toBe(4);
  });
});
