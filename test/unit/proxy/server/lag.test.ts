import { describe, expect, it } from 'vitest';
import { isLagging, lagBytes } from '../../../../src/proxy/server/discovery/lag.js';

const info = (fields: Record<string, string>) => new Map(Object.entries(fields));
const master = info({ role: 'master', master_repl_offset: '1000' });
const replica = (offset: string, status = 'up') => info({ master_link_status: status, slave_repl_offset: offset });

describe('how far a replica is behind', () => {
  it.each([
    ['100 bytes', master, replica('900'), 100],
    ['nothing', master, replica('1000'), 0],
    ['nothing, when it was asked later than its master', master, replica('1200'), 0],
    ['unknown without a link', master, replica('1000', 'down'), Number.NaN],
    ['unknown when it does not answer', master, null, Number.NaN],
    ['unknown when its master does not', null, replica('1000'), Number.NaN],
    ['unknown when it says nothing of it', master, info({ master_link_status: 'up' }), Number.NaN],
  ])('is %s', (_, of, by, expected) => {
    expect(lagBytes(of, by)).toBe(expected);
  });

  it('is too far above the bound, and when it is not known', () => {
    expect(isLagging(100, 100)).toBe(false);
    expect(isLagging(101, 100)).toBe(true);
    expect(isLagging(0, 0)).toBe(false);
    expect(isLagging(Number.NaN, 1e9)).toBe(true);
  });
});
