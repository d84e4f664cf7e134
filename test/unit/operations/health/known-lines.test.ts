import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KnownLines, parseClusterNodes } from '../../../../src/cluster/parse-nodes.js';

const id = (n: number) => String(n).padStart(40, '0');
const line = fc
  .record({
    n: fc.integer({ min: 1, max: 3 }),
    port: fc.integer({ min: 1, max: 3 }),
    flags: fc.constantFrom('master', 'myself,master', 'slave', 'master,fail?'),
    master: fc.constantFrom('-', id(1), id(2)),
    times: fc.constantFrom('0 0', '1795290954821 0', '0 17'),
    epoch: fc.integer({ min: 0, max: 2 }),
    link: fc.constantFrom('connected', 'disconnected'),
    slots: fc.constantFrom('', ' 0-5', ` 0-5 [3->-${id(2)}]`),
    gap: fc.constantFrom(' ', '  '),
  })
  .map(
    ({ n, port, flags, master, times, epoch, link, slots, gap }) =>
      [id(n), `10.0.0.1:${port}@1`, flags, master, times, epoch, link].join(gap) + slots,
  );

describe('tables of one cluster', () => {
  it('say the same, whether lines of others were read before or not', () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 20 }), (lines) => {
        const known: KnownLines = new Map();
        for (const text of lines) expect(parseClusterNodes(text, 'x', known)).toEqual(parseClusterNodes(text, 'x'));
      }),
    );
  });

  it('share what is the same but for the times of pings', () => {
    const known: KnownLines = new Map();
    const of = (times: string) =>
      parseClusterNodes(`${id(1)} 10.0.0.1:1@2 master - ${times} 1 connected 0-5`, 'x', known);
    expect(of('0 5')[0]).toBe(of('7 1795290954821')[0]);
    expect(known.size).toBe(1);
  });
});
