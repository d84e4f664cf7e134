import { describe, expect, it } from 'vitest';
import { createColors } from '../../../src/ui/colors.js';
import {
  drillLines,
  eventLine,
  rehearsalLines,
  type ShownClients,
  type ShownDrill,
  timelineLines,
} from '../../../src/ui/drill.js';

const second = (operations: number, errors = 0, p99 = 1) => ({ operations, errors, p99 });
const clients = (changes: Partial<ShownClients> = {}): ShownClients => ({
  endpoint: '127.0.0.1:6379',
  durationMs: 4_500,
  operations: 400,
  errors: {},
  errorExamples: {},
  examples: [],
  longestPause: { client: 'counter 1', ms: 250, untilMs: 2_400 },
  seconds: [second(100), second(0, 12, 0), second(50, 3, 900), second(100), second(40)],
  ownPauseMs: 5,
  ...changes,
});
const drill = (changes: Partial<ShownDrill> = {}): ShownDrill => ({
  name: 'a master is killed',
  events: [
    { atMs: 1_200, text: '127.0.0.1:7001 is killed' },
    { atMs: 3_900, text: 'whole again' },
  ],
  clients: clients(),
  verdict: {
    passed: true,
    lines: [
      { what: 'operations', value: 400, unit: '', bound: 100, least: true, holds: true },
      { what: 'errors', value: 15, unit: '', holds: true },
      { what: 'longest pause', value: 1_250, unit: 'ms', bound: 4_000, holds: true },
    ],
  },
  ...changes,
});
const colors = createColors(false);
const shown = (report: ShownDrill, columns = 80) => drillLines(report, columns, colors).join('\n');

describe('a timeline of characters', () => {
  it('has a character for every whole second, and letters where something happened', () => {
    const [operations, p99, errors, marks, remark, ...events] = timelineLines(drill(), 80);
    expect(operations).toBe('ops/s    █·▅█');
    expect(p99).toMatch(/^p99 {6}.·█.$/);
    expect(errors).toBe('errors   ·+3·');
    expect(marks).toBe('          a b');
    expect(remark).toContain('one character a second; at most 100 ops/s, p99 900 ms');
    expect(events).toEqual(['a     1.2 s  127.0.0.1:7001 is killed', 'b     3.9 s  whole again']);
  });

  it('never is wider than the terminal', () => {
    for (const count of [1, 19, 71, 72, 100, 3_600]) {
      const seconds = Array.from({ length: count }, () => second(10));
      const report = drill({ clients: clients({ seconds, durationMs: count * 1_000 }) });
      for (const columns of [30, 80, 200]) {
        for (const line of timelineLines(report, columns).slice(0, 4)) {
          expect([...line].length).toBeLessThanOrEqual(columns);
        }
      }
    }
    const long = clients({ seconds: Array.from({ length: 200 }, () => second(10)), durationMs: 200_000 });
    expect(timelineLines(drill({ clients: long }), 80)[4]).toContain('one character for 3 seconds');
  });

  it('shows the first of several events of one moment, and those after the last second at the end', () => {
    const events = [
      { atMs: 100, text: 'x' },
      { atMs: 200, text: 'y' },
      { atMs: 99_000, text: 'z' },
    ];
    expect(timelineLines(drill({ events }), 80)[3]).toBe('         a  c');
  });

  it('goes without a second that was measured', () => {
    expect(timelineLines(drill({ clients: clients({ seconds: [], durationMs: 10 }), events: [] }), 80)[0]).toBe(
      'ops/s',
    );
  });
});

describe('the report of a drill', () => {
  it('has every number with its bound, and the verdict last', () => {
    const text = shown(drill());
    expect(text).toMatch(/^RESULT +NUMBER +VALUE +BOUND\nholds +operations +400 +≥ 100\nholds +errors +15 +-\n/);
    expect(text).toMatch(/holds +longest pause +1,250 ms +≤ 4,000 ms/);
    expect(text).toContain('The longest pause: counter 1, until 2.4 s.');
    expect(text.split('\n').at(-1)).toBe('Passed: a master is killed.');
  });

  it('says what failed, what was seen, and what nothing can be said of', () => {
    const failing = drill({
      beside: clients({ longestPause: { client: 'log 0', ms: 1_234, untilMs: 0 } }),
      clients: clients({
        errors: { upstream: 3, OOM: 12 },
        errorExamples: { upstream: 'upstream failure', OOM: 'no\u001b[31m room\n' },
        examples: [{ kind: 'foreign-reply', key: 'key\u0007', detail: 'another', count: 2 }],
        ownPauseMs: 450,
      }),
      verdict: { passed: false, lines: [{ what: 'errors', value: 15, unit: '', bound: 0, holds: false }] },
    });
    const text = shown(failing);
    expect(text).toMatch(/FAILS +errors +15 +≤ 0/);
    expect(text).toContain('of a client that knows the cluster 1,234 ms');
    expect(text).toMatch(/12 × OOM: no\\u001b\[31m room\\u000a\n +3 × upstream: upstream failure/);
    expect(text).toContain('2 × foreign-reply: key\\u0007: another');
    expect(text).toContain('stood still for 450 ms');
    expect(text.split('\n').at(-1)).toBe('Failed: a master is killed.');
  });

  it('cuts long lists and says so', () => {
    const errors = Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`K${index}`, index + 1]));
    expect(shown(drill({ clients: clients({ errors }) }))).toContain('and 4 more (--json has all)');
  });
});

describe('what is said before and meanwhile', () => {
  it('is what is done, what clients may see, and how to undo it', () => {
    const rehearsal = { name: 'n', does: ['one', 'two'], clients: 'nothing', undo: 'Ctrl-C.' };
    expect(rehearsalLines(rehearsal, 'staging')).toEqual([
      'Drill: n, at staging',
      '  1. one',
      '  2. two',
      '  Clients may see: nothing.',
      '  To undo it: Ctrl-C.',
    ]);
    expect(eventLine({ atMs: 12_345, text: 'a\nb' })).toBe('   12.3 s  a\\u000ab');
  });
});
