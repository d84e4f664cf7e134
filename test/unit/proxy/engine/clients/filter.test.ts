import { describe, expect, it } from 'vitest';
import { readFilter, type Words } from '../../../../../src/proxy/engine/clients/filter.js';

const wordsOf = (words: readonly string[]): Words => ({
  count: words.length,
  text: (index) => words[index] as string,
  word: (index) => (words[index] as string).toLowerCase(),
  integer: (index) => (/^\d+$/.test(words[index] as string) ? Number(words[index]) : Number.NaN),
});

const COUNT = 200_000;
/** With work that grows with the square of the ids it would be minutes. */
const BOUND_MS = 5000;

describe('filters of CLIENT LIST and CLIENT KILL', () => {
  it.each([
    ['list', ['ID', ...Array.from({ length: COUNT }, (_, i) => String(i + 1))]],
    ['kill', Array.from({ length: COUNT }, (_, i) => ['ID', String(i + 1)]).flat()],
  ] as const)('take any number of ids, %s', (command, words) => {
    const startedMs = performance.now();
    const filter = readFilter(wordsOf(words), 0, command);
    expect(typeof filter === 'string' ? filter : filter.ids?.size).toBe(COUNT);
    expect(performance.now() - startedMs).toBeLessThan(BOUND_MS);
  });

  it('refuse an id that is none', () => {
    expect(readFilter(wordsOf(['ID', '1', '0']), 0, 'list')).toBe('Invalid client ID');
    expect(readFilter(wordsOf(['ID', 'x']), 0, 'kill')).toBe('client-id should be greater than 0');
  });
});
