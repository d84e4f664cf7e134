/** An endpoint with several addresses. */
import { describe, expect, it } from 'vitest';
import { type Endpoint, isLink, type Link, refusalOf } from '../../../src/drills/link/link.js';
import { severalEndpoints } from '../../../src/drills/link/several.js';

const link = { isOpen: true } as Link;
const tried: string[] = [];
const endpoint = (label: string, answers: boolean): Endpoint => ({
  label,
  connect: async () => {
    tried.push(label);
    return answers ? link : refusalOf(`ERR ${label} is away`);
  },
});

describe('an endpoint with several addresses', () => {
  it('is the first of them that lets a client in', async () => {
    tried.length = 0;
    const several = severalEndpoints([endpoint('a', false), endpoint('b', true), endpoint('c', true)]);
    expect(several.label).toBe('a, b, c');
    expect(isLink(await several.connect())).toBe(true);
    expect(tried).toEqual(['a', 'b']);
  });

  it('refuses as the last of them does, and without one', async () => {
    const all = severalEndpoints([endpoint('a', false), endpoint('b', false)]);
    expect(await all.connect()).toMatchObject({ ok: false, message: 'ERR b is away' });
    expect(await severalEndpoints([]).connect()).toMatchObject({ ok: false, kind: 'connect', certain: true });
  });
});
