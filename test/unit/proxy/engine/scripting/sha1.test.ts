import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha1 } from '../../../../../src/proxy/engine/scripting/sha1.js';

describe('sha1', () => {
  it('is what node:crypto says, for any bytes and all lengths around a block', () => {
    for (let length = 0; length < 200; length++) {
      const bytes = Buffer.alloc(length, 'x');
      expect(sha1(bytes), `${length} bytes`).toBe(createHash('sha1').update(bytes).digest('hex'));
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
        expect(sha1(bytes)).toBe(createHash('sha1').update(bytes).digest('hex'));
      }),
    );
  });
});
