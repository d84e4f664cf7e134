import { describe, expect, it } from 'vitest';
import type { ClusterNode } from '../../../src/cluster/cluster-node.js';
import { parseClusterNodes } from '../../../src/cluster/parse-nodes.js';
import {
  isLeftBehind,
  isLeftBehindNow,
  LOCK_MAX_MS,
  parseHolder,
  thisHolder,
} from '../../../src/deploy/deploy-lock.js';
import { recoveryCommands } from '../../../src/deploy/leftovers.js';
import { judgeRemoval, type NodeView } from '../../../src/deploy/remove-guard.js';
import { containerFault, factsOf, isAsWanted, wantedOfExtra } from '../../../src/deploy/status.js';
import { age } from '../../../src/ui/deploy-status.js';

const idOf = (index: number) => String(index).repeat(40);

/** What node `me` of so many says; the first has all slots. */
function nodesOf(me: number, count: number, slots = ' 0-16383'): ClusterNode[] {
  const lines = Array.from({ length: count }, (_, index) => {
    const flags = index === me ? 'myself,master' : 'master';
    return `${idOf(index)} 127.0.0.1:${7001 + index}@${17001 + index} ${flags} - 0 0 ${index} connected${index === 0 ? slots : ''}`;
  });
  return parseClusterNodes(lines.join('\n'));
}
const view = (me: number, count: number, slots?: string): NodeView => ({
  host: 'a1',
  container: `redis-${me}`,
  nodes: nodesOf(me, count, slots),
});
const going = (...names: number[]) => new Set(names.map((each) => `a1 redis-${each}`));

describe('removing nodes', () => {
  it('is refused while others of their cluster stay', () => {
    const verdict = judgeRemoval({ views: [view(0, 2), view(1, 2)], going: going(1), stopped: [] });
    expect(verdict).toEqual({ kind: 'refused', reasons: [expect.stringContaining('of which one node would stay')] });
  });

  it('is free for nodes without a cluster, and for one that has no slots', () => {
    expect(judgeRemoval({ views: [view(0, 1, '')], going: going(0), stopped: [] }).kind).toBe('free');
    expect(judgeRemoval({ views: [view(0, 3, '')], going: going(0), stopped: [] }).kind).toBe('free');
    expect(judgeRemoval({ views: [view(0, 2), view(1, 2)], going: new Set(), stopped: [] }).kind).toBe('free');
  });

  it('is the whole cluster when all go, those that are stopped among them', () => {
    const both = [view(0, 2), view(1, 2)];
    expect(judgeRemoval({ views: both, going: going(0, 1), stopped: [] }).kind).toBe('whole');
    const stopped = [{ container: 'redis-1', addresses: ['127.0.0.1:7002'] }];
    expect(judgeRemoval({ views: [view(0, 2)], going: going(0, 1), stopped }).kind).toBe('whole');
  });

  it('is refused for a stopped member, and for who cannot be asked', () => {
    const stopped = [{ container: 'redis-1', addresses: ['127.0.0.1:7002'] }];
    expect(judgeRemoval({ views: [view(0, 2)], going: going(1), stopped }).kind).toBe('refused');
    expect(judgeRemoval({ views: [{ host: 'a1', container: 'redis-0' }], going: going(0), stopped: [] }).kind).toBe(
      'refused',
    );
  });
});

describe('the lock of a deployment', () => {
  const holder = { user: 'ops', machine: 'box', pid: 7, since: 1_000 };
  const now = { machine: 'box', now: 2_000, startedAt: 900 as number | 'unknown' | undefined };
  it('is left behind when its process or its hour is over, and only then', () => {
    expect(isLeftBehind(holder, now)).toBe(false);
    expect(isLeftBehind(holder, { ...now, startedAt: undefined })).toBe(true);
    expect(isLeftBehind(holder, { ...now, machine: 'other', startedAt: undefined })).toBe(false);
    expect(isLeftBehind(holder, { ...now, machine: 'other', now: 1_001 + LOCK_MAX_MS })).toBe(true);
    expect(isLeftBehind(undefined, { ...now, startedAt: undefined })).toBe(false);
  });
  it('is left behind when another process has got the number of its own', () => {
    expect(isLeftBehind(holder, { ...now, now: 60_000, startedAt: 50_000 })).toBe(true);
    // The start of a process is known to some seconds only.
    expect(isLeftBehind(holder, { ...now, now: 60_000, startedAt: 3_000 })).toBe(false);
    expect(isLeftBehind(holder, { ...now, startedAt: 'unknown' })).toBe(false);
  });
  it('is that of a process which is looked at', async () => {
    expect(await isLeftBehindNow(thisHolder())).toBe(false);
    // As if it had been taken half an hour before this process was started.
    const before = Date.now() - performance.now() - 30 * 60_000;
    expect(await isLeftBehindNow({ ...thisHolder(), since: Math.round(before) })).toBe(true);
    expect(await isLeftBehindNow({ ...thisHolder(), pid: 2 ** 22 + 1 })).toBe(true);
    expect(await isLeftBehindNow(undefined)).toBe(false);
  });
  it('is read from its label', () => {
    expect(parseHolder(JSON.stringify(holder))).toEqual(holder);
    for (const text of [undefined, '', 'null', '{}', '{"user":"a","machine":"b","pid":"7","since":1}']) {
      expect(parseHolder(text)).toBeUndefined();
    }
  });
});

describe('what a killed run left', () => {
  const lines = (statuses: Parameters<typeof recoveryCommands>[1]) =>
    recoveryCommands('n', statuses).map(({ args }) => args.join(' '));
  it.each([
    [{}, []],
    [{ name: 'running' }, []],
    [{ name: 'running', next: 'created' }, ['rm --force n-next']],
    [{ previous: 'exited' }, ['rename n-previous n', 'start n']],
    [{ previous: 'exited', next: 'created' }, ['rm --force n-next', 'rename n-previous n', 'start n']],
    [{ name: 'running', previous: 'exited' }, ['rm --force n', 'rename n-previous n', 'start n']],
  ] as const)('%j', (statuses, expected) => {
    expect(lines(statuses)).toEqual(expected);
  });
});

describe('the status of a container', () => {
  const state = { status: 'running', exitCode: 0, outOfMemory: false };
  it('says what is wrong', () => {
    expect(containerFault(state)).toBeNull();
    expect(containerFault({ ...state, health: 'starting' })).toBeNull();
    expect(containerFault({ ...state, health: 'unhealthy' })).toMatch(/health/);
    expect(containerFault({ ...state, status: 'exited', exitCode: 137, outOfMemory: true })).toBe(
      'it has ended (code 137): it was out of memory',
    );
    expect(containerFault({ ...state, status: 'created' })).toMatch(/never started/);
    expect(containerFault({ ...state, status: 'paused' })).toBe('it is paused');
  });
  it('knows versions and memory by what the server says', () => {
    expect(factsOf('redis_version:7.0.15\r\nused_memory_rss:1024\r\nloading:0\r\n')).toEqual({
      version: '7.0.15',
      memoryBytes: 1024,
      fault: null,
    });
    expect(factsOf('redis_version:7.2.4\r\nvalkey_version:9.1.0\r\nloading:1\r\n')).toMatchObject({
      version: '9.1.0',
      fault: 'it loads its data',
    });
    const writes = 'redis_version:7.0.15\r\nrole:master\r\nloading:0\r\naof_last_write_status:err\r\n';
    expect(factsOf(writes).fault).toMatch(/cannot write its append-only file, and refuses writes/);
    expect(factsOf(writes.replace('master', 'slave')).fault).toMatch(/append-only file: is the disk full/);
    expect(factsOf('redis_version:7.0.15\r\nrdb_last_bgsave_status:err\r\n').fault).toMatch(/last snapshot failed/);
    expect(factsOf('WRONGPASS invalid').fault).toContain('WRONGPASS');
  });
  it('tells what forge.yaml does not name from what was left', () => {
    const names = new Set(['orders-redis-1']);
    expect(wantedOfExtra({ name: 'orders-redis-1-next', role: 'redis' }, names)).toBe('left');
    expect(wantedOfExtra({ name: 'orders-redis-2', role: 'redis' }, names)).toBe('extra');
    expect(wantedOfExtra({ name: 'orders-proxy', role: 'proxy' }, names)).toBe('other');
    expect(isAsWanted({ wanted: 'extra', fault: null })).toBe(false);
    expect(isAsWanted({ wanted: 'other', fault: null })).toBe(true);
    expect(isAsWanted({ wanted: 'unchanged', fault: 'x' })).toBe(false);
  });
  it.each([
    [0, '0s'],
    [-5, '0s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h 0m'],
    [90_000_000, '1d 1h'],
  ])('is %d ms old: %s', (ms, text) => {
    expect(age(ms)).toBe(text);
  });
});
