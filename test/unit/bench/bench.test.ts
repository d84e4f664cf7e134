import { describe, expect, it } from 'vitest';

// Plain JavaScript, run by node without a build: its types are not known here.
const load = (file: string) => import(new URL(`../../bench/${file}`, import.meta.url).href);
const { verdicts } = await load('verdicts.js');
const { median, medians, percentile } = await load('statistics.js');
const { renderReport } = await load('report.js');

const measured = (endpoint: string, cpuUs: number | undefined, name = 'p1') => ({
  ...{ case: name, command: 'set', endpoint, cpuUs, backendUs: 3, perSecond: 50_000, p50Ms: 0.5, p99Ms: 1 },
});

const results = {
  throughput: [measured('forge', 8.5), measured('nutcracker', 10), measured('direct', undefined)],
  paced: [
    { endpoint: 'forge', p50Ms: 0.1, p99Ms: 1.3, p999Ms: 2, maxMs: 3, sendLagP99Ms: 0.1 },
    { endpoint: 'nutcracker', p50Ms: 0.1, p99Ms: 1, p999Ms: 2, maxMs: 3, sendLagP99Ms: 0.1 },
  ],
  memory: [
    {
      ...{ endpoint: 'forge', idleBytes: 59 * 2 ** 20, clients: 5_000, bytesPerClient: 21_000 },
      ...{ manyClients: 10_000, connected: 10_000, answered: 9_999, manyBytes: 9e7 },
    },
  ],
  blocked: [
    { endpoint: 'forge', blocked: 0, cpuUs: 1, perSecond: 400_000, p99Ms: 3 },
    { endpoint: 'forge', blocked: 1_000, cpuUs: 1.04, perSecond: 390_000, p99Ms: 3 },
  ],
  tls: [
    { command: 'set', endpoint: 'forge service', cpuUs: 8.5, perSecond: 30_000, p50Ms: 1, p99Ms: 2 },
    { command: 'set', endpoint: 'haproxy', cpuUs: 10, perSecond: 20_000, p50Ms: 1, p99Ms: 2 },
  ],
  version: { nodeMs: 50, forgeMs: 150 },
};

describe('the benchmark’s verdicts', () => {
  it('hold up to and including the bound, and not above', () => {
    expect(verdicts(results).map(({ holds }: { holds: boolean }) => holds)).toEqual([
      true, // 0.85 × nutcracker's processor time
      false, // 1.30 × its p99
      false, // 1.04 × the processor time without blocked clients
      true, // 0.85 × HAProxy's processor time with TLS
      true,
      false, // 21,000 bytes per client
      false, // one client of 10,000 without an answer
      true, // exactly three times node
    ]);
  });

  it('are silent about what was not measured', () => {
    expect(verdicts({})).toEqual([]);
    expect(verdicts({ throughput: [measured('forge', 8)] })).toEqual([]);
  });

  it('are part of a document that tells how to repeat it', () => {
    const text = renderReport(results, {
      ...{ machine: { processor: '2 cores' }, command: 'npm run bench', rounds: 3, date: '2026-11-21' },
      paced: { ratePerSecond: 10_000, seconds: 10 },
    });
    expect(text).toContain('npm run bench\n');
    expect(text).toContain('| p1 set | forge | 8.50 | 0.85 | 3.00 | 50,000 | 0.50 | 1.00 |');
    expect(text).toContain('| p1 set | direct | – | – |');
    expect(text).toContain('| set | haproxy | 10.00 | 20,000 | 1.00 | 2.00 |');
    expect(text).toContain('| 1,000 | 1.040 | 390,000 | 3.00 |');
    expect(text.match(/\*\*missed\*\*/g)?.length).toBe(4);
    expect(text.endsWith('|\n')).toBe(true);
  });
});

describe('the benchmark’s statistics', () => {
  it('take medians, of records field by field', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(
      medians([
        { a: 1, b: undefined },
        { a: 3, b: undefined },
        { a: 2, b: undefined },
      ]),
    ).toEqual({
      a: 2,
      b: undefined,
    });
  });

  it('take the nearest rank as percentile', () => {
    const samples = Float64Array.from({ length: 1_000 }, (_, i) => i + 1);
    expect(percentile(samples, 0.99)).toBe(990);
    expect(percentile(samples, 1)).toBe(1_000);
  });
});
