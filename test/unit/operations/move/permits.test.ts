import { describe, expect, it } from 'vitest';
import { Permits } from '../../../../src/operations/move/permits.js';

/** Begins works that end when told; tells which have begun. */
function works(permits: Permits) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const begin = (name: string, count?: number) =>
    permits.with(
      () =>
        new Promise<void>((resolve) => {
          begun.push(name);
          ends.set(name, resolve);
        }),
      count,
    );
  const end = async (name: string) => {
    ends.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, begin, end };
}

describe('permits', () => {
  it('lets so many work at once, and the next when one has ended', async () => {
    const { begun, begin, end } = works(new Permits(2));
    for (const name of ['a', 'b', 'c']) void begin(name);
    await end('');
    expect(begun).toEqual(['a', 'b']);
    await end('a');
    expect(begun).toEqual(['a', 'b', 'c']);
  });

  it('lets nobody pass one that needs more, so that it does not wait for ever', async () => {
    const { begun, begin, end } = works(new Permits(4));
    void begin('quarter');
    void begin('all', 4);
    void begin('late');
    await end('');
    expect(begun).toEqual(['quarter']);
    await end('quarter');
    expect(begun).toEqual(['quarter', 'all']);
    await end('all');
    expect(begun).toEqual(['quarter', 'all', 'late']);
  });

  it('takes no more than there are, and gives back what work that fails had', async () => {
    const permits = new Permits(2);
    await expect(permits.with(() => Promise.reject(new Error('no')), 9)).rejects.toThrow('no');
    await expect(permits.with(() => Promise.resolve('yes'), 2)).resolves.toBe('yes');
  });
});
