import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canHaveNewerServers, newerServers } from '../../../scripts/newer-servers.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

const WAIT_MS = 20_000;

const POLICIES = {
  'ma:': 'MASTER',
  'pm:': 'PREFER_MASTER',
  're:': 'REPLICA',
  'pr:': 'PREFER_REPLICA',
  'an:': 'ANY',
  'lz:': 'LOCAL_ZONE_AFFINITY',
  'lp:': 'LOCAL_ZONE_AFFINITY_REPLICAS_AND_PRIMARY',
} as const;

const ARGS = ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024'];

let cluster: RedisCluster;
let master: RedisServer;
let near: RedisServer;
let far: RedisServer;
let proxy: RunningProxy;
let client: RawClient;
const clients: RawClient[] = [];

beforeAll(async () => {
  cluster = await startCluster({ masters: 1, replicasPerMaster: 2, args: ARGS });
  [master, near, far] = cluster.nodes as [RedisServer, RedisServer, RedisServer];
  const main = {
    name: 'main',
    endpoints: [master.address],
    settings: { zone: 'here', zones: { [near.address]: 'here', [far.address]: 'there' }, op_timeout: '3s' },
  };
  proxy = await startProxy({
    config: {
      listeners: [
        {
          prefix_routes: {
            routes: [
              ...Object.entries(POLICIES).map(([prefix, policy]) => ({ prefix, cluster: 'main', read_policy: policy })),
              { prefix: 'bound:', cluster: 'bounded' },
              { prefix: 'zone:', cluster: 'zoned' },
            ],
            catch_all_route: { cluster: 'main' },
          },
        },
      ],
      clusters: [
        main,
        {
          name: 'bounded',
          endpoints: [master.address],
          settings: { read_policy: 'PREFER_REPLICA', max_replica_lag_bytes: 0 },
        },
        // The master is the one in the zone.
        {
          name: 'zoned',
          endpoints: [master.address],
          settings: {
            read_policy: 'LOCAL_ZONE_AFFINITY_REPLICAS_AND_PRIMARY',
            zone: 'here',
            zones: { [master.address]: 'here' },
          },
        },
      ],
    },
  });
  client = await RawClient.connect({ port: proxy.port });
  await ready();
});

afterAll(async () => {
  client?.close();
  await proxy?.stop();
  await Promise.all([near, far].map((server) => server?.stop()));
  await cluster?.stop();
});

/** All connections are made, and both replicas are read from. */
async function ready(): Promise<void> {
  await poll('both replicas are in sync', WAIT_MS, async () => {
    const infos = await Promise.all([near, far].map((server) => server.call('INFO', 'replication').catch(() => '')));
    return infos.every((info) => String(info).includes('master_link_status:up'));
  });
  await poll('both replicas are read from', WAIT_MS, async () => {
    const before = await gets();
    for (let i = 0; i < 10; i++) await client.ask('GET', 're:x');
    const after = await gets();
    return after.near > before.near && after.far > before.far;
  });
}

beforeEach(async () => {
  await master.call('FLUSHALL');
  await poll('the replicas have it', WAIT_MS, async () => (await master.call('WAIT', 2, 100)) === 2);
});

afterEach(() => {
  for (const each of clients.splice(0)) each.close();
});

/** What each server said last: one that is busy loading or gone may not say it again. */
const counted = new Map<string, number>();

const calls = async (server: RedisServer, command: string) => {
  const key = `${server.address} ${command}`;
  const stats = await server.call('INFO', 'commandstats').catch(() => null);
  if (stats !== null) {
    counted.set(key, Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(String(stats))?.[1] ?? 0));
  }
  return counted.get(key) ?? 0;
};

async function gets(command = 'get') {
  const [m, n, f] = await Promise.all([master, near, far].map((server) => calls(server, command)));
  return { master: m!, near: n!, far: f! };
}

/** Where so many reads of a key go. */
async function spread(key: string, count = 30) {
  const before = await gets();
  for (let i = 0; i < count; i++) {
    const reply = await client.ask('GET', key);
    if (reply instanceof ErrorReply) throw new Error(reply.message);
  }
  const after = await gets();
  return { master: after.master - before.master, near: after.near - before.near, far: after.far - before.far };
}

describe('read policies', () => {
  it('send reads where they say', async () => {
    expect(await spread('ma:1')).toEqual({ master: 30, near: 0, far: 0 });
    expect(await spread('pm:1')).toEqual({ master: 30, near: 0, far: 0 });
    expect(await spread('re:1')).toEqual({ master: 0, near: 15, far: 15 });
    expect(await spread('pr:1')).toEqual({ master: 0, near: 15, far: 15 });
    expect(await spread('lz:1')).toEqual({ master: 0, near: 30, far: 0 });
    expect(await spread('lp:1')).toEqual({ master: 0, near: 30, far: 0 });
    expect(await spread('zone:1')).toEqual({ master: 30, near: 0, far: 0 });
    expect(await spread('plain')).toEqual({ master: 30, near: 0, far: 0 });
    const any = await spread('an:1');
    expect(Math.min(any.master, any.near, any.far)).toBeGreaterThan(0);
  });

  it('never send a write to a replica, nor what only looks like a read', async () => {
    for (const prefix of Object.keys(POLICIES)) {
      const key = `${prefix}{t}`;
      expect(await client.call('SET', key, 'v')).toBe('OK');
      expect(await client.call('APPEND', key, 'w')).toBe(2);
      expect(await client.call('GETEX', key, 'PERSIST')).toBe('vw');
      expect(await client.call('PFADD', `${key}h`, 'a')).toBe(1);
      expect(await client.call('PFCOUNT', `${key}h`)).toBe(1);
      expect(await client.call('RPUSH', `${key}l`, '2', '1')).toBe(2);
      expect(await client.call('SORT', `${key}l`)).toEqual(['1', '2']);
      expect(await client.call('EVAL', "return redis.call('INCR', KEYS[1])", '1', `${key}n`)).toBe(1);
    }
    for (const server of [near, far]) {
      // PFCOUNT comes by replication: it changes the key's cache, which is why it is no read here.
      for (const command of ['sort', 'eval', 'getex']) expect(await calls(server, command)).toBe(0);
      // What a replica gets from the proxy's clients it would refuse: nobody was told so.
      const errors = String(await server.call('INFO', 'errorstats'));
      expect(errors).not.toMatch(/errorstat_(READONLY|MOVED)/);
    }
  });

  it('hold for commands that are split, and for RESP3', async () => {
    const keys = Array.from({ length: 20 }, (_, i) => `re:${i}`);
    await client.call('MSET', ...keys.flatMap((key, i) => [key, i]));
    await poll('the replicas have it', WAIT_MS, async () => (await master.call('WAIT', 2, 100)) === 2);
    const before = await gets('mget');
    expect(await client.call('MGET', ...keys)).toEqual(keys.map((_, i) => String(i)));
    expect(await client.call('EXISTS', ...keys)).toBe(20);
    const after = await gets('mget');
    expect(after.master).toBe(before.master);
    expect(after.near + after.far).toBeGreaterThan(before.near + before.far);
    const three = await RawClient.connect({ port: proxy.port });
    clients.push(three);
    await three.call('HELLO', '3');
    await master.call('HSET', 're:h', 'f', 'v');
    await poll('the replicas have it', WAIT_MS, async () => (await master.call('WAIT', 2, 100)) === 2);
    expect(await three.call('HGETALL', 're:h')).toEqual(new Map([['f', 'v']]));
  });
});

describe('replicas in trouble', () => {
  it('one that loads its data is passed over', async () => {
    for (let i = 0; i < 100; i++) await master.call('SET', `re:${i}`, 'x'.repeat(1000));
    await poll('the replicas have it', WAIT_MS, async () => (await master.call('WAIT', 2, 100)) === 2);
    await near.call('CONFIG', 'SET', 'key-load-delay', '20000');
    let reload: Promise<unknown> | undefined;
    await poll('it loads', WAIT_MS, async () => {
      // On a busy machine it may be over before anybody has looked.
      reload ??= near
        .call('DEBUG', 'RELOAD')
        .catch(() => {})
        .finally(() => {
          reload = undefined;
        });
      return await near.call('GET', 'x').then(
        () => false,
        (error: Error) => error.message.includes('LOADING'),
      );
    });
    for (const key of ['re:1', 'pr:1', 'lz:1', 'an:1']) {
      const { near: loading } = await spread(key, 20).catch((error: Error) => {
        throw new Error(`${key}: ${error.message}`);
      });
      expect(loading).toBeLessThanOrEqual(20);
    }
    const keys = Array.from({ length: 50 }, (_, i) => `re:${i}`);
    for (let i = 0; i < 10; i++) expect(await client.call('MGET', ...keys)).toEqual(keys.map(() => 'x'.repeat(1000)));
    await near.call('CONFIG', 'SET', 'key-load-delay', '0').catch(() => {});
    await reload;
    await ready();
  });

  it('one that died is passed over without an error; without any, the policies differ', async () => {
    // Reads are on their way all the time.
    let stop = false;
    const errors: string[] = [];
    const load = Promise.all(
      ['re:1', 'pr:1', 'an:1', 'lz:1'].map(async (key) => {
        const loader = await RawClient.connect({ port: proxy.port });
        clients.push(loader);
        while (!stop) {
          const reply = await loader.ask('GET', key);
          if (reply instanceof ErrorReply) errors.push(`${key}: ${reply.message}`);
        }
      }),
    );
    await near.kill();
    for (const key of ['re:1', 'pr:1', 'an:1', 'lz:1', 'lp:1', 'pm:1']) await spread(key, 20);
    stop = true;
    await load;
    expect(errors).toEqual([]);

    await far.kill();
    for (const key of ['pr:1', 'an:1', 'lz:1', 'lp:1', 'pm:1', 'ma:1']) {
      expect(await spread(key, 10)).toEqual({ master: 10, near: 0, far: 0 });
    }
    const reply = await client.ask('GET', 're:1');
    expect((reply as ErrorReply).message).toMatch(/^(no upstream host|upstream failure)$/);
    for (const killed of [near, far]) {
      const again = await startRedis({ cluster: true, port: killed.port, args: [...ARGS, '--dir', killed.dir] });
      if (killed === near) near = again;
      else far = again;
    }
    await ready();
  });

  it('ones that are behind are not read from while max_replica_lag_bytes says so', async () => {
    await poll('the replicas are read from', WAIT_MS, async () => (await spread('bound:1', 10)).master === 0);
    // A replica whose link is down does not know how far it is.
    for (const replica of [near, far]) {
      await replica.call('CONFIG', 'SET', 'masterauth', 'wrong');
      await replica.call('CLIENT', 'KILL', 'TYPE', 'master');
    }
    await master.call('SET', 'bound:1', 'new');
    await poll('they are not read from', WAIT_MS, async () => (await spread('bound:1', 10)).master === 10);
    expect(await client.call('GET', 'bound:1')).toBe('new');
    // Without a bound they are.
    expect((await spread('pr:1', 10)).master).toBe(0);
    for (const replica of [near, far]) await replica.call('CONFIG', 'SET', 'masterauth', '');
    await poll('they are read from again', WAIT_MS, async () => (await spread('bound:1', 10)).master === 0);
    expect(proxy.stderr()).toContain('too far behind');
  });
});

describe.runIf(canHaveNewerServers())('zones that nodes say themselves', () => {
  it('are read from Valkey', async () => {
    const valkey = await startCluster({ masters: 1, replicasPerMaster: 2, executable: newerServers().valkey9 });
    const [, first, second] = valkey.nodes as [RedisServer, RedisServer, RedisServer];
    await first.call('CONFIG', 'SET', 'availability-zone', 'there');
    await second.call('CONFIG', 'SET', 'availability-zone', 'here');
    const zoned = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [
          {
            name: 'main',
            endpoints: [valkey.masters[0]!.address],
            settings: { read_policy: 'LOCAL_ZONE_AFFINITY', zone: 'here' },
          },
        ],
      },
    });
    const reader = await RawClient.connect({ port: zoned.port });
    try {
      await poll('reads go to the zone', WAIT_MS, async () => {
        const before = await calls(second, 'get');
        for (let i = 0; i < 20; i++) await reader.call('GET', 'x');
        return (await calls(second, 'get')) === before + 20;
      });
      expect(await calls(first, 'get')).toBeLessThanOrEqual(20);
    } finally {
      reader.close();
      await zoned.stop();
      await valkey.stop();
    }
  });
});
