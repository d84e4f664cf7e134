import { describe, expect, it } from 'vitest';
import { Prefixes } from '../../../../../src/proxy/engine/routing/prefixes.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');

function find(prefixes: readonly string[], key: string, folded = false): string | null {
  const found = new Prefixes(prefixes.map(bytes), folded).find(bytes(`<${key}>`), 1, key.length + 1);
  return found < 0 ? null : prefixes[found]!;
}

describe('the longest prefix', () => {
  it.each([
    [['a', 'ab', 'abc'], 'abcd', 'abc'],
    [['a', 'ab', 'abc'], 'abd', 'ab'],
    [['a', 'abc'], 'abb', 'a'],
    [['a', 'abc'], 'ab', 'a'],
    [['ab'], 'a', null],
    [['ab'], '', null],
    [['b'], 'a', null],
    [['b'], 'c', null],
    [['user:', 'user:session:', 'user:t'], 'user:session', 'user:'],
    [['\xff'], '\xff\xff', '\xff'],
    [[], 'a', null],
  ])('of %j for %j is %j', (prefixes, key, expected) => {
    expect(find(prefixes, key)).toBe(expected);
  });

  it('is found in any case when it is folded, and only letters are', () => {
    expect(find(['user:'], 'USER:1', true)).toBe('user:');
    expect(find(['user:'], 'USER:1')).toBeNull();
    expect(find(['a['], 'A{', true)).toBeNull();
    expect(find(['a@'], 'A`', true)).toBeNull();
  });

  it('is what trying all of them finds', () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return (seed >>> 8) % below;
    };
    const word = (letters: string) => Array.from({ length: random(7) }, () => letters[random(letters.length)]).join('');
    for (let round = 0; round < 300; round++) {
      const folded = round % 2 === 0;
      const prefixes = [...new Set(Array.from({ length: random(30) }, () => word('ab:')))].filter(
        (each) => each !== '',
      );
      const tree = new Prefixes(prefixes.map(bytes), folded);
      for (let i = 0; i < 30; i++) {
        const key = word('abAB:');
        const seen = folded ? key.toLowerCase() : key;
        const matching = prefixes.filter((prefix) => seen.startsWith(prefix)).sort((a, b) => b.length - a.length);
        const found = tree.find(bytes(key), 0, key.length);
        expect(found < 0 ? undefined : prefixes[found]).toBe(matching[0]);
      }
    }
  });
});
