import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globMatches } from '../../../../../src/proxy/engine/pubsub/glob.js';

describe('Redis glob patterns', () => {
  it.each([
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['**', '', true],
    ['h?llo', 'hello', true],
    ['h?llo', 'hllo', false],
    ['h*llo', 'heeeello', true],
    ['h*llo', 'hell', false],
    ['h[ae]llo', 'hallo', true],
    ['h[ae]llo', 'hillo', false],
    ['h[^e]llo', 'hallo', true],
    ['h[^e]llo', 'hello', false],
    ['h[a-c]llo', 'hbllo', true],
    ['h[c-a]llo', 'hbllo', true],
    ['h[a-c]llo', 'hdllo', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['[\\]]', ']', true],
    ['a\\', 'a\\', true],
    ['[abc', 'c', true],
    ['__key*__:*', '__keyspace@0__:foo', true],
    ['news.*', 'News.art', false],
    ['*a*b*c', 'xxaxxbxxc', true],
    ['*a*b*c', 'xxaxxbxx', false],
    ['\xff?', '\xff\x00', true],
  ])('%j and %j: %s', (pattern, text, matches) => {
    expect(globMatches(pattern, text)).toBe(matches);
  });

  it('agree with a plain recursive reading of stars and question marks', () => {
    const reference = (pattern: string, text: string): boolean => {
      if (pattern === '') return text === '';
      if (pattern[0] === '*') {
        return reference(pattern.slice(1), text) || (text !== '' && reference(pattern, text.slice(1)));
      }
      return (
        text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && reference(pattern.slice(1), text.slice(1))
      );
    };
    const word = (letters: string[], maxLength: number) =>
      fc.array(fc.constantFrom(...letters), { maxLength }).map((all) => all.join(''));
    fc.assert(
      fc.property(word(['a', 'b', '*', '?'], 7), word(['a', 'b'], 9), (pattern, text) => {
        expect(globMatches(pattern, text)).toBe(reference(pattern, text));
      }),
      { numRuns: 2000 },
    );
  });

  it('take no longer for patterns that are made to be slow', () => {
    const started = performance.now();
    expect(globMatches(`${'a*'.repeat(2000)}b`, 'a'.repeat(20_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
