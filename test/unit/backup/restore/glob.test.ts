import { describe, expect, it } from 'vitest';
import { keyPattern, PATTERN_BYTES_MAX } from '../../../../src/backup/restore/glob.js';

describe('a pattern of keys', () => {
  it.each([
    ['*', '', true],
    ['*', 'anything', true],
    ['a*c', 'abc', true],
    ['a*c', 'ac', true],
    ['a*c', 'abcd', false],
    ['a**c', 'abbc', true],
    ['*:1:*', 'x:1:y:1:z', true],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h[ae]llo', 'hallo', true],
    ['h[ae]llo', 'hillo', false],
    ['h[^e]llo', 'hallo', true],
    ['h[^e]llo', 'hello', false],
    ['key:[0-9]', 'key:7', true],
    ['key:[9-0]', 'key:7', true],
    ['key:[0-9]', 'key:x', false],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['[\\]]', ']', true],
    ['a\\', 'a\\', true],
    ['[ab', 'b', true],
    ['', '', true],
    ['', 'a', false],
    ['ü', 'ü', true],
  ])('%j and the key %j: %s', (pattern, key, fits) => {
    expect(keyPattern(pattern)(Buffer.from(key))).toBe(fits);
  });

  it('takes its time for no key', () => {
    const fits = keyPattern('*a*a*a*a*a*a*a*a*a*b');
    const started = performance.now();
    expect(fits(Buffer.alloc(20_000, 'a'))).toBe(false);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('is refused when it is too long', () => {
    expect(() => keyPattern('x'.repeat(PATTERN_BYTES_MAX + 1))).toThrow(/longer than/);
  });
});
