import { describe, expect, it } from 'vitest';
import { bytesBehind, LAG_MAX_BYTES, LAG_MAX_SECONDS, planBackup, shardWith } from '../../../../src/backup/run/plan.js';
import { refusal } from '../../operations/planners/support.js';
import { type DescribedNode, idOf, snapshotOf } from '../../operations/support.js';

const STREAM = 'b'.repeat(40);
const master = (n: number, slots: string, info: DescribedNode['info'] = {}): DescribedNode => ({
  n,
  slots,
  info: { master_replid: STREAM, master_repl_offset: 1_000, db0: 'keys=7,expires=0', ...info },
});
const replica = (n: number, replicaOf: number, info: DescribedNode['info'] = {}): DescribedNode => ({
  n,
  replicaOf,
  info: {
    ...{ master_replid: STREAM, slave_repl_offset: 1_000, master_link_status: 'up', db0: 'keys=6,expires=0' },
    ...info,
  },
});
const TWO = [master(1, '0-8191'), master(2, '8192-16383')];
const sourcesOf = (table: readonly DescribedNode[], options: Parameters<typeof snapshotOf>[1] = {}) =>
  planBackup(snapshotOf(table, options)).shards.map(({ sources }) => sources.map(({ nodeId }) => nodeId));

describe('what a backup reads', () => {
  it('is the replica that is the least behind, then the other, then the master', () => {
    const table = [
      ...TWO,
      replica(3, 1, { slave_repl_offset: 900 }),
      replica(4, 1, { slave_repl_offset: 950 }),
      replica(5, 2),
    ];
    expect(sourcesOf(table)).toEqual([
      [idOf(4), idOf(3), idOf(1)],
      [idOf(5), idOf(2)],
    ]);
    const [first] = planBackup(snapshotOf(table)).shards;
    expect(first).toMatchObject({
      masterId: idOf(1),
      slots: [{ start: 0, end: 8191 }],
      configEpoch: 1,
      keys: 6,
      passedOver: [],
      sources: [{ role: 'replica', server: 'redis', version: '7.0.15' }, {}, { role: 'master' }],
    });
  });

  it.each([
    ['loads its data', { loading: 1 }, 'loading'],
    ['synchronises', { master_sync_in_progress: 1 }, 'receives its data'],
    ['has lost its master', { master_link_status: 'down' }, 'link to its master is down'],
    ['follows another stream', { master_replid: 'c'.repeat(40) }, 'another stream'],
    ['is a master by its own word', { role: 'master' }, 'master by its own word'],
  ])('is the master where the replica %s', (_, info, reason) => {
    const table = [...TWO, replica(3, 1, info)];
    expect(sourcesOf(table)[0]).toEqual([idOf(1)]);
    const { passedOver } = planBackup(snapshotOf(table)).shards[0] ?? { passedOver: [] };
    expect(passedOver).toEqual([{ address: '10.0.0.3:6379', reason: expect.stringContaining(reason) }]);
  });

  it('is the master where the replica is too far behind, in bytes or in seconds', () => {
    const far = { master_repl_offset: 2_000 + LAG_MAX_BYTES };
    const behind = (offset: number) => [master(1, '0-16383', far), replica(3, 1, { slave_repl_offset: offset })];
    expect(sourcesOf(behind(1_999))).toEqual([[idOf(1)]]);
    expect(sourcesOf(behind(2_000))).toEqual([[idOf(3), idOf(1)]]);
    const seen = (lag: number) => [
      master(1, '0-16383', { slave0: `ip=10.0.0.3,port=6379,state=online,offset=1000,lag=${lag}` }),
      replica(3, 1),
    ];
    expect(sourcesOf(seen(LAG_MAX_SECONDS))).toEqual([[idOf(3), idOf(1)]]);
    expect(sourcesOf(seen(LAG_MAX_SECONDS + 1))).toEqual([[idOf(1)]]);
  });

  it('is a replica with its link up where its master does not answer from here', () => {
    expect(sourcesOf([...TWO, replica(3, 1)], { silent: [1] })).toEqual([[idOf(3)], [idOf(2)]]);
  });

  it('is not a replica that the others hold for dead, nor one that does not answer', () => {
    const table = [...TWO, { ...replica(3, 1), flags: 'slave,fail' }, replica(4, 2)];
    expect(sourcesOf(table, { silent: [4] })).toEqual([[idOf(1)], [idOf(2)]]);
  });

  it('leaves masters without slots alone, and says which slots nobody serves', () => {
    const plan = planBackup(snapshotOf([master(1, '0-100'), master(2, '')]));
    expect(plan.shards.map(({ masterId }) => masterId)).toEqual([idOf(1)]);
    expect(plan).toMatchObject({ missing: [], uncovered: [{ start: 101, end: 16_383 }] });
  });

  it('names the masters of which nobody can be read, and whether a replica may take over', () => {
    const table = [...TWO, replica(3, 1, { master_link_status: 'down' })];
    const failures = [{ id: idOf(1), address: '10.0.0.1:6379', kind: 'timeout' as const, message: 'It hangs.' }];
    const { shards, missing } = planBackup(snapshotOf(table, { silent: [1], failures }));
    expect(shards).toHaveLength(1);
    expect(missing).toEqual([
      {
        masterId: idOf(1),
        address: '10.0.0.1:6379',
        slots: [{ start: 0, end: 8191 }],
        reason: 'It hangs; 10.0.0.3:6379: its link to its master is down',
        hopeful: true,
      },
    ]);
    expect(planBackup(snapshotOf(TWO, { silent: [2] })).missing).toMatchObject([{ masterId: idOf(2), hopeful: false }]);
  });

  it('is one node where one is named, and no other', () => {
    const table = [...TWO, replica(3, 1), replica(4, 2, { loading: 1 })];
    const plan = planBackup(snapshotOf(table), { node: '10.0.0.3:6379' });
    expect(plan.shards.map(({ sources }) => sources.map(({ nodeId }) => nodeId))).toEqual([[idOf(3)]]);
    expect(plan.leftOut).toMatchObject([{ masterId: idOf(2), reason: 'only 10.0.0.3:6379 was asked for' }]);
    expect(planBackup(snapshotOf(table), { node: '10.0.0.1:6379' }).shards[0]?.sources).toMatchObject([
      { nodeId: idOf(1), role: 'master' },
    ]);
    expect(refusal(() => planBackup(snapshotOf(table), { node: '10.0.0.4:6379' })).message).toContain('loading');
    expect(refusal(() => planBackup(snapshotOf(table), { node: '10.0.0.9:6379' })).kind).toBe('usage');
    const spare = [...TWO, master(5, '')];
    expect(refusal(() => planBackup(snapshotOf(spare), { node: '10.0.0.5:6379' })).kind).toBe('refused');
  });

  it('has to hold what the master had then, as far as it is the same stream', () => {
    const [shard] = planBackup(snapshotOf([...TWO, replica(3, 1, { slave_repl_offset: 700 })])).shards;
    expect(shard?.stream).toEqual({ replicationId: STREAM, offset: 1_000 });
    const behind = (offset: number, replicationId = STREAM) => bytesBehind(shard ?? {}, { replicationId, offset });
    expect([behind(999), behind(1_000), behind(1_001), behind(1, 'c'.repeat(40))]).toEqual([1, 0, 0, 0]);
    const [silent] = planBackup(snapshotOf([...TWO, replica(3, 1)], { silent: [1] })).shards;
    expect(silent?.stream).toBeUndefined();
    expect(bytesBehind(silent ?? {}, { replicationId: STREAM, offset: 1 })).toBe(0);
  });

  it('finds a shard again by its slots', () => {
    const plan = planBackup(snapshotOf(TWO));
    expect(shardWith(plan, [{ start: 0, end: 8191 }])?.masterId).toBe(idOf(1));
    expect(shardWith(plan, [{ start: 0, end: 8190 }])).toBeUndefined();
  });
});
