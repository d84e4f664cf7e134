/** The page of a drill: whole in itself, and nothing that was said by somebody else becomes part of its markup. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WorkloadReport } from '../../../../src/drills/checking-workload.js';
import type { DrillReport } from '../../../../src/drills/drill.js';
import { chart, markOf } from '../../../../src/drills/report/chart.js';
import { renderPage, wholeSeconds } from '../../../../src/drills/report/html.js';
import { escaped, figure } from '../../../../src/drills/report/markup.js';
import { linearScale, logarithmicScale, secondTicks } from '../../../../src/drills/report/scale.js';

const second = (index: number, operations: number, errors = 0, p99 = 1) => ({
  second: index,
  operations,
  errors,
  p50: 0.5,
  p99,
  p999: p99,
  max: p99,
});
const clients = (changes: Partial<WorkloadReport> = {}): WorkloadReport => ({
  endpoint: '127.0.0.1:6379',
  durationMs: 3_200,
  operations: 1_234,
  errors: { upstream: 3 },
  errorExamples: { upstream: 'upstream failure' },
  findings: {},
  examples: [],
  wrong: 0,
  losses: 0,
  late: 0,
  repeats: 0,
  storedLosses: 0,
  lossTimes: [],
  missTimes: [],
  unchecked: 0,
  longestPause: { client: 'counter 1', ms: 250, untilMs: 1_000 },
  seconds: [second(0, 400), second(1, 0, 3, 0), second(2, 800, 0, 1_200), second(3, 34)],
  latency: { p50: 0.5, p99: 3, p999: 900, max: 1_200 },
  ownPauseMs: 4,
  ...changes,
});
const report = (changes: Partial<DrillReport> = {}): DrillReport => ({
  name: 'a master is killed',
  startedAt: '2026-11-22T12:00:00.000Z',
  events: [{ atMs: 1_100, text: '127.0.0.1:7001 is killed' }],
  clients: clients(),
  verdict: {
    passed: false,
    lines: [
      { what: 'operations', value: 1_234, unit: '', bound: 100, least: true, holds: true },
      { what: 'lost', value: 2, unit: '', holds: true },
      { what: 'longest pause', value: 250, unit: 'ms', bound: 100, holds: false },
    ],
  },
  ...changes,
});
const page = (changes?: Partial<DrillReport>) => renderPage(report(changes), { cluster: 'staging', version: '1.2.3' });
const HOSTILE = [
  '<',
  '>',
  '"',
  "'",
  '&',
  '/',
  '-',
  '!',
  ']',
  'é',
  '𝄞',
  '\u0000',
  '\u001b',
  '\u2028',
  '\ud800',
  '\n',
  'a',
];

/** Every tag that is opened is closed, in order. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  for (const [, end, name = '', rest = ''] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)([^>]*)>/g)) {
    if (['meta'].includes(name) || rest.endsWith('/')) continue;
    if (end === '') open.push(name);
    else if (open.pop() !== name) return [`</${name}>`];
  }
  return open;
}

describe('the page', () => {
  it('needs nothing from elsewhere, and runs nothing', () => {
    const html = page({ beside: clients() });
    expect(html).not.toMatch(/https?:|<script|<link|<img|<iframe|@import|url\(|\son[a-z]+=/i);
    expect(html).toContain('prefers-color-scheme: dark');
    expect(html.match(/<svg/g)).toHaveLength(3);
    expect(unbalanced(html)).toEqual([]);
  });

  it('has every number with its bound, every event, and errors by kind', () => {
    const html = page();
    expect(html).toContain('<h1>a master is killed <span class="verdict failed">failed</span></h1>');
    expect(html).toMatch(/operations<\/td><td>1,234<\/td><td>≥ 100/);
    expect(html).toMatch(/lost<\/td><td>2<\/td><td>none/);
    expect(html).toMatch(/fails<\/span><\/td><td>longest pause<\/td><td>250 ms<\/td><td>≤ 100 ms/);
    expect(html).toMatch(/<td>a<\/td><td>1.1<\/td><td>127.0.0.1:7001 is killed/);
    expect(html).toMatch(/upstream<\/td><td>3<\/td><td>upstream failure/);
  });

  it('tells of the cluster-aware client, of findings, and of its own pauses where there are any', () => {
    expect(page()).not.toMatch(/cluster-aware|checkers found|stood still/);
    const html = page({
      beside: clients({ endpoint: 'cluster at x' }),
      clients: clients({ ownPauseMs: 320, examples: [{ kind: 'lost-write', key: 'k', detail: 'gone', count: 1 }] }),
    });
    expect(html).toMatch(/cluster-aware client<\/td>/);
    expect(html).toMatch(/lost-write<\/td><td>1<\/td><td>k<\/td><td>gone/);
    expect(html).toContain('stood still for 320 ms');
  });

  it('shows whatever was said as text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...HOSTILE), maxLength: 40 }), (noise) => {
        const evil = `${noise}"><script>alert('x')</script>&${noise}`;
        const html = renderPage(
          report({
            name: evil,
            events: [{ atMs: 10, text: evil }],
            clients: clients({
              endpoint: evil,
              errors: { [evil]: 1 },
              errorExamples: { [evil]: evil },
              longestPause: { client: evil, ms: 1, untilMs: 1 },
              examples: [{ kind: 'torn', key: evil, detail: evil, count: 1 }],
            }),
          }),
          { cluster: evil, version: evil },
        );
        expect(html).not.toContain('<script');
        expect(html).not.toContain("alert('x')");
        expect(unbalanced(html)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('can be made of a drill that has hardly begun', () => {
    const html = page({ events: [], clients: clients({ seconds: [], durationMs: 5, errors: {}, operations: 0 }) });
    expect(html).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe('a drawing', () => {
  it('has a place for every second and every event inside of it', () => {
    const svg = chart({
      title: 'T',
      unit: 'u',
      height: 200,
      seconds: 3,
      scale: linearScale(800),
      series: [{ name: 's', kind: 'errors', shape: 'bars', values: [400, 0, 800] }],
      events: [
        { atMs: 0, text: 'x' },
        { atMs: 9_000, text: 'later than all' },
      ],
    });
    expect(svg).not.toMatch(/NaN|Infinity/);
    expect(svg.match(/class="bar errors"/g)).toHaveLength(2);
    expect(svg.match(/class="hint"/g)).toHaveLength(3);
    for (const [, x = ''] of svg.matchAll(/ x1?="([^"]+)"/g)) expect(Number(x)).toBeLessThanOrEqual(960);
  });

  it('marks events by letters, and by a star when these are used up', () => {
    expect([markOf(0), markOf(25), markOf(26), markOf(51), markOf(52)]).toEqual(['a', 'z', 'A', 'Z', '*']);
  });
});

describe('a scale', () => {
  it('ends at a round number that is not below the highest value', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (highest) => {
        const { ticks, at } = linearScale(highest);
        expect(ticks.at(-1)).toBeGreaterThanOrEqual(highest);
        expect(ticks.length).toBeLessThanOrEqual(12);
        expect(at(0)).toBe(0);
        expect(at(highest)).toBeLessThanOrEqual(1);
      }),
    );
    expect(linearScale(800).ticks).toEqual([0, 200, 400, 600, 800]);
    expect(linearScale(0).ticks).toEqual([0, 1]);
  });

  it('has powers of ten for what is small beside what is large', () => {
    expect(logarithmicScale([0.3, 1_200, 0]).ticks).toEqual([0.1, 1, 10, 100, 1_000, 10_000]);
    const { at } = logarithmicScale([0.1, 1_000]);
    expect([at(0), at(0.1), at(10), at(1_000), at(1e9)]).toEqual([0, 0, 0.5, 1, 1]);
    expect(logarithmicScale([]).ticks.every(Number.isFinite)).toBe(true);
  });

  it('has round seconds', () => {
    expect(secondTicks(7)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(secondTicks(60)).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60]);
    expect(secondTicks(3_600).length).toBeLessThanOrEqual(13);
  });
});

describe('numbers and words', () => {
  it('are short, and cannot be markup', () => {
    expect([0, 7, 1_234.4, 99.95, 12.34, 0.456].map(figure)).toEqual(['0', '7', '1,234', '100.0', '12.3', '0.46']);
    expect(escaped(`<a href="x">'&'\u0000</a>`)).toBe('&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;\ufffd&lt;/a&gt;');
  });

  it('leave out the second that was measured in part only', () => {
    expect(wholeSeconds(clients())).toBe(3);
    expect(wholeSeconds(clients({ seconds: [], durationMs: 10 }))).toBe(1);
  });
});
