import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from '../../../../src/proxy/config/nearest.js';

const WORDS = ['address', 'endpoints', 'name', 'op_timeout', 'connect_timeout', 'workers'];

describe('the nearest word', () => {
  it.each([
    ['adress', 'address'],
    ['endpoint', 'endpoints'],
    ['optimeout', 'op_timeout'],
    ['conect_timeout', 'connect_timeout'],
    ['nmae', 'name'],
    ['workers', 'workers'],
  ])('to %s is %s', (word, found) => {
    expect(nearest(word, WORDS)).toBe(found);
  });

  it.each(['x', '', 'something else', 'zz'])('to %j is none', (word) => {
    expect(nearest(word, WORDS)).toBeNull();
  });

  it('is found after one edit anywhere in a word of some length', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...WORDS),
        fc.nat({ max: 20 }),
        fc.constantFrom('', 'x', '_'),
        fc.boolean(),
        (word, at, insert, remove) => {
          const place = at % word.length;
          const written = word.slice(0, place) + insert + word.slice(place + (remove ? 1 : 0));
          expect(nearest(written, WORDS)).toBe(word);
        },
      ),
    );
  });

  it('is not looked for long', () => {
    const started = performance.now();
    expect(nearest('x'.repeat(4_000_000), WORDS)).toBeNull();
    expect(performance.now() - started).toBeLessThan(100);
  });
});
