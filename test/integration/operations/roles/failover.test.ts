import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unfinishedOperations } from '../../../../src/operations/journal/journal.js';
import { planFailover } from '../../../../src/operations/planners/failover.js';
import { rollbackOperation } from '../../../../src/operations/run.js';
import { openSession } from '../../../support/operations/join.js';
import { type RedisCluster, startCluster } from '../../../support/redis.js';
import { failureOf } from '../../cluster/formed.js';
import { expectWhole, newOperator, type Operator, rolesOf } from './roles.js';

const PASSWORD = 'roles secret';
let cluster: RedisCluster;
let operator: Operator;
beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicasPerMaster: 1, requirepass: PASSWORD });
  operator = await newOperator(() => cluster.addresses, PASSWORD);
});
afterAll(async () => {
  await Promise.all([cluster.stop(), operator.remove()]);
});

const request = { promote: [], from: [], mode: 'planned' as const };
const addressesOf = (servers: readonly { address: string }[]) => servers.map(({ address }) => address).sort();

describe('a planned failover', () => {
  it('makes every replica a master while clients write, without losing a write', async () => {
    const client = new Redis.Cluster([cluster.masters[0]!], { redisOptions: { password: PASSWORD } });
    let writing = true;
    let written = 0;
    const writer = (async () => {
      for (; writing; written++) await client.set(`key:${written}`, String(written));
    })();
    try {
      const promote = addressesOf(cluster.replicas);
      const result = await operator.run((snapshot) => planFailover(snapshot, { ...request, promote }));
      expect(result.status).toBe('done');
      expect(await rolesOf(cluster.nodes)).toEqual({
        masters: addressesOf(cluster.replicas),
        others: addressesOf(cluster.masters),
      });
      writing = false;
      await writer;
      expect(written).toBeGreaterThan(0);
      for (let n = 0; n < written; n++) expect(await client.get(`key:${n}`)).toBe(String(n));
      const again = await operator.run((snapshot) => planFailover(snapshot, { ...request, promote }));
      expect(again.status).toBe('unchanged');
    } finally {
      writing = false;
      client.disconnect();
    }
  });

  it('can be undone after its process was ended anywhere, also while the servers are at it', async () => {
    const [former] = cluster.replicas;
    const before = await rolesOf(cluster.nodes);
    for (const moment of ['sent', 'confirmed'] as const) {
      const stop = new AbortController();
      const observer = {
        mutation: () => {
          // The command is sent right after this; the process is as good as dead when it has been.
          if (moment === 'sent') queueMicrotask(() => stop.abort(new Error('killed')));
        },
        journal: (when: string, entry: { type: string; state?: string }) => {
          if (moment === 'confirmed' && when === 'before' && entry.state === 'done') throw new Error('killed');
        },
      };
      const run = operator.run((snapshot) => planFailover(snapshot, { ...request, from: [former?.address ?? ''] }), {
        observer,
        signal: stop.signal,
      });
      expect((await failureOf(run)).message, moment).toContain('killed');
      const session = await openSession(cluster.addresses, { password: PASSWORD });
      try {
        const [left] = await unfinishedOperations(operator.paths.journals, session.memberIds);
        const result = await rollbackOperation({ session, paths: operator.paths }, left?.operationId ?? '');
        expect(result.status, moment).toBe('rolled-back');
      } finally {
        session.close();
      }
      await expectWhole(cluster.nodes);
      expect(await rolesOf(cluster.nodes), moment).toEqual(before);
    }
  });
});

describe('a master that is dead', () => {
  it('is replaced by force, after a planned failover was refused with the reason', async () => {
    const [dead] = cluster.nodes.filter(({ address }) => cluster.replicas[1]?.address === address);
    const survivors = cluster.nodes.filter((node) => node !== dead);
    for (const node of survivors) await node.call('CONFIG', 'SET', 'cluster-replica-no-failover', 'yes');
    await dead?.kill('SIGSTOP');
    const request_ = { ...request, from: [dead?.address ?? ''] };
    const seeds = survivors.map(({ address }) => address).join(',');
    const other = await newOperator(() => seeds, PASSWORD, { connectTimeoutMs: 1_500, commandTimeoutMs: 1_500 });
    try {
      const refusal = await failureOf(other.run((snapshot) => planFailover(snapshot, request_)));
      expect(refusal).toMatchObject({ kind: 'refused', exitCode: 5 });
      expect(refusal.next.join(' ')).toContain('--mode force');
      const result = await other.run((snapshot) => planFailover(snapshot, { ...request_, mode: 'force' }));
      expect(result.status).toBe('done');
      expect(result.violations).toMatchObject([{ guard: 'nodes-down', effect: 'tolerated' }]);
      expect((await rolesOf(survivors)).masters).toHaveLength(3);
    } finally {
      await dead?.kill('SIGCONT');
      await other.remove();
    }
    await expectWhole(cluster.nodes);
  });
});
