import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Glob } from '../../../../../src/proxy/engine/access/glob.js';
import { globMatches } from '../../../../../src/proxy/engine/pubsub/glob.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const matches = (pattern: string, text: string) => {
  const given = bytes(`<${text}>`);
  return new Glob(bytes(pattern)).matches(given, 1, given.length - 1);
};

describe('a compiled pattern', () => {
  it.each([
    ['app:*', 'app:1', true],
    ['app:*', 'app:', true],
    ['app:*', 'app', false],
    ['app:1', 'app:1', true],
    ['app:1', 'app:12', false],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['[a-c]?', 'bz', true],
    ['[^a-c]?', 'bz', false],
    ['\\*', '*', true],
    ['\\*', 'x', false],
    ['**', 'anything', true],
    ['a\\', 'a\\', true],
    ['\xff[\x80-\xfe]', '\xff\x90', true],
  ])('%j and %j: %j', (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  it('matches what the pattern matches when it is not compiled', () => {
    const letters = fc.constantFrom(...'ab-*?[]^\\:\xe9');
    const text = fc.string({ unit: letters, maxLength: 12 });
    fc.assert(
      fc.property(text, text, (pattern, given) => {
        expect(matches(pattern, given)).toBe(globMatches(pattern, given));
      }),
      { numRuns: 20_000 },
    );
  });

  it('takes no longer for a pattern made to take long', () => {
    const started = performance.now();
    expect(matches(`${'a*'.repeat(500)}b`, 'a'.repeat(20_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it('knows when it matches everything', () => {
    expect(new Glob(bytes('*')).all).toBe(true);
    expect(new Glob(bytes('***')).all).toBe(true);
    expect(new Glob(bytes('a*')).all).toBe(false);
  });
});
