import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createColors } from '../../../src/ui/colors.js';
import { displayWidth, renderTable } from '../../../src/ui/table.js';

describe('a table', () => {
  it('aligns its columns, numbers to the right, and ends no line with spaces', () => {
    const text = renderTable(
      ['Node', { title: 'Keys', align: 'right' }, 'Role'],
      [
        ['127.0.0.1:7001', 7, 'master'],
        ['127.0.0.1:7002', 12345],
      ],
    );
    expect(text.split('\n')).toEqual([
      'Node             Keys  Role',
      '127.0.0.1:7001      7  master',
      '127.0.0.1:7002  12345',
    ]);
  });

  it('does not count colours as width', () => {
    const { red } = createColors(true);
    const [, first, second] = renderTable(
      ['A', 'B'],
      [
        [red('xx'), '1'],
        ['xx', '1'],
      ],
    ).split('\n');
    expect(displayWidth(first as string)).toBe(displayWidth(second as string));
  });

  it('has one line for the titles and one per row, all columns starting at the same place', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', 'é', '字', '-'), minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 20 }), (rows) => {
        const lines = renderTable(['One', 'Two'], rows).split('\n');
        expect(lines).toHaveLength(rows.length + 1);
        const start = [...(lines[0] as string)].join('').indexOf('Two');
        for (const [index, row] of rows.entries()) {
          expect([...(lines[index + 1] as string)].slice(start).join('')).toBe(row[1]);
        }
      }),
    );
  });
});
