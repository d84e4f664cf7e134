import { describe, expect, it } from 'vitest';
import { isOut } from '../../../../src/operations/steps/wait-convergence.js';
import { type DescribedNode, idOf, snapshotOf, THREE } from '../support.js';

/** Whether node 2 is out, as all that answer see it. */
function isSecondOut(table: readonly DescribedNode[], silent: readonly number[]): boolean {
  const { reports } = snapshotOf(table, { silent });
  return isOut(new Map(reports.map(({ id, view, cluster }) => [id, { topology: view, cluster }])), idOf(2));
}
const WITHOUT: readonly DescribedNode[] = [
  { n: 1, slots: '0-5460' },
  { n: 3, slots: '5461-16383' },
];

describe('who is not waited for', () => {
  it('is held for dead by all, and serves nothing', () => {
    expect(isSecondOut([...WITHOUT, { n: 2, flags: 'master,fail' }], [2])).toBe(true);
  });

  it('is nobody who answers, is only suspected, still has slots, or is not known', () => {
    expect(isSecondOut([...WITHOUT, { n: 2, flags: 'master,fail' }], [])).toBe(false);
    expect(isSecondOut([...WITHOUT, { n: 2, flags: 'master,fail?' }], [2])).toBe(false);
    expect(isSecondOut([...THREE.slice(0, 1), { n: 2, flags: 'master,fail', slots: '5461-10922' }], [2])).toBe(false);
    expect(isSecondOut(WITHOUT, [])).toBe(false);
  });

  it('is nobody where no node answers at all', () => {
    expect(isOut(new Map(), idOf(2))).toBe(false);
  });
});
