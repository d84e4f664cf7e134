import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { renderAbout, renderDrills, replaceFigures } from '../../../scripts/reliability-doc.js';
import { ROOT } from '../../support/repository.js';

const clients = (operations: number, errors: number, losses: number, ms: number) => ({
  operations,
  errors: errors === 0 ? {} : { upstream: errors },
  wrong: 0,
  losses,
  longestPause: { ms },
});
const line = (what: string, value: number, bound?: number) => ({ what, value, bound });
const report = (name: string, errors: number, ms: number, passed = true) => ({
  name,
  clients: clients(1_000, errors, 0, ms),
  beside: clients(900, 3, 4, ms + 5_000),
  verdict: {
    passed,
    lines: [
      line('errors', errors, 0),
      line('wrong replies', 0, 0),
      line('lost', 2),
      line('messages heard after later ones', 0),
      line('messages heard again', 0, 0),
      line('longest pause', ms, 1_000),
      line('pause beyond that of a cluster-aware client', -5_000, 300),
    ],
  },
});
const file = (seed: number, reports: unknown[], beside = 'Cluster-aware client') => ({
  ...{ seed, at: '2026-11-22T10:00:00Z', about: { cores: 2, system: 'Linux 6.1' }, beside, reports },
});

describe('the figures of docs/reliability.md', () => {
  it('are the worst of all runs, with their bounds', () => {
    const runs = [[file(1, [report('failover', 0, 200)])], [file(2, [report('failover', 1, 1_700, false)])]];
    const lines = renderDrills(runs).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[2]).toBe(
      '| failover | 2,000 | 1 (≤ 0) | 0 (≤ 0) | 2 | 0 | 0 (≤ 0) | 1,700 ms (≤ 1,000) | 3 | 0 | 4 | 6,700 ms | -5,000 ms (≤ 300) | **held 1 of 2 times** |',
    );
  });

  it('say beside the errors how many listeners were cut off, where that is judged apart', () => {
    const about = report('upgrade', 0, 90);
    about.verdict.lines.push(line('listeners cut off', 6, 6));
    expect(renderDrills([[file(1, [about])]])).toContain(
      '| upgrade | 1,000 | 0 (≤ 0), 6 listeners cut off (≤ 6) | 0 (≤ 0) |',
    );
  });

  it('have a table for each who was at work beside the proxy', () => {
    const runs = [[file(1, [report('failover', 0, 200)]), file(1, [report('kill', 0, 300)], 'nutcracker')]];
    const [first, second] = renderDrills(runs).split('\n\n');
    expect(first).toContain('Cluster-aware client: errors');
    expect(first).toContain('| failover | 1,000 | 0 (≤ 0) |');
    expect(second).toContain('nutcracker: errors');
    expect(second).toMatch(/\| kill \|.*\| held \|$/);
  });

  it('say when, where and with which seeds they were measured', () => {
    expect(renderAbout([[file(7, [])], [file(8, [])]])).toBe(
      '2 runs with the seeds `7`, `8`, 2026-11-22, 2 cores, Linux 6.1.',
    );
  });

  it('have their place in the page', () => {
    const page = readFileSync(path.join(ROOT, 'docs', 'reliability.md'), 'utf8');
    const changed = replaceFigures(page, 'nothing');
    expect(changed).toMatch(/-->\n\nnothing\n\n<!--/);
    expect(replaceFigures(changed, 'nothing')).toBe(changed);
    expect(() => replaceFigures('no marks', 'nothing')).toThrow('marks');
  });
});
