import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canHaveNewerServers, newerServers } from '../../../scripts/newer-servers.js';
import { moveSlot } from '../../support/migrate.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { command, ErrorReply, type Value } from '../../support/resp.js';
import { FULL } from '../../support/servers.js';

const FAILOVER_MS = 30_000;
/** A scan that takes more steps than this has no end. */
const STEPS_MAX = 20_000;

interface Step {
  cursor: string;
  keys: string[];
}

async function step(client: RawClient, cursor: string, ...options: (string | number)[]): Promise<Step> {
  const reply = await client.ask('SCAN', cursor, ...options);
  if (reply instanceof ErrorReply) throw new Error(reply.message);
  const [next, keys] = reply as [string, string[]];
  return { cursor: next, keys };
}

/** A whole scan; `between` is called before each step but the first, with their number so far. */
async function scanAll(
  clientOf: (steps: number) => RawClient,
  options: (string | number)[] = [],
  between: (steps: number) => Promise<void> | void = () => {},
): Promise<{ keys: Set<string>; steps: number; cursors: string[] }> {
  const keys = new Set<string>();
  const cursors: string[] = [];
  let cursor = '0';
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    if (steps > 0) await between(steps);
    const found = await step(clientOf(steps), cursor, ...options);
    for (const key of found.keys) keys.add(key);
    cursor = found.cursor;
    if (cursor === '0') return { keys, steps: steps + 1, cursors };
    cursors.push(cursor);
  }
  throw new Error('the scan has no end');
}

/** Writes keys in pipelines. */
async function fill(client: RawClient, keys: readonly (string | Buffer)[]): Promise<void> {
  for (let at = 0; at < keys.length; at += 2000) {
    const batch = keys.slice(at, at + 2000);
    client.send(Buffer.concat(batch.map((key) => command('SET', key, 'v'))));
    await client.raw(batch.length);
  }
}

const missing = (wanted: readonly string[], found: Set<string>) => wanted.filter((key) => !found.has(key));

const servers: [string, () => string][] = [['Redis 7', () => 'redis-server']];
if (canHaveNewerServers()) {
  servers.push(['Redis 8', () => newerServers().redis8], ['Valkey 9', () => newerServers().valkey9]);
}

describe.each(servers)('SCAN over a cluster of %s', (_name, executable) => {
  let cluster: RedisCluster;
  let proxy: RunningProxy;
  let clients: RawClient[];
  const any = (steps: number) => clients[steps % clients.length]!;

  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, replicasPerMaster: 1, executable: executable() });
    proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
    clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect({ port: proxy.port })));
  });

  afterAll(async () => {
    for (const client of clients ?? []) client.close();
    await proxy?.stop();
    await cluster?.stop();
  });

  it('finds nothing where nothing is', async () => {
    const { keys } = await scanAll(any);
    expect(keys.size).toBe(0);
  });

  it('returns all of 100,000 keys, step by step over other connections and workers', async () => {
    const all = Array.from({ length: 100_000 }, (_, i) => `key:${i}`);
    await fill(clients[0]!, all);
    const { keys, steps, cursors } = await scanAll(any, ['COUNT', 1000]);
    expect(missing(all, keys)).toEqual([]);
    expect(keys.size).toBe(all.length);
    expect(steps).toBeGreaterThan(60);
    // Exact for clients that keep cursors as doubles.
    for (const cursor of cursors) expect(Number.isSafeInteger(Number(cursor)), cursor).toBe(true);
    expect(await clients[0]!.call('DBSIZE')).toBe(100_000);
  });

  it('returns what is there all the time, while other keys come and go', async () => {
    const stay = Array.from({ length: 100_000 }, (_, i) => `key:${i}`);
    const writer = await RawClient.connect({ port: proxy.port });
    const { keys } = await scanAll(any, ['COUNT', 2000], async (steps) => {
      const names = Array.from({ length: 500 }, (_, i) => `come-and-go:${(steps % 7) * 500 + i}`);
      if (steps % 2 === 0) await fill(writer, names);
      else await writer.call('DEL', ...names);
    });
    expect(missing(stay, keys)).toEqual([]);
    writer.close();
    await clients[0]!.call('FLUSHALL');
  });

  it('returns keys of any bytes, unchanged', async () => {
    const binary = Array.from({ length: 300 }, (_, i) => Buffer.from([i & 0xff, 0, 13, 10, 42, i >> 8, 0xff, 36, 49]));
    binary.push(Buffer.alloc(100_000, 7), Buffer.alloc(0));
    await fill(clients[0]!, binary);
    const { keys } = await scanAll(any, ['COUNT', 7]);
    expect([...keys].sort()).toEqual(binary.map((key) => key.toString('latin1')).sort());
    await clients[0]!.call('FLUSHALL');
  });

  it('passes MATCH, COUNT and TYPE on, in RESP3 as in RESP2', async () => {
    const client = clients[0]!;
    await fill(
      client,
      Array.from({ length: 50 }, (_, i) => `s:${i}`),
    );
    for (let i = 0; i < 50; i++) await client.call('RPUSH', `l:${i}`, 'x');
    expect((await scanAll(any, ['MATCH', 's:*'])).keys.size).toBe(50);
    expect((await scanAll(any, ['TYPE', 'list', 'COUNT', 5])).keys.size).toBe(50);
    const third = await RawClient.connect({ port: proxy.port });
    await third.call('HELLO', 3);
    expect((await scanAll(() => third, ['MATCH', 's:1*'])).keys.size).toBe(11);
    // A cursor of a RESP2 client is good for a RESP3 client.
    expect((await scanAll((steps) => (steps % 2 === 0 ? third : any(steps)), ['COUNT', 5])).keys.size).toBe(100);
    third.close();
    await client.call('FLUSHALL');
  });

  it('refuses what is no cursor, and options that are none, as a server does', async () => {
    const client = clients[0]!;
    const text = async (...args: string[]) => {
      const reply = await client.ask('SCAN', ...args);
      return reply instanceof ErrorReply ? reply.message : reply;
    };
    for (const cursor of ['x', '-1', '1.5', '18446744073709551616', '99999999999999999999999', '0x1']) {
      expect(await text(cursor), cursor).toBe('ERR invalid cursor');
    }
    expect(await text('18446744073709551615')).toMatch(/^ERR (invalid cursor|slots have moved)/);
    expect(await text('0', 'NONSENSE', 'x')).toBe('ERR syntax error');
    expect(await text('0', 'COUNT', '0')).toBe('ERR syntax error');
    expect(await text('0', 'COUNT', 'x')).toBe('ERR value is not an integer or out of range');
    const reply = (await client.ask('SCAN')) as ErrorReply;
    expect(reply.message).toBe("ERR wrong number of arguments for 'scan' command");
  });

  it('keeps its place in a pipeline', async () => {
    const client = clients[0]!;
    const replies: Value[] = await client.pipeline([
      ['SET', 'a', '1'],
      ['SCAN', '0'],
      ['GET', 'a'],
      ['SCAN', 'x'],
      ['PING'],
    ]);
    expect(replies[0]).toBe('OK');
    expect(replies[1]).toHaveLength(2);
    expect(replies[2]).toBe('1');
    expect(replies[3]).toBeInstanceOf(ErrorReply);
    expect(replies[4]).toBe('PONG');
    await client.call('FLUSHALL');
  });

  const role = async (node: RedisServer) => ((await node.call('ROLE').catch(() => [''])) as unknown[])[0];

  it.runIf(FULL || executable() === 'redis-server')(
    'survives a failover in the middle: planned, and of a master that is killed',
    async () => {
      const stay = Array.from({ length: 20_000 }, (_, i) => `stay:${i}`);
      await fill(clients[0]!, stay);
      // What is scanned must have reached the replicas, or it is lost and not left out.
      for (const master of cluster.masters) await master.call('WAIT', 1, 5000);
      const becomes = async (node: RedisServer, proxyToo: boolean) => {
        await poll('the replica is a master', FAILOVER_MS, async () => (await role(node)) === 'master');
        if (!proxyToo) return;
        await poll('the proxy knows it', FAILOVER_MS, async () =>
          (await proxy.page('/clusters')).body.includes(`${node.address}::role::master`),
        );
      };
      const planned = await scanAll(any, ['COUNT', 500], async (steps) => {
        // In the first shard the proxy goes on before it has heard of it, in the second one after.
        const index = [5, 20].indexOf(steps);
        if (index < 0) return;
        const replica = cluster.replicas[index]!;
        await replica.call('CLUSTER', 'FAILOVER');
        await becomes(replica, index === 1);
      });
      expect(missing(stay, planned.keys)).toEqual([]);

      const replica = cluster.masters[0]!;
      await poll('the former master has caught up', FAILOVER_MS, async () =>
        String(await replica.call('INFO', 'replication')).includes('master_link_status:up'),
      );
      await becomes(cluster.replicas[0]!, true);
      const killed = await scanAll(any, ['COUNT', 500], async (steps) => {
        if (steps !== 3) return;
        await cluster.replicas[0]!.kill();
        await becomes(replica, false);
      });
      expect(missing(stay, killed.keys)).toEqual([]);
    },
  );
});

describe('SCAN while slots move', () => {
  let cluster: RedisCluster;
  let proxy: RunningProxy;
  let client: RawClient;

  beforeAll(async () => {
    cluster = await startCluster();
    proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
    client = await RawClient.connect({ port: proxy.port });
    await fill(
      client,
      Array.from({ length: 3000 }, (_, i) => `key:${i}`),
    );
  });

  afterAll(async () => {
    client?.close();
    await proxy?.stop();
    await cluster?.stop();
  });

  const MOVED = 'ERR slots have moved between shards since this scan began: start it again with cursor 0';

  /** As soon as the proxy has read the topology. */
  const findsAll = () =>
    poll('a scan begun anew finds all', 10_000, async () => {
      const found = await scanAll(() => client, ['COUNT', 100]).catch(() => null);
      return found?.keys.size === 3000;
    });

  /** Slots that have keys, of a master. */
  async function slotsWithKeys(owner: RedisServer, first: number, last: number): Promise<number[]> {
    const slots: number[] = [];
    for (let slot = first; slot <= last && slots.length < 5; slot++) {
      if (Number(await owner.call('CLUSTER', 'COUNTKEYSINSLOT', slot)) > 0) slots.push(slot);
    }
    return slots;
  }

  it('says so in the middle of a scan, and finds all when it is begun again', async () => {
    const [first, , third] = cluster.masters as [RedisServer, RedisServer, RedisServer];
    const [slot] = await slotsWithKeys(third, 11_000, 16_383);
    // The scan has passed the first master; keys that go there from the third would be left out.
    const scan = scanAll(
      () => client,
      ['COUNT', 100],
      async (steps) => {
        if (steps === 15) await moveSlot({ slot: slot!, from: third, to: first, all: cluster.masters });
      },
    );
    await expect(scan).rejects.toThrow(MOVED);
    await findsAll();
  });

  it('says so while a slot is open, before the map has changed', async () => {
    const [first, second] = cluster.masters as [RedisServer, RedisServer];
    const [slot] = await slotsWithKeys(second, 5500, 10_000);
    let during: unknown;
    await moveSlot({
      slot: slot!,
      from: second,
      to: first,
      all: cluster.masters,
      batch: 1,
      between: async (moved) => {
        if (moved !== 1) return;
        during = await scanAll(() => client, ['COUNT', 100]).catch((error: Error) => error.message);
      },
    });
    expect(during).toBe(MOVED);
    await findsAll();
  });
});

describe.runIf(canHaveNewerServers())('SCAN while Valkey moves a slot at one stroke', () => {
  it('says so: no slot is open, and the keys are elsewhere all the same', async () => {
    const cluster = await startCluster({ executable: newerServers().valkey9 });
    const proxy = await startProxy({ cluster: cluster.addresses });
    const client = await RawClient.connect({ port: proxy.port });
    try {
      const all = Array.from({ length: 3000 }, (_, i) => `key:${i}`);
      await fill(client, all);
      const [first, , third] = cluster.masters as [RedisServer, RedisServer, RedisServer];
      const target = String(await first.call('CLUSTER', 'MYID'));
      const owns = async () =>
        /^\S+ \S+ \S*myself\S* .* 16000-16383/m.test(String(await first.call('CLUSTER', 'NODES')));
      const scan = scanAll(
        () => client,
        ['COUNT', 100],
        async (steps) => {
          if (steps !== 12) return;
          await third.call('CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', 16_000, 16_383, 'NODE', target);
          await poll('the slots are at the other master', 20_000, owns);
        },
      );
      await expect(scan).rejects.toThrow('ERR slots have moved between shards since this scan began');
      await poll('a scan begun anew finds all', 10_000, async () => {
        const found = await scanAll(() => client, ['COUNT', 100]).catch(() => null);
        return found !== null && missing(all, found.keys).length === 0;
      });
    } finally {
      client.close();
      await proxy.stop();
      await cluster.stop();
    }
  });
});

describe('SCAN over independent servers', () => {
  it('goes from one to the next', async () => {
    const servers = await startServers(3);
    const proxy = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [{ name: 'main', type: 'sharded', endpoints: servers.map(({ address }) => address) }],
      },
    });
    const client = await RawClient.connect({ port: proxy.port });
    try {
      const all = Array.from({ length: 2000 }, (_, i) => `key:${i}`);
      await fill(client, all);
      const { keys } = await scanAll(() => client, ['COUNT', 100]);
      expect(missing(all, keys)).toEqual([]);
      expect(keys.size).toBe(2000);
      expect(await client.call('DBSIZE')).toBe(2000);
    } finally {
      client.close();
      await proxy.stop();
      await Promise.all(servers.map((server) => server.stop()));
    }
  });
});
