import { afterEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { startLoad } from '../../support/proxy-load.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { ErrorReply, type Value } from '../../support/resp.js';

const WAIT_MS = 15_000;
const OP_TIMEOUT_MS = 2_000;
/** How long a server is in the state that must not be seen. */
const TROUBLE_MS = 500;

let proxy: RunningProxy | undefined;
let cluster: RedisCluster | undefined;
const servers: RedisServer[] = [];
const clients: RawClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await proxy?.stop();
  await cluster?.stop();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  proxy = cluster = undefined;
});

async function startFor(settings: Record<string, unknown>, workers = 1, opTimeoutMs = OP_TIMEOUT_MS): Promise<void> {
  proxy = await startProxy({
    config: {
      workers,
      listeners: [{ cluster: 'main' }],
      clusters: [{ name: 'main', settings: { op_timeout: `${opTimeoutMs}ms` }, ...settings }],
    },
  });
}

async function connect(): Promise<RawClient> {
  const client = await RawClient.connect({ port: proxy!.port, timeoutMs: 20_000 });
  clients.push(client);
  return client;
}

async function startSingle(...args: string[]): Promise<RedisServer> {
  const server = await startRedis({ args });
  servers.push(server);
  await startFor({ type: 'sharded', endpoints: [server.address] });
  return server;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const text = (value: Value) => (value instanceof ErrorReply ? value.message : value);

async function retries(): Promise<number> {
  return (await proxy!.stats('upstream_rq_retry$'))['cluster.main.upstream_rq_retry'] ?? 0;
}

describe('what a server says while it cannot serve is not seen when it passes', () => {
  it('READONLY', async () => {
    const server = await startSingle();
    const client = await connect();
    await client.call('SET', 'a', '1');
    await server.call('REPLICAOF', '127.0.0.1', '1');
    expect(text((await server.call('SET', 'a', 'direct').catch((error) => error.message)) as string)).toMatch(
      /READONLY/,
    );
    const write = client.ask('SET', 'a', '2');
    await pause(TROUBLE_MS);
    await server.call('REPLICAOF', 'NO', 'ONE');
    expect(await write).toBe('OK');
    expect(await retries()).toBeGreaterThan(1);
    // When it does not pass, the client hears it at the op_timeout.
    await server.call('REPLICAOF', '127.0.0.1', '1');
    const started = performance.now();
    expect(text(await client.ask('SET', 'a', '3'))).toMatch(/READONLY/);
    expect(performance.now() - started).toBeGreaterThanOrEqual(OP_TIMEOUT_MS - 300);
    expect(performance.now() - started).toBeLessThan(OP_TIMEOUT_MS + 1_000);
  });

  it('MASTERDOWN', async () => {
    const server = await startSingle('--replica-serve-stale-data', 'no');
    const client = await connect();
    const direct = await RawClient.connect({ port: server.port });
    clients.push(direct);
    await client.call('SET', 'a', '1');
    await direct.call('REPLICAOF', '127.0.0.1', '1');
    expect(text(await direct.ask('GET', 'a'))).toMatch(/^MASTERDOWN/);
    const read = client.ask('GET', 'a');
    await pause(TROUBLE_MS);
    await direct.call('REPLICAOF', 'NO', 'ONE');
    expect(await read).toBe('1');
    expect(await retries()).toBeGreaterThan(1);
  });

  it('LOADING', async () => {
    const server = await startSingle(
      ...['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024'],
    );
    const client = await connect();
    await client.pipeline(Array.from({ length: 200 }, (_, i) => ['SET', `load:${i}`, 'x'.repeat(100)]));
    await server.call('CONFIG', 'SET', 'key-load-delay', '2000');
    const loaded = server.call('DEBUG', 'RELOAD');
    const direct = await RawClient.connect({ port: server.port });
    clients.push(direct);
    await poll('it says that it loads', WAIT_MS, async () =>
      /^LOADING/.test(String(text(await direct.ask('GET', 'load:1')))),
    );
    expect(await client.ask('GET', 'load:1')).toBe('x'.repeat(100));
    await loaded;
    expect(await retries()).toBeGreaterThan(0);
  });

  it('CLUSTERDOWN', async () => {
    cluster = await startCluster();
    await startFor({ endpoints: cluster.nodes.map(({ address }) => address), cluster_refresh_rate: '200ms' });
    const client = await connect();
    await client.call('SET', 'a', '1');
    // Another slot than that of the key, which no node serves now: the cluster as a whole is down.
    for (const node of cluster.nodes) await node.call('CLUSTER', 'DELSLOTS', 0);
    const owner = cluster.masters[2]!;
    await poll('the cluster is down', WAIT_MS, async () =>
      /cluster_state:fail/.test(String(await owner.call('CLUSTER', 'INFO'))),
    );
    const write = client.ask('SET', 'a', '2');
    await pause(TROUBLE_MS);
    for (const node of cluster.nodes) {
      const id = await cluster.masters[0]!.call('CLUSTER', 'MYID');
      await node.call('CLUSTER', 'SETSLOT', 0, 'NODE', String(id)).catch(() => {});
    }
    await cluster.masters[0]!.call('CLUSTER', 'ADDSLOTS', 0).catch(() => {});
    expect(await write).toBe('OK');
    expect(await retries()).toBeGreaterThan(1);
  });
});

describe('a slot that is half moved', () => {
  it('a command over several keys is not overtaken by what its client sends behind it', async () => {
    cluster = await startCluster();
    await startFor({ endpoints: cluster.nodes.map(({ address }) => address) }, 2, 6_000);
    const [source, target] = cluster.masters as [RedisServer, RedisServer, RedisServer];
    // A tag whose slot the first master has.
    let tag = '';
    let slot = -1;
    for (let i = 0; slot < 0 || slot >= 5000; i++) {
      tag = `{t${i}}`;
      slot = Number(await source.call('CLUSTER', 'KEYSLOT', tag));
    }
    const [gone, stays] = [`${tag}gone`, `${tag}stays`];
    const all = await Promise.all(Array.from({ length: 6 }, () => connect()));
    await all[0]!.pipeline([
      ['SET', gone, 'gone'],
      ['SET', stays, 'old'],
    ]);
    const [sourceId, targetId] = (await Promise.all(
      [source, target].map((node) => node.call('CLUSTER', 'MYID')),
    )) as string[];
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId!);
    await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId!);
    await source.call('MIGRATE', target.host, target.port, gone, 0, 5000);
    // One client meets it: from here on it is known, in all workers.
    expect(await all[0]!.ask('GET', gone)).toBe('gone');
    await pause(200);
    const waiting = all.map((client) =>
      client.pipeline([
        ['MGET', gone, stays],
        ['SET', stays, 'new'],
        ['EXISTS', gone, stays],
        ['GET', stays],
      ]),
    );
    await pause(TROUBLE_MS);
    // None of those that wait has been overtaken.
    expect(await source.call('GET', stays)).toBe('old');
    await source.call('MIGRATE', target.host, target.port, stays, 0, 5000);
    for (const node of [target, source, cluster.masters[2]!]) {
      await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId!);
    }
    const replies = await Promise.all(waiting);
    const values = replies.map(([values]) => (values as Value[])[1]);
    expect(values).toContain('old');
    for (const [, set, exists, value] of replies) expect([set, exists, value]).toEqual(['OK', 2, 'new']);
    expect((await proxy!.stats('tryagain'))['cluster.main.upstream_rq_tryagain']).toBeGreaterThan(0);
  });
});

describe('a node that has not heard of the last election', () => {
  it('is not believed as long as another one answers', async () => {
    cluster = await startCluster();
    // As a master that was cut off: it has an older epoch, and every slot is its own.
    const outdated = await startRedis({ cluster: true });
    servers.push(outdated);
    await outdated.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await outdated.call('CLUSTER', 'SET-CONFIG-EPOCH', 1);
    await poll('it serves', WAIT_MS, async () => /state:ok/.test(String(await outdated.call('CLUSTER', 'INFO'))));
    const keys = Array.from({ length: 30 }, (_, i) => `outdated:${i}`);
    for (const key of keys) await outdated.call('SET', key, 'old');
    // Everything is read again and again, and the outdated node is asked every time.
    await startFor({ endpoints: [outdated.address, ...cluster.addresses.split(',')], cluster_refresh_rate: '100ms' });
    const client = await connect();
    const read = async () => new Set(await client.pipeline(keys.map((key) => ['GET', key])));
    await poll('the newer nodes are found', WAIT_MS, async () => !(await read()).has('old'));
    await client.pipeline(keys.map((key) => ['SET', key, 'new']));
    for (let i = 0; i < 30; i++) {
      expect(await read()).toEqual(new Set(['new']));
      await pause(50);
    }
    // When nobody else is left, it is believed: the cluster may have been made anew.
    for (const node of cluster.nodes) await node.kill();
    await poll('the outdated node is asked', WAIT_MS, async () => (await read()).has('old'));
  });
});

describe('nodes that come back', () => {
  it('all at once, with 8 workers and many clients: attempts to connect are few', async () => {
    cluster = await startCluster();
    const workers = 8;
    await startFor({ endpoints: cluster.nodes.map(({ address }) => address) }, workers, 10_000);
    const load = await startLoad({ port: proxy!.port, clients: 100, name: 'storm' });
    await load.progress(5);
    const counts = async () => {
      const stats = await proxy!.stats('upstream_cx_(total|connect_fail)$');
      const of = (name: string) => stats[`cluster.main.upstream_cx_${name}`] ?? 0;
      return { made: of('total'), failed: of('connect_fail') };
    };
    const before = await counts();
    for (const node of cluster.nodes) await node.kill();
    await pause(3_000);
    const down = await counts();
    // From 20 ms on, doubling up to 150 ms: some 20 attempts to each node in 3 s. A client does not add to it.
    const attempts = down.failed - before.failed;
    expect(attempts).toBeGreaterThan(workers * 3);
    expect(attempts).toBeLessThan(workers * 3 * 30);
    for (const node of cluster.nodes) {
      servers.push(await startRedis({ cluster: true, port: node.port, args: ['--dir', node.dir] }));
    }
    await load.progress(10);
    const up = await counts();
    expect(up.made - before.made).toBeLessThanOrEqual(workers * 3 * 2);
    for (const server of servers) {
      const [, received] = /total_connections_received:(\d+)/.exec(String(await server.call('INFO', 'stats')))!;
      // One for each worker, and those of the topology and of this test.
      expect(Number(received)).toBeLessThan(workers * 2 + 60);
    }
    const result = await load.stop();
    // A write that was on the wire when its node died: nothing else.
    for (const error of result.errors.keys()) expect(error).toMatch(/upstream failure|finished with/);
    expect(result.closed).toBe(0);
  });

  it('under another address are found there', async () => {
    cluster = await startCluster();
    await startFor({ endpoints: cluster.nodes.map(({ address }) => address) }, 2, 15_000);
    const client = await connect();
    const keys = Array.from({ length: 30 }, (_, i) => `moved:${i}`);
    for (const key of keys) await client.call('SET', key, key);
    const [moved] = cluster.masters;
    await moved!.kill();
    const again = await startRedis({
      cluster: true,
      host: '127.0.0.2',
      port: moved!.port,
      args: ['--dir', moved!.dir, '--cluster-announce-ip', '127.0.0.2'],
    });
    servers.push(again);
    // Nothing was saved; what matters is that its slots are served, and by whom.
    const replies = await client.pipeline(keys.map((key) => ['SET', key, 'again']));
    expect(replies.map(text)).toEqual(keys.map(() => 'OK'));
    expect(Number(await again.call('DBSIZE'))).toBeGreaterThan(0);
    const { body } = await proxy!.page('/clusters?format=json');
    expect(body).toContain(again.address);
  });

  it('that announce names, behind an endpoint that is a name, are found by them', async () => {
    cluster = await startCluster({
      args: ['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname'],
    });
    const [{ port }] = cluster.nodes as [RedisServer];
    await startFor({ endpoints: [`localhost:${port}`] });
    const client = await connect();
    for (let i = 0; i < 30; i++) expect(await client.call('SET', `name:${i}`, `${i}`)).toBe('OK');
    const { body } = await proxy!.page('/clusters?format=json');
    for (const node of cluster.nodes) expect(body).toContain(`localhost:${node.port}`);
    // A redirection names the node in the same way.
    const slot = Number(await cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', 'name:1'));
    expect(slot).toBeGreaterThanOrEqual(0);
  });

  it('that take the cluster for down are believed only when no other one answers', async () => {
    cluster = await startCluster();
    const [alone, ...others] = cluster.masters as [RedisServer, RedisServer, RedisServer];
    for (const other of others) await alone.call('CLUSTER', 'FORGET', String(await other.call('CLUSTER', 'MYID')));
    await poll('it misses slots', WAIT_MS, async () =>
      /cluster_state:fail/.test(String(await alone.call('CLUSTER', 'INFO'))),
    );
    // Asked all the time, side by side: the one that is alone is often the first to answer.
    await startFor({ endpoints: cluster.nodes.map(({ address }) => address), cluster_refresh_rate: '100ms' });
    const client = await connect();
    await poll('the topology is known', WAIT_MS, async () => (await client.ask('PING')) === 'PONG');
    const { masters } = cluster;
    const completeOf100 = async () => {
      let complete = 0;
      for (let looks = 0; looks < 100; looks++) {
        const { body } = await proxy!.page('/clusters?format=json');
        if (masters.every(({ address }) => body.includes(address))) complete++;
        await pause(20);
      }
      return complete;
    };
    // On a busy machine the others may be late now and then; when the first answer counts, some 40 of the looks are not complete.
    let most = 0;
    for (let rounds = 0; rounds < 3 && most <= 80; rounds++) most = Math.max(most, await completeOf100());
    expect(most).toBeGreaterThan(80);
    await Promise.all(others.map((other) => other.stop()));
    await poll('the last one that answers is believed', WAIT_MS, async () => {
      const { body } = await proxy!.page('/clusters?format=json');
      return body.includes(alone.address) && !others.some(({ address }) => body.includes(address));
    });
  });
});
