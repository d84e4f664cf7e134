import { describe, expect, it } from 'vitest';
import { parseReport } from '../../../../src/cluster/snapshot/node-report.js';
import { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import { followFailover } from '../../../../src/operations/move/follow-failover.js';
import { type DescribedNode, idOf, rawNode, snapshotOf, THREE } from '../support.js';

const refOf = (n: number) => ({ id: idOf(n), address: `10.0.0.${n}:6379` });
const followed = (snapshot: ClusterSnapshot, source: number, target: number) => {
  const move = followFailover(snapshot, {
    source: refOf(source),
    target: refOf(target),
    slots: [{ start: 6_000, end: 6_100 }],
  });
  return [move.source.id, move.target.id];
};
const FOUR: readonly DescribedNode[] = [...THREE, { n: 4, replicaOf: 2 }];
/** After the failover of 2: the epoch of 4 is newer. */
const AFTER: readonly DescribedNode[] = [
  { n: 1, slots: '0-5460' },
  { n: 3, slots: '10923-16383' },
  { n: 4, slots: '5461-10922' },
];

describe('a move after a failover', () => {
  it('stays with masters that are masters', () => {
    expect(followed(snapshotOf(FOUR), 2, 3)).toEqual([idOf(2), idOf(3)]);
  });

  it('goes to the master of a node that is a replica now, as source and as target', () => {
    const snapshot = snapshotOf([...AFTER, { n: 2, replicaOf: 4 }]);
    expect(followed(snapshot, 2, 3)).toEqual([idOf(4), idOf(3)]);
    expect(followed(snapshot, 1, 2)).toEqual([idOf(1), idOf(4)]);
  });

  it('goes to who serves the slots of a dead one, and stays where nobody does', () => {
    const dead = { n: 2, flags: 'master,fail' };
    expect(followed(snapshotOf([...AFTER, dead], { silent: [2] }), 2, 3)).toEqual([idOf(4), idOf(3)]);
    const unserved = snapshotOf([...THREE.filter(({ n }) => n !== 2), { ...dead, slots: '5461-10922' }], {
      silent: [2],
    });
    expect(followed(unserved, 2, 3)).toEqual([idOf(2), idOf(3)]);
  });

  it('does not believe one that is back and has not heard of its successor, however others see it', () => {
    for (const seen of [{ n: 2, flags: 'master,fail' }, { n: 2 }, { n: 2, replicaOf: 4 }]) {
      const table = [...AFTER, seen];
      const snapshot = new ClusterSnapshot({
        reports: [
          ...AFTER.map((node) => parseReport(rawNode(node, table))),
          // Its own table is the one of before.
          parseReport(rawNode({ n: 2, slots: '5461-10922' }, FOUR)),
        ],
        strangers: [],
      });
      expect(followed(snapshot, 2, 3)).toEqual([idOf(4), idOf(3)]);
    }
  });
});
