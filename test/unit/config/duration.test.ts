import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/config/duration.js';
import { ForgeError } from '../../../src/errors.js';

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['30', 30_000],
    ['1.5s', 1_500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    [' 5s ', 5_000],
  ])('reads %s as %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', 's', '-1s', '5 s', '5d', '1e3', '0', '0ms', '25h', '9999999999', 'Infinity', '0x10'])(
    'refuses %j as a usage error',
    (text) => {
      expect(() => parseDuration(text)).toThrow(ForgeError);
      try {
        parseDuration(text);
      } catch (error) {
        expect((error as ForgeError).kind).toBe('usage');
      }
    },
  );

  it('names the bounds that it was given', () => {
    try {
      parseDuration('1s', { minMs: 2_000, maxMs: 120_000 });
    } catch (error) {
      expect((error as ForgeError).next).toEqual(['Take a duration from 2s to 2m.']);
    }
  });

  it('reads what it writes', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 86_400_000 }), (ms) => parseDuration(formatDuration(ms)) === ms));
  });
});
