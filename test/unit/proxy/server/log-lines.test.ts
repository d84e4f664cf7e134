import { describe, expect, it } from 'vitest';
import { escaped } from '../../../../src/proxy/engine/trace/escaped.js';
import { jsonLine, textLine } from '../../../../src/proxy/server/log-lines.js';
import { Random } from '../engine/support/random.js';

const TIME = '2026-01-31T12:00:00.000Z';
/** Characters that break lines, terminals and readers, among others. */
const NASTY = [
  '\n',
  '\r',
  '\t',
  '\0',
  '\x1b[2J',
  '\x7f',
  '\x9b',
  '"',
  '\\',
  '\u2028',
  '\u202e',
  '=',
  ' ',
  'a',
  'ü',
  '🙂',
];

describe('a line of the log', () => {
  it('is one line without control characters, whatever a field or a message holds', () => {
    const random = new Random(7);
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: random.int(0, 20) }, () => NASTY[random.int(0, NASTY.length - 1)]).join('');
      const plain = textLine(TIME, 'info', text, [['field', text]]);
      expect(plain.slice(0, -1)).not.toMatch(/[\p{Cc}\u2028\u2029\u202e]/u);
      expect(JSON.parse(`"${escaped(text)}"`)).toBe(text);
      const line = jsonLine(TIME, 'warn', text, [
        ['field', text],
        ['level', 'mine'],
        ['count', 3],
      ]);
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(JSON.parse(line)).toEqual({
        time: TIME,
        level: 'warn',
        message: text,
        field: text,
        level_: 'mine',
        count: 3,
      });
    }
  });

  it('shows plain values bare', () => {
    expect(
      textLine(TIME, 'info', 'it said "no"', [
        ['upstream', '10.0.0.1:6379'],
        ['why', 'a b'],
      ]),
    ).toBe(`${TIME} info it said "no" upstream=10.0.0.1:6379 why="a b"\n`);
  });

  it('is bounded', () => {
    const long = 'x'.repeat(1_000_000);
    for (const line of [textLine(TIME, 'info', long, [['a', long]]), jsonLine(TIME, 'info', long, [['a', long]])]) {
      expect(line.length).toBeLessThan(8192);
      expect(line).toContain('more)');
    }
  });
});
