import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { moveSlot } from '../../support/migrate.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

const FAILOVER_MS = 30_000;
const BUSY_MS = 10_000;
const SCRIPT = "return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}";
const LIBRARY = `#!lua name=counting
redis.register_function('count', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
redis.register_function{function_name='peek', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}}`;

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');

let cluster: RedisCluster;
let proxy: RunningProxy;
/** One key of each master's slots. */
let keys: string[];
/** Connections enough that every worker has some. */
let clients: RawClient[];

beforeAll(async () => {
  cluster = await startCluster({ replicasPerMaster: 1, args: ['--busy-reply-threshold', '100'] });
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
  keys = [];
  for (let i = 0; keys.filter((key) => key !== undefined).length < 3; i++) {
    const slot = Number(await cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', `key:${i}`));
    keys[Math.floor((slot * 3) / 16_384)] ??= `key:${i}`;
  }
  clients = await Promise.all(Array.from({ length: 6 }, () => RawClient.connect({ port: proxy.port })));
});

afterAll(async () => {
  for (const client of clients ?? []) client.close();
  await proxy?.stop();
  await cluster?.stop();
});

const one = () => clients[0]!;
const error = async (...args: string[]) => {
  const value = await one().ask(...args);
  return value instanceof ErrorReply ? value.message : `no error: ${JSON.stringify(value)}`;
};

describe('scripts', () => {
  it('are on all masters after SCRIPT LOAD, and are run by digest everywhere', async () => {
    const sha = sha1(SCRIPT);
    expect(await one().call('SCRIPT', 'LOAD', SCRIPT)).toBe(sha);
    for (const master of cluster.masters) expect(await master.call('SCRIPT', 'EXISTS', sha)).toEqual([1]);
    for (const key of keys) {
      for (const client of clients)
        expect(await client.call('EVALSHA', sha, 1, key, 'a')).toEqual([key, 'a', expect.any(Number)]);
    }
    expect(await one().call('SCRIPT', 'EXISTS', sha, 'nosuch', sha.toUpperCase())).toEqual([1, 0, 1]);
  });

  it('come back when a node has forgotten them; other commands of the pipeline keep their replies', async () => {
    const sha = sha1(SCRIPT);
    for (const client of clients) {
      for (const master of cluster.masters) await master.call('SCRIPT', 'FLUSH');
      const replies = await client.pipeline(
        keys.flatMap((key) => [
          ['SET', `{${key}}other`, key],
          ['EVALSHA', sha, 1, key, key],
          ['GET', `{${key}}other`],
        ]),
      );
      keys.forEach((key, i) => {
        expect(replies[3 * i + 1]).toEqual([key, key, expect.any(Number)]);
        expect(replies[3 * i + 2]).toBe(key);
      });
    }
    const reloads = Object.values(await proxy.stats('upstream_rq_script_reload')).reduce(
      (sum, value) => sum + value,
      0,
    );
    expect(reloads).toBeGreaterThanOrEqual(3 * clients.length);
  });

  it('that only EVAL has run are found by their digest, from any worker and on any node', async () => {
    for (const [i, client] of clients.entries()) {
      const script = `return {KEYS[1], '${i}'}`;
      expect(await client.call('EVAL', script, 1, keys[0]!)).toEqual([keys[0], String(i)]);
      for (const other of clients) {
        for (const key of keys) expect(await other.call('EVALSHA', sha1(script), 1, key)).toEqual([key, String(i)]);
      }
      expect(await one().call('SCRIPT', 'EXISTS', sha1(script))).toEqual([1]);
    }
  });

  it('without keys run on any master, with keys of several slots on none', async () => {
    for (let i = 0; i < 6; i++) expect(await one().call('EVAL', 'return ARGV[1]', 0, 'x')).toBe('x');
    await one().call('SCRIPT', 'LOAD', 'return 7');
    for (const master of cluster.masters) await master.call('SCRIPT', 'FLUSH');
    for (let i = 0; i < 6; i++) expect(await one().call('EVALSHA', sha1('return 7'), 0)).toBe(7);
    expect(await error('EVAL', 'return 1', '2', keys[0]!, keys[1]!)).toMatch(/^CROSSSLOT/);
  });

  it('are gone after SCRIPT FLUSH', async () => {
    await one().call('SCRIPT', 'LOAD', SCRIPT);
    expect(await one().call('SCRIPT', 'FLUSH')).toBe('OK');
    for (const client of clients) {
      const value = await client.ask('EVALSHA', sha1(SCRIPT), 1, keys[1]!, 'a');
      expect((value as ErrorReply).message).toMatch(/^NOSCRIPT No matching script/);
    }
    expect(await one().call('SCRIPT', 'EXISTS', sha1(SCRIPT))).toEqual([0]);
    expect(await error('SCRIPT', 'LOAD', 'return (')).toMatch(/^ERR Error compiling script/);
    expect(await error('SCRIPT', 'FLUSH', 'what')).toMatch(/^ERR SCRIPT FLUSH only support SYNC\|ASYNC option/);
  });

  it('that run too long are killed', async () => {
    expect(await error('SCRIPT', 'KILL')).toBe('NOTBUSY No scripts in execution right now.');
    const running = clients[1]!.ask('EVAL', 'while true do end', 1, keys[2]!);
    const killed = await poll('the script is killed', BUSY_MS, async () => {
      const value = await one().ask('SCRIPT', 'KILL');
      return value instanceof ErrorReply ? false : { value };
    });
    expect(killed.value).toBe('OK');
    expect(((await running) as ErrorReply).message).toMatch(/Script killed by user/);
    expect(await one().call('SET', keys[2]!, '1')).toBe('OK');
  });

  it('give RESP3 replies as the node does', async () => {
    const client = await RawClient.connect({ port: proxy.port });
    await client.call('HELLO', 3);
    const script = `redis.setresp(3); return redis.call('HGETALL', KEYS[1])`;
    await one().call('HSET', 'three', 'f', 'v');
    expect(await client.call('EVAL', script, 1, 'three')).toEqual(new Map([['f', 'v']]));
    expect((await client.exchange('EVAL', 'return {double=3.5}', 0)).toString()).toBe(',3.5\r\n');
    client.close();
  });
});

describe('functions', () => {
  it('are on all masters, and are called by key', async () => {
    expect(await one().call('FUNCTION', 'LOAD', LIBRARY)).toBe('counting');
    for (const key of keys) {
      await one().call('DEL', key);
      for (const client of clients) await client.call('FCALL', 'count', 1, key, 2);
      expect(await one().call('FCALL_RO', 'peek', 1, key)).toBe(String(2 * clients.length));
    }
    const [library] = (await one().call('FUNCTION', 'LIST')) as string[][];
    expect(library?.[1]).toBe('counting');
    expect(await error('FUNCTION', 'LOAD', LIBRARY)).toMatch(/^ERR Library 'counting' already exists/);
  });

  it('come back when a node has forgotten them, for every worker', async () => {
    for (const client of clients) {
      for (const master of cluster.masters) await master.call('FUNCTION', 'FLUSH', 'SYNC');
      for (const key of keys) {
        await client.call('DEL', key);
        expect(await client.call('FCALL', 'count', 1, key, 5)).toBe(5);
      }
      expect(((await client.ask('FCALL', 'nosuch', 1, keys[0]!)) as ErrorReply).message).toBe('ERR Function not found');
    }
  });

  it('say on which masters a change failed', async () => {
    await cluster.masters[1]!.call('FUNCTION', 'DELETE', 'counting');
    expect(await error('FUNCTION', 'DELETE', 'counting')).toBe(
      `finished with 1 error(s): ${cluster.masters[1]!.address}: ERR Library not found`,
    );
    expect(await error('FCALL', 'count', '1', keys[0]!, '1')).toBe('ERR Function not found');
  });

  it('are known to a proxy that starts later, and in RESP3', async () => {
    const later = await startProxy({ cluster: cluster.addresses, workers: 1 });
    const client = await RawClient.connect({ port: later.port });
    try {
      await client.call('HELLO', 3);
      expect(await one().call('FUNCTION', 'LOAD', 'REPLACE', LIBRARY)).toBe('counting');
      for (const master of cluster.masters) await master.call('FUNCTION', 'FLUSH', 'SYNC');
      expect(await client.call('FUNCTION', 'LOAD', LIBRARY)).toBe('counting');
      await cluster.masters[2]!.call('FUNCTION', 'FLUSH', 'SYNC');
      const third = await startProxy({ cluster: cluster.addresses, workers: 2 });
      const other = await RawClient.connect({ port: third.port });
      try {
        await poll('the proxy has read the functions', FAILOVER_MS, async () => {
          return !((await other.ask('FCALL', 'count', 1, keys[2]!, 1)) instanceof ErrorReply);
        });
      } finally {
        other.close();
        await third.stop();
      }
    } finally {
      client.close();
      await later.stop();
    }
  });

  it('are dumped and restored', async () => {
    await one().call('FUNCTION', 'LOAD', 'REPLACE', LIBRARY);
    const dump = await one().exchange('FUNCTION', 'DUMP');
    const payload = dump.subarray(dump.indexOf('\r\n') + 2, dump.length - 2);
    expect(await one().call('FUNCTION', 'FLUSH')).toBe('OK');
    expect(await error('FCALL', 'count', '1', keys[0]!, '1')).toBe('ERR Function not found');
    expect(await one().call('FUNCTION', 'RESTORE', payload)).toBe('OK');
    for (const key of keys) expect(await one().ask('FCALL', 'count', 1, key, 1)).toEqual(expect.any(Number));
    expect(((await one().call('FUNCTION', 'STATS')) as unknown[]).slice(0, 3)).toEqual([
      'running_script',
      null,
      'engines',
    ]);
    expect(await error('FUNCTION', 'KILL')).toBe('NOTBUSY No scripts in execution right now.');
  });
});

describe('when the cluster changes', () => {
  it('a node that was added gets functions and scripts when they are called', { timeout: 60_000 }, async () => {
    await one().call('FUNCTION', 'LOAD', 'REPLACE', LIBRARY);
    await one().call('SCRIPT', 'LOAD', SCRIPT);
    const key = keys[0]!;
    await one().call('SET', key, '10');
    // It stays a master when its only slot has left it again.
    const added = await startRedis({ cluster: true, args: ['--cluster-allow-replica-migration', 'no'] });
    try {
      await join(added);
      const slot = Number(await added.call('CLUSTER', 'KEYSLOT', key));
      await moveSlot({ slot, from: cluster.masters[0]!, to: added, all: cluster.masters });
      expect(await added.call('FUNCTION', 'LIST')).toEqual([]);
      for (const client of clients) expect(await client.call('FCALL', 'count', 1, key, 0)).toBe(10);
      expect(await clients[2]!.call('EVALSHA', sha1(SCRIPT), 1, key, 'a')).toEqual([key, 'a', 11]);
      expect(await added.call('FUNCTION', 'LIST')).toHaveLength(1);
      await moveSlot({ slot, from: added, to: cluster.masters[0]!, all: cluster.masters });
    } finally {
      await added.stop();
    }
  });

  async function join(added: RedisServer): Promise<void> {
    const first = cluster.masters[0]!;
    await added.call('CLUSTER', 'MEET', first.host, first.port);
    await poll('all masters know the new node, and it knows them', FAILOVER_MS, async () => {
      for (const node of [...cluster.masters, added]) {
        const lines = String(await node.call('CLUSTER', 'NODES')).split('\n');
        const known = lines.filter((line) => line.includes('master') && !line.includes('handshake'));
        if (known.length < 4 || !String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) return false;
      }
      return true;
    });
  }

  it('a replica that becomes master runs the scripts of the old one', { timeout: 60_000 }, async () => {
    const sha = await one().call('SCRIPT', 'LOAD', SCRIPT);
    const key = keys[1]!;
    const master = cluster.masters[1]!;
    const id = String(await master.call('CLUSTER', 'MYID'));
    let replica: RedisServer | undefined;
    for (const node of cluster.replicas) {
      if (String(await node.call('CLUSTER', 'NODES')).match(new RegExp(`myself,slave ${id}`))) replica = node;
    }
    await poll('the replica is promoted', FAILOVER_MS, async () => {
      await replica!.call('CLUSTER', 'FAILOVER').catch(() => undefined);
      return ((await replica!.call('ROLE')) as string[])[0] === 'master';
    });
    await replica!.call('SCRIPT', 'FLUSH');
    for (const client of clients)
      expect(await client.call('EVALSHA', sha as string, 1, key, 'a')).toEqual([key, 'a', expect.any(Number)]);
  });
});
