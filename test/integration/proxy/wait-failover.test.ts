/** WAIT after the master is another one: what was written before counts when the change was planned, and never when it was not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../support/redis.js';

const CHANGE_MS = 30_000;

let cluster: RedisCluster;
let proxy: RunningProxy;
let writer: RawClient;
let idle: RawClient;

beforeAll(async () => {
  cluster = await startCluster({ masters: 1, replicasPerMaster: 2 });
  proxy = await startProxy({ cluster: cluster.addresses });
  [writer, idle] = await Promise.all([
    RawClient.connect({ port: proxy.port }),
    RawClient.connect({ port: proxy.port }),
  ]);
});

afterAll(async () => {
  writer?.close();
  idle?.close();
  await proxy?.stop();
  await cluster?.stop();
});

/** The proxy has heard that this node has all slots, which has so many replicas. */
async function serves(node: RedisServer, replicas: number): Promise<void> {
  await poll('it serves, with its replicas', CHANGE_MS, async () => {
    const [role, , of] = (await node.call('ROLE')) as [string, number, unknown[]];
    if (role !== 'master' || of.length !== replicas) return false;
    await idle.ask('GET', 'key');
    const shown = String(await node.call('INFO', 'commandstats'));
    return /cmdstat_get:calls=[1-9]/.test(shown);
  });
}

describe('WAIT through the proxy', () => {
  it('counts what was written before a planned failover', async () => {
    const [master] = cluster.masters as [RedisServer];
    const [replica] = cluster.replicas as [RedisServer, RedisServer];
    await serves(master, 2);
    expect(await writer.ask('SET', 'key', '1')).toBe('OK');
    expect(await writer.ask('WAIT', 2, 5000)).toBe(2);
    expect(await writer.ask('SET', 'key', '2')).toBe('OK');
    await replica.call('CLUSTER', 'FAILOVER');
    await serves(replica, 2);
    expect(await writer.ask('WAIT', 2, 5000)).toBe(2);
  });

  it('counts nothing that was written to a master that was killed, and what is written later', async () => {
    const [old] = cluster.masters as [RedisServer];
    const [master, replica] = cluster.replicas as [RedisServer, RedisServer];
    expect(await writer.ask('SET', 'key', '3')).toBe('OK');
    await master.kill('SIGKILL');
    // One master is no majority: nobody else would elect it.
    await poll('it takes over', CHANGE_MS, async () => {
      await replica.call('CLUSTER', 'FAILOVER', 'TAKEOVER').catch(() => {});
      return ((await replica.call('ROLE')) as [string])[0] === 'master';
    });
    await poll('the other one follows', CHANGE_MS, async () => {
      await old.call('CLUSTER', 'REPLICATE', String(await replica.call('CLUSTER', 'MYID'))).catch(() => {});
      return ((await replica.call('ROLE')) as [string, number, unknown[]])[2].length === 1;
    });
    await serves(replica, 1);
    expect(await writer.ask('WAIT', 1, 5000)).toBe(0);
    expect(await writer.ask('WAIT', 1, 5000)).toBe(0);
    expect(await idle.ask('WAIT', 1, 5000)).toBe(1);
    expect(await writer.ask('SET', 'key', '4')).toBe('OK');
    expect(await writer.ask('WAIT', 1, 5000)).toBe(1);
  });
});
