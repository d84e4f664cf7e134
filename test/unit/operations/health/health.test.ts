import { describe, expect, it } from 'vitest';
import { parseReport } from '../../../../src/cluster/snapshot/node-report.js';
import { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import { CHECKS } from '../../../../src/operations/health/checks/index.js';
import { examine } from '../../../../src/operations/health/health.js';
import { nagiosOf, nagiosOfFailure } from '../../../../src/operations/health/nagios.js';
import { overviewOf } from '../../../../src/operations/health/overview.js';
import type { LockStatus } from '../../../../src/operations/lock/status.js';
import { readText } from '../../../support/repository.js';
import { type DescribedNode, idOf, rawNode, snapshotOf } from '../support.js';

/** Three shards on three hosts each: nothing is wrong. */
const SIX: readonly DescribedNode[] = [
  { n: 1, slots: '0-5460' },
  { n: 2, slots: '5461-10922' },
  { n: 3, slots: '10923-16383' },
  { n: 4, replicaOf: 1, info: { master_link_status: 'up' } },
  { n: 5, replicaOf: 2, info: { master_link_status: 'up' } },
  { n: 6, replicaOf: 3, info: { master_link_status: 'up' } },
];
const changed = (n: number, change: Partial<DescribedNode>) =>
  SIX.map((node) => (node.n === n ? { ...node, ...change, info: { ...node.info, ...change.info } } : node));
const info = (n: number, fields: Record<string, string | number>) => snapshotOf(changed(n, { info: fields }));
/** Node 1 has its table changed by `edit`, the others have not. */
function withTableOf1(edit: (table: string) => string, table = SIX): ClusterSnapshot {
  const raws = table.map((node) => rawNode(node, table));
  return new ClusterSnapshot({
    reports: raws.map((raw, index) => parseReport(index === 0 ? { ...raw, nodes: edit(raw.nodes) } : raw)),
  });
}

const found = (snapshot: ClusterSnapshot, locks?: readonly LockStatus[]) =>
  examine(snapshot, { locks }).findings.filter(({ verdict }) => verdict !== 'PASS');

describe('the checks of a cluster', () => {
  it('all pass on a healthy one', () => {
    expect(found(snapshotOf(SIX))).toEqual([]);
    expect(examine(snapshotOf(SIX)).verdict).toBe('PASS');
  });

  it.each<[string, 'WARN' | 'FAIL', () => ClusterSnapshot, RegExp]>([
    ['coverage', 'FAIL', () => snapshotOf(changed(3, { slots: '10923-16380' })), /nobody serves 3 slots: 16381-16383/],
    ['coverage', 'FAIL', () => snapshotOf(SIX, { silent: [2] }), /10\.0\.0\.2:6379 .* has 5,462 slots \(5461-10922\)/],
    [
      'coverage',
      'FAIL',
      () => withTableOf1((table) => table.replace(' 0-5460', ' 1-5460')),
      /the masters serve only 16,383 slots/,
    ],
    ['state', 'FAIL', () => snapshotOf(changed(4, { state: 'fail' })), /not ok at 10\.0\.0\.4:6379$/],
    ['majority', 'FAIL', () => snapshotOf(SIX, { silent: [1, 2] }), /only 1 of 3 masters answer/],
    [
      'nodes',
      'FAIL',
      () => snapshotOf(changed(1, { flags: 'master,fail' })),
      /it answers; the cluster holds it for dead/,
    ],
    [
      'nodes',
      'WARN',
      () => snapshotOf(SIX, { silent: [5] }),
      /the replica 10\.0\.0\.5:6379: .*the other nodes reach it/,
    ],
    [
      'open-slots',
      'FAIL',
      () => snapshotOf(changed(1, { slots: `0-5460 [7->-${idOf(2)}]` })),
      /^1 open slot: 7 migrating at 10\.0\.0\.1:6379$/,
    ],
    ['agreement', 'FAIL', () => withTableOf1((table) => table.replace(' 0-5460', ' 0-5461')), /two masters .* 5461/],
    [
      'epochs',
      'WARN',
      () => withTableOf1((table) => table.replace(' 1 connected', ' 2 connected')),
      /share the epoch 2/,
    ],
    [
      'links',
      'WARN',
      () => withTableOf1((table) => table.replace(' 3 connected', ' 3 disconnected')),
      /1 pair of nodes without a link: 10\.0\.0\.1:6379 and 10\.0\.0\.3:6379 \(bus port 16379\)/,
    ],
    ['replication', 'WARN', () => info(4, { master_link_status: 'down' }), /10\.0\.0\.4:6379 has no connection/],
    [
      'replication',
      'WARN',
      () => info(4, { master_sync_in_progress: 1 }),
      /receives the whole data set of 10\.0\.0\.1/,
    ],
    [
      'replication',
      'WARN',
      () => info(1, { master_repl_offset: 99 * 1024 * 1024 }),
      /10\.0\.0\.4:6379 is 99 MiB behind/,
    ],
    [
      'replication',
      'WARN',
      () => info(1, { slave0: 'ip=10.0.0.4,port=6379,state=online,offset=1,lag=11' }),
      /10\.0\.0\.1:6379 has not heard of its replica 10\.0\.0\.4:6379 for 11 s/,
    ],
    ['redundancy', 'WARN', () => snapshotOf(SIX, { silent: [4] }), /1 master without a live replica: 10\.0\.0\.1/],
    ['placement', 'WARN', () => snapshotOf(SIX, { zoneOf: () => 'a' }), /all nodes are in one zone: a/],
    [
      'placement',
      'WARN',
      () => snapshotOf(SIX, { zoneOf: ({ ip }) => (ip.endsWith('1') || ip.endsWith('4') ? 'a' : 'b') }),
      /masters with all their replicas in their own zone: 10\.0\.0\.1:6379, .*10\.0\.0\.3/,
    ],
    [
      'placement',
      'WARN',
      () => snapshotOf(SIX, { zoneOf: ({ ip }) => (/[126]$/.test(ip) ? 'a' : 'b') }),
      /the zone a has 2 of 3 masters: losing it stops failovers/,
    ],
    ['loading', 'FAIL', () => info(2, { loading: 1 }), /the master 10\.0\.0\.2:6379 loads/],
    ['loading', 'WARN', () => info(5, { loading: 1 }), /the replica 10\.0\.0\.5:6379 loads/],
    ['failover', 'WARN', () => info(2, { master_failover_state: 'waiting-for-sync' }), /waiting-for-sync/],
    [
      'memory',
      'WARN',
      () => info(2, { maxmemory: 1_090_000, maxmemory_policy: 'noeviction' }),
      /uses 91 % of its 1\.0 MiB/,
    ],
    ['memory', 'FAIL', () => info(2, { maxmemory: 1_000_000, maxmemory_policy: 'noeviction' }), /it refuses writes/],
    ['memory', 'WARN', () => info(2, { maxmemory: 1_000_000, maxmemory_policy: 'allkeys-lru' }), /uses 100 % /],
    ['disk', 'FAIL', () => info(2, { aof_last_write_status: 'err' }), /the master .*: it refuses writes$/],
    [
      'disk',
      'WARN',
      () => info(4, { aof_last_write_status: 'err' }),
      /the replica .* cannot write its append-only file$/,
    ],
    ['disk', 'WARN', () => info(2, { rdb_last_bgsave_status: 'err' }), /the last snapshot of the master .* failed/],
    ['idle-masters', 'WARN', () => snapshotOf([...SIX, { n: 7 }]), /1 master without slots: 10\.0\.0\.7:6379/],
    [
      'versions',
      'WARN',
      () => info(4, { redis_version: '8.0.6' }),
      /redis 7\.0\.15 at .*; redis 8\.0\.6 at 10\.0\.0\.4:6379/,
    ],
  ])('%s: %s, with the reason', (name, verdict, snapshot, reason) => {
    const finding = found(snapshot()).find(({ check }) => check === name);
    expect(finding).toMatchObject({ verdict, next: expect.any(String) });
    expect(finding?.reasons.map(({ text }) => text).join('\n')).toMatch(reason);
  });

  it('tell of a master that is down once, and not to give it slots when a replica has taken them over', () => {
    const lost = snapshotOf([...SIX, { n: 7 }], { silent: [7] });
    expect(found(lost).map(({ check, verdict }) => [check, verdict])).toEqual([['nodes', 'WARN']]);
  });

  it('warn of open slots only, as long as somebody moves them', () => {
    const open = snapshotOf(changed(1, { slots: `0-5460 [7->-${idOf(2)}]` }));
    const owner = { user: 'ann', host: 'h', pid: 1, token: '0'.repeat(16), operation: 'scale add', startedAt: '' };
    const lock: LockStatus = { owner, phase: 'holding', nodeIds: [], idleSeconds: 1, expired: false };
    const of = (status: LockStatus) => found(open, [status]).map(({ check, verdict }) => [check, verdict]);
    expect(of(lock)).toEqual([['open-slots', 'WARN']]);
    expect(found(open, [lock])[0]?.reasons[0]?.text).toContain('ann@h is at work (scale add)');
    expect(of({ ...lock, expired: true })).toEqual([['open-slots', 'FAIL']]);
    expect(of({ ...lock, phase: 'asking' })).toEqual([['open-slots', 'FAIL']]);
  });

  it('do not blame a cluster for trials on one machine', () => {
    const local = SIX.map((node) => rawNode(node, SIX)).map((raw) => ({
      ...raw,
      nodes: raw.nodes.replaceAll(/10\.0\.0\.(\d):6379/g, '127.0.0.1:700$1'),
    }));
    expect(found(new ClusterSnapshot({ reports: local.map((raw) => parseReport(raw)) }))).toEqual([]);
  });

  it('stand in the documentation, each with a line', () => {
    const rows = [...readText('docs/cluster-status.md').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
    expect(rows).toEqual(CHECKS.map(({ name }) => name));
  });
});

describe('the overview of a cluster', () => {
  it('has shards by their slots, sums of the masters, and the state of every node', () => {
    const keys = (n: number) => ({ db0: `keys=${n},expires=0` });
    const table = changed(1, { info: { ...keys(3), instantaneous_ops_per_sec: 5 } }).map((node) =>
      node.n === 4 ? { ...node, info: { ...node.info, ...keys(3) } } : node,
    );
    const overview = overviewOf(snapshotOf([...table, { n: 7, replicaOf: 9 }], { silent: [2] }));
    expect(overview).toMatchObject({ masters: 3, replicas: 4, keys: 3, opsPerSecond: 5, slotsServed: 16_384 - 5462 });
    const states = overview.shards.map(({ nodes }) => nodes.map(({ state, role }) => `${role} ${state}`));
    expect(states).toEqual([
      ['master ok', 'replica ok'],
      ['master silent', 'replica ok'],
      ['master ok', 'replica ok'],
      ['replica disconnected'],
    ]);
    expect(overview.shards[1]?.nodes[0]).toMatchObject({ keys: null, memoryBytes: null, version: null });
  });
});

describe('the line for Nagios', () => {
  const lineOf = (snapshot: ClusterSnapshot) => nagiosOf(examine(snapshot), overviewOf(snapshot));

  it('says the worst first, and has the plugins’ exit codes', () => {
    expect(lineOf(snapshotOf(SIX))).toEqual({
      line: expect.stringMatching(
        /^CLUSTER OK - 3 masters, 3 replicas, 16384 of 16384 slots served \| slots_served=16384;/,
      ),
      exitCode: 0,
    });
    expect(lineOf(info(4, { redis_version: '8.0.6' }))).toMatchObject({
      line: expect.stringMatching(/^CLUSTER WARNING - 2 versions: /),
      exitCode: 1,
    });
    const bad = lineOf(snapshotOf(changed(3, { slots: '10923-16380', info: { redis_version: '8.0.6' } })));
    expect(bad).toMatchObject({
      line: expect.stringMatching(/^CLUSTER CRITICAL - nobody serves 3 slots/),
      exitCode: 2,
    });
  });

  it('keeps its figures apart from the text, whatever the text holds', () => {
    const { line } = nagiosOfFailure('denied', 'a | b\n  c');
    expect(line).toBe('CLUSTER UNKNOWN - a / b c');
    expect(nagiosOfFailure('unreachable', 'x').exitCode).toBe(2);
    expect(nagiosOfFailure('configuration', 'x'.repeat(9_000)).line.length).toBeLessThan(600);
  });
});
