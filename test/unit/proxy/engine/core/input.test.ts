import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { detach, join, LARGE_REQUEST_BYTES, LargeRequest } from '../../../../../src/proxy/engine/core/input.js';
import {
  DEFAULT_LIMITS,
  FRAME_COMPLETE,
  FRAME_INCOMPLETE,
  resumeRequest,
} from '../../../../../src/proxy/engine/resp/request-framer.js';
import { encodeCommandText } from '../support/resp.js';

const allocate = (size: number) => Buffer.alloc(size);

/** Collects one command from chunks; returns its bytes, the bytes behind it, and the sizes allocated. */
function collect(bytes: Buffer, chunkBytes: number[]): { command: Buffer; surplus: Buffer; allocated: number[] } {
  const allocated: number[] = [];
  const large = new LargeRequest((size) => {
    allocated.push(size);
    return Buffer.alloc(size);
  }, 1);
  let at = 0;
  for (let turn = 0; ; turn++) {
    const end = Math.min(bytes.length, at + (chunkBytes[turn % chunkBytes.length] as number));
    while (at < end) {
      const taken = large.take(bytes, at, end, large.frame.bytesAtLeast);
      expect(taken).toBeGreaterThan(0);
      at += taken;
      const verdict = resumeRequest(large.buffer, 0, large.length, large.frame, DEFAULT_LIMITS);
      if (verdict === FRAME_INCOMPLETE) continue;
      expect(verdict).toBe(FRAME_COMPLETE);
      const surplus = large.length - large.frame.end;
      return {
        command: Buffer.from(large.buffer.subarray(0, large.frame.end)),
        surplus: bytes.subarray(at - surplus),
        allocated,
      };
    }
  }
}

describe('a large command', () => {
  it('is collected whole from chunks of any size, and what follows it is left', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.integer({ min: 500, max: 200_000 }), { minLength: 1, maxLength: 5 }),
        (args, chunks) => {
          const command = encodeCommandText([
            'SET',
            ...args.map((size, i) => String.fromCharCode(97 + i).repeat(size)),
          ]);
          const next = Buffer.from('PING\r\n');
          const found = collect(Buffer.concat([command, next]), chunks);
          expect(found.command.equals(command)).toBe(true);
          expect(found.surplus.toString()).toBe('PING\r\n');
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is held once: the buffer has its size as soon as that is known', () => {
    const command = encodeCommandText(['SET', 'k', 'x'.repeat(5_000_000)]);
    const { allocated } = collect(command, [100_000]);
    expect(allocated).toEqual([2 * LARGE_REQUEST_BYTES, command.length]);
  });
});

describe('unfinished bytes', () => {
  it('are joined and detached as copies', () => {
    const first = Buffer.from('abc');
    const second = Buffer.from('.def.');
    const joined = join(allocate, first, second, 1, 4);
    const copy = detach(allocate, second, 1, 4);
    second.fill(0);
    expect(joined.toString()).toBe('abcdef');
    expect(copy.toString()).toBe('def');
  });
});
