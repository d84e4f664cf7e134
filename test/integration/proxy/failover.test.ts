import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { type LoadResult, startLoad } from '../../support/proxy-load.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { command, decode } from '../../support/resp.js';

/** What a client may be told while a master dies: the outcome is not known, or there is nobody to ask. */
const FAILURES = ['upstream failure', 'no upstream host'];
const FAILOVER_MS = 30_000;

let cluster: RedisCluster;
let proxy: RunningProxy;
/** The nodes as they are now: a killed one is replaced by the one that was started in its place. */
let nodes: RedisServer[];

beforeAll(async () => {
  cluster = await startCluster({ replicasPerMaster: 1 });
  nodes = [...cluster.nodes];
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
});

afterAll(async () => {
  await proxy?.stop();
  await Promise.all((nodes ?? []).map((node) => node.stop()));
  await cluster?.stop();
});

const role = async (node: RedisServer) => ((await node.call('ROLE')) as [string, ...unknown[]])[0];

/** Waits until the cluster is whole: every node sees all slots served, every replica is in sync. */
async function whole(): Promise<void> {
  await poll('the cluster is whole', FAILOVER_MS, async () => {
    for (const node of nodes) {
      const info = await node.call('INFO', 'replication').catch(() => '');
      if (!/role:master|master_link_status:up/.test(String(info))) return false;
      const state = String(await node.call('CLUSTER', 'INFO'));
      if (!state.includes('cluster_state:ok') || !state.includes('cluster_slots_pfail:0')) return false;
      if (!state.includes('cluster_slots_fail:0')) return false;
    }
    const roles = await Promise.all(nodes.map(role));
    return roles.filter((each) => each === 'master').length === 3;
  });
}

async function masterAndReplica(): Promise<{ master: RedisServer; replica: RedisServer }> {
  for (const master of nodes) {
    const reply = (await master.call('ROLE')) as [string, number, [string, string, string][]];
    const port = reply[0] === 'master' ? reply[2][0]?.[1] : undefined;
    const replica = nodes.find((node) => String(node.port) === port);
    if (replica !== undefined) return { master, replica };
  }
  throw new Error('no master has a replica');
}

/** Starts a node again in the directory of one that was killed. */
async function startAgain(killed: RedisServer): Promise<RedisServer> {
  const { dir } = cluster.nodes.find((node) => node.port === killed.port)!;
  const node = await startRedis({ cluster: true, port: killed.port, args: ['--dir', dir] });
  nodes[nodes.indexOf(killed)] = node;
  return node;
}

/** Counts in deep pipelines on a key of that master; `stop` gives what was out of order, or an error. */
async function startCounting(node: RedisServer): Promise<() => Promise<string[]>> {
  const [, first] = /myself,master.* connected (\d+)/.exec(String(await node.call('CLUSTER', 'NODES'))) ?? [];
  let key = '';
  for (let i = 0; key === ''; i++) {
    const slot = Number(await node.call('CLUSTER', 'KEYSLOT', `count:${i}`));
    if (Math.floor((slot * 3) / 16_384) === Math.floor((Number(first) * 3 + 3) / 16_384)) key = `count:${i}`;
  }
  const client = await RawClient.connect({ port: proxy.port });
  await client.call('DEL', key);
  const faults: string[] = [];
  let running = true;
  const loop = (async () => {
    for (let count = 0; running && faults.length < 10; ) {
      for (const reply of await client.pipeline(Array.from({ length: 100 }, () => ['INCR', key]))) {
        if (reply !== ++count) faults.push(`${key}: ${JSON.stringify(reply)} instead of ${count}`);
      }
    }
  })();
  return async () => {
    running = false;
    await loop;
    client.close();
    return faults;
  };
}

function expectNoError(result: LoadResult): void {
  expect([...result.errors], 'errors').toEqual([]);
  expect(result.wrong).toEqual([]);
  expect(result.lost).toEqual([]);
  expect(result.closed).toBe(0);
}

beforeEach(whole, FAILOVER_MS);

describe('while a master is not there', () => {
  it('what belongs to the others is served, and what belongs to it is an error within the op_timeout', async () => {
    const own = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [{ name: 'main', endpoints: nodes.map(({ address }) => address), settings: { op_timeout: '600ms' } }],
      },
    });
    const { master } = await masterAndReplica();
    const client = await RawClient.connect({ port: own.port });
    const other = await RawClient.connect({ port: own.port });
    const keys = Array.from({ length: 64 }, (_, i) => `gone:${i}`);
    try {
      for (const key of keys) await client.call('SET', key, key);
      await master.kill('SIGSTOP');
      const started = performance.now();
      const commands = keys.map((key) => ['GET', key]);
      const replies = await client.pipeline([...commands, ['MGET', ...keys]]);
      expect(performance.now() - started).toBeLessThan(2_500);
      const texts = replies.slice(0, -1).map((reply) => (typeof reply === 'string' ? reply : 'failed'));
      const failed = texts.filter((text) => text === 'failed').length;
      expect(failed).toBeGreaterThan(0);
      expect(failed).toBeLessThan(keys.length);
      keys.forEach((key, i) => {
        if (texts[i] !== 'failed') expect(texts[i]).toBe(key);
      });
      // Each key that cannot be fetched is an error in its place.
      const values = replies.at(-1) as unknown[];
      expect(values.map((value) => (typeof value === 'string' ? value : 'failed'))).toEqual(texts);
      // Another client, whose keys are elsewhere, does not notice.
      const alive = keys.filter((_, i) => texts[i] !== 'failed');
      const begun = performance.now();
      for (const key of alive) expect(await other.call('GET', key)).toBe(key);
      expect(performance.now() - begun).toBeLessThan(500);
    } finally {
      await master.kill('SIGCONT');
      client.close();
      other.close();
      await own.stop();
    }
  });

  it('late replies to commands that timed out are dropped, and not given to what comes next', async () => {
    const own = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [{ name: 'main', endpoints: nodes.map(({ address }) => address), settings: { op_timeout: '400ms' } }],
      },
    });
    const { master } = await masterAndReplica();
    const client = await RawClient.connect({ port: own.port });
    try {
      const keys = Array.from({ length: 30 }, (_, i) => `late:${i}`);
      for (const key of keys) await client.call('SET', key, `old ${key}`);
      await master.kill('SIGSTOP');
      const first = await client.pipeline(keys.map((key) => ['GETSET', key, `new ${key}`]));
      expect(first.some((reply) => typeof reply !== 'string')).toBe(true);
      // Behind the ones that have timed out, on the same connection upstream.
      client.send(Buffer.concat(keys.map((key) => command('ECHO', key))));
      for (const [i, reply] of (await client.raw(keys.length)).entries()) expect(decode(reply)).toBe(keys[i]);
      client.send(Buffer.concat(keys.map((key) => command('STRLEN', key))));
      await master.kill('SIGCONT');
      const lengths = (await client.raw(keys.length)).map(decode);
      keys.forEach((key, i) => {
        // Written by the GETSET that came too late, or by nobody: the lengths are the same.
        expect(lengths[i], key).toBe(`old ${key}`.length);
      });
      for (const key of keys) expect(await client.call('GET', key)).toBe(`new ${key}`);
    } finally {
      await master.kill('SIGCONT');
      client.close();
      await own.stop();
    }
  });
});

describe('under the load of 50 clients', () => {
  it('a planned failover of every master is seen by nobody', async () => {
    const load = await startLoad({ port: proxy.port, name: 'planned' });
    await load.progress(5);
    for (const replica of cluster.replicas) {
      await replica.call('CLUSTER', 'FAILOVER');
      await poll('the replica is a master', FAILOVER_MS, async () => (await role(replica)) === 'master');
      await load.progress(5);
    }
    expectNoError(await load.stop());
  });

  it('a master that stands still for a second is seen by nobody', async () => {
    const { master } = await masterAndReplica();
    const load = await startLoad({ port: proxy.port, name: 'still' });
    await load.progress(5);
    await master.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await master.kill('SIGCONT');
    await load.progress(5);
    const result = await load.stop();
    expectNoError(result);
    expect(result.slowestMs).toBeGreaterThan(700);
  });

  it('a master that is killed is replaced: few errors, no wrong reply, every client goes on', async () => {
    const { master, replica } = await masterAndReplica();
    const survivors = (await Promise.all(nodes.map(async (node) => ((await role(node)) === 'master' ? node : null))))
      .filter((node) => node !== null && node !== master)
      .map((node) => node!);
    const counting = await Promise.all(survivors.map((node) => startCounting(node)));
    const load = await startLoad({ port: proxy.port, name: 'killed' });
    await load.progress(10);
    await master.kill('SIGKILL');
    await poll('the replica is a master', FAILOVER_MS, async () => (await role(replica)) === 'master');
    await load.progress(20);
    const before = new Map(load.result.errors);
    await load.progress(20);
    const result = await load.stop();
    expect(new Map(result.errors), 'no more errors once it is healed').toEqual(before);
    for (const error of result.errors.keys()) expect(FAILURES).toContain(error);
    expect(result.wrong).toEqual([]);
    expect(result.closed).toBe(0);
    // The cluster was down for a while; who uses the other masters has waited, and kept its order.
    for (const stop of counting) expect(await stop()).toEqual([]);
    await startAgain(master);
  });

  it('a master without a replica that is killed and started again serves again at once', async () => {
    const { master, replica } = await masterAndReplica();
    await replica.kill('SIGKILL');
    const load = await startLoad({ port: proxy.port, name: 'again' });
    await load.progress(5);
    await master.kill('SIGKILL');
    const again = await startAgain(master);
    await load.progress(10);
    const before = new Map(load.result.errors);
    await load.progress(10);
    const result = await load.stop();
    expect(new Map(result.errors), 'no more errors once it is back').toEqual(before);
    for (const error of result.errors.keys()) expect(FAILURES).toContain(error);
    expect(result.wrong).toEqual([]);
    expect(result.closed).toBe(0);
    expect(again.port).toBe(master.port);
    await startAgain(replica);
  });
});
