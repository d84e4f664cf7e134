import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRates, Traffic, TTL_S } from '../../../src/drills/load/traffic.js';
import { ForgeError } from '../../../src/errors.js';
import { loadLine, loadTable } from '../../../src/ui/load.js';

const traffic = (reads: number, random?: () => number) =>
  new Traffic({ reads, bytes: 5, keys: 10, prefix: 'p:' }, random);

describe('traffic', () => {
  it('reads and writes as it is told, over all keys', () => {
    const counts = { GET: 0, SET: 0 };
    const keys = new Set<string>();
    const mixed = traffic(0.8);
    for (let i = 0; i < 5_000; i++) {
      const [name, key = ''] = mixed.next();
      counts[name as 'GET' | 'SET']++;
      keys.add(key);
    }
    expect(counts.GET / 5_000).toBeCloseTo(0.8, 1);
    expect([...keys].sort()).toEqual(Array.from({ length: 10 }, (_, number) => `p:${number}`));
    expect(traffic(0).next()[0]).toBe('SET');
    expect(traffic(1).next()[0]).toBe('GET');
    expect(traffic(0, () => 0.99).next()).toEqual(['SET', 'p:9', 'xxxxx', 'EX', String(TTL_S)]);
  });

  it('knows a reply that is none to its command', () => {
    const { isRight } = { isRight: (command: string[], reply: unknown) => traffic(1).isRight(command, reply) };
    for (const reply of ['xxxxx', null]) expect(isRight(['GET', 'a'], reply)).toBe(true);
    for (const reply of ['xxxx', 'OK', 5, ['xxxxx']]) expect(isRight(['GET', 'a'], reply)).toBe(false);
    expect(isRight(['SET', 'a', 'b'], 'OK')).toBe(true);
    for (const reply of ['xxxxx', null, 1]) expect(isRight(['SET', 'a', 'b'], reply)).toBe(false);
  });
});

describe('rates', () => {
  it('are operations a second, in thousands and millions as well', () => {
    expect(parseRates('500, 10k,1.5K,2m', '--targets')).toEqual([500, 10_000, 1_500, 2_000_000]);
  });

  it.each(['', '0', '-5', '10kk', '1e3', '10k,', '11m', 'k', ','.repeat(60), Array(51).fill('1').join(',')])(
    'of %j are none',
    (text) => {
      expect(() => parseRates(text, '--rate')).toThrow(ForgeError);
    },
  );

  it('of any text give rates or an error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          for (const rate of parseRates(text, '--rate')) expect(rate).toBeGreaterThanOrEqual(1);
        } catch (error) {
          expect(error).toBeInstanceOf(ForgeError);
        }
      }),
    );
  });
});

describe('what forge load shows', () => {
  it('is a line a second and a table of runs', () => {
    const second = { second: 3, operations: 12_345, errors: 2, p50: 0.5, p99: 1.25, p999: 123.4 };
    expect(loadLine(second, 20_000)).toBe('   3 s  12,345 of 20,000 ops/s  p50 0.50  p99 1.25  p99.9 123 ms  2 errors');
    const latency = { p50: 0.5, p99: 1, p999: 2, max: 250 };
    const run = { rate: 9_999.6, errors: { MOVED: 1_500, closed: 1 }, wrong: 0, latency, ownPauseMs: 1 };
    expect(
      loadTable([{ ...run, target: 10_000 }, run])
        .split('\n')
        .slice(1),
    ).toEqual([
      '10,000  10,000  0.50 ms  1.00 ms  2.00 ms  250 ms  1,500 MOVED, 1 closed      0',
      '   all  10,000  0.50 ms  1.00 ms  2.00 ms  250 ms  1,500 MOVED, 1 closed      0',
    ]);
  });
});
