import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { type RedisCluster, type RedisServer, startCluster, startServers } from '../../support/redis.js';
import { ErrorReply } from '../../support/resp.js';

let cluster: RedisCluster;
let servers: RedisServer[];
let proxy: RunningProxy;
let strict: RunningProxy;
let client: RawClient;

beforeAll(async () => {
  cluster = await startCluster();
  servers = await startServers(3);
  const [users, sessions, pool] = servers as [RedisServer, RedisServer, RedisServer];
  const clusters = [
    { name: 'users', type: 'sharded', endpoints: [users.address] },
    { name: 'sessions', type: 'sharded', endpoints: [sessions.address] },
    { name: 'main', endpoints: [cluster.masters[0]!.address] },
    { name: 'pool', type: 'sharded', endpoints: [users.address, pool.address] },
  ];
  const routes = [
    { prefix: 'user:', cluster: 'users' },
    { prefix: 'user:session:', cluster: 'sessions', remove_prefix: true },
    { prefix: 'tagged:', cluster: 'main', remove_prefix: true, key_formatter: 'app:{%KEY%}:v1' },
    { prefix: 'all:', cluster: 'pool' },
  ];
  proxy = await startProxy({
    config: {
      workers: 2,
      listeners: [{ prefix_routes: { case_insensitive: true, routes, catch_all_route: { cluster: 'main' } } }],
      clusters,
    },
  });
  strict = await startProxy({ config: { listeners: [{ prefix_routes: { routes } }], clusters } });
  client = await RawClient.connect({ port: proxy.port });
});

afterAll(async () => {
  client?.close();
  await Promise.all([proxy?.stop(), strict?.stop()]);
  await Promise.all((servers ?? []).map((server) => server.stop()));
  await cluster?.stop();
});

beforeEach(async () => {
  await Promise.all([...servers, ...cluster.masters].map((server) => server.call('FLUSHALL')));
});

const keysOf = async (server: RedisServer) => ((await server.call('KEYS', '*')) as string[]).sort();
const keysOfCluster = async () => (await Promise.all(cluster.masters.map(keysOf))).flat().sort();

describe('prefix routes', () => {
  it('choose the cluster by the longest prefix, in any case, and the catch-all for the rest', async () => {
    for (const key of ['user:1', 'USER:2', 'user:session:3', 'User:Session:4', 'other', 'user', 'all:x']) {
      expect(await client.call('SET', key, key)).toBe('OK');
      expect(await client.call('GET', key)).toBe(key);
    }
    expect(await keysOf(servers[0]!)).toEqual(expect.arrayContaining(['USER:2', 'user:1']));
    expect(await keysOf(servers[1]!)).toEqual(['3', '4']);
    expect(await keysOfCluster()).toEqual(['other', 'user']);
  });

  it('give the upstream other names for keys: in every place of a command where a key stands', async () => {
    const [, sessions] = servers as [RedisServer, RedisServer];
    const s = (name: string) => `user:session:${name}`;
    expect(await client.call('RPUSH', s('a'), '1', '2')).toBe(2);
    expect(await client.call('RENAME', s('a'), s('b'))).toBe('OK');
    expect(await client.call('SADD', s('s1'), 'x', 'y')).toBe(2);
    expect(await client.call('SADD', s('s2'), 'y', 'z')).toBe(2);
    expect(await client.call('SINTERSTORE', s('s3'), s('s1'), s('s2'))).toBe(1);
    expect(await client.call('ZADD', s('z'), '1', 'user:session:member')).toBe(1);
    expect(await client.call('ZUNIONSTORE', s('zu'), '1', s('z'), 'WEIGHTS', '2')).toBe(1);
    expect(await client.call('SORT', s('b'), 'LIMIT', '0', '1', 'STORE', s('sorted'))).toBe(1);
    expect(await client.call('XADD', s('x'), '1-1', 'f', 'v')).toBe('1-1');
    expect(await client.call('OBJECT', 'ENCODING', s('s3'))).toMatch(/listpack|hashtable|intset/);
    expect(await client.call('EVAL', "return redis.call('SET', KEYS[1], ARGV[1])", '1', s('lua'), s('lua'))).toBe('OK');
    expect(await client.call('MSETNX', s('m1'), '1', s('m2'), '2')).toBe(1);
    expect(await keysOf(sessions)).toEqual(['b', 'lua', 'm1', 'm2', 's1', 's2', 's3', 'sorted', 'x', 'z', 'zu']);
    // Only keys are rewritten.
    expect(await sessions.call('GET', 'lua')).toBe('user:session:lua');
    expect(await client.call('ZRANGE', s('z'), '0', '-1')).toEqual(['user:session:member']);
    expect(await client.call('XREAD', 'STREAMS', s('x'), '0')).toEqual([['x', [['1-1', ['f', 'v']]]]]);
  });

  it('format keys, with the slot of what they become', async () => {
    const names = ['tagged:a', 'tagged:b', `tagged:${'long'.repeat(40)}`, 'tagged:'];
    for (const name of names) expect(await client.call('SET', name, name)).toBe('OK');
    expect(await client.call('MGET', ...names)).toEqual(names);
    expect(await keysOfCluster()).toEqual(names.map((name) => `app:{${name.slice(7)}}:v1`).sort());
  });

  it('carry bytes of any kind', async () => {
    const key = Buffer.concat([Buffer.from('user:session:'), Buffer.from([0, 255, 13, 10, 36])]);
    const value = Buffer.from([0, 1, 2, 255]);
    expect(await client.call('SET', key, value)).toBe('OK');
    expect(await client.exchange('GET', key)).toEqual(
      Buffer.concat([Buffer.from('$4\r\n'), value, Buffer.from('\r\n')]),
    );
    // The prefix alone: an empty key.
    expect(await client.call('SET', 'user:session:', 'empty')).toBe('OK');
    expect(await servers[1]!.call('GET', '')).toBe('empty');
  });

  it('split commands over clusters as over slots, and put the replies together in order', async () => {
    const names = [
      'user:1',
      'user:session:2',
      'a',
      'b',
      'tagged:c',
      'all:1',
      'all:2',
      'all:3',
      'all:4',
      'user:session:5',
    ];
    expect(await client.call('MSET', ...names.flatMap((name) => [name, `=${name}`]))).toBe('OK');
    expect(await client.call('MGET', ...names, 'user:none', 'none', ...names.toReversed())).toEqual([
      ...names.map((name) => `=${name}`),
      null,
      null,
      ...names.map((name) => `=${name}`).reverse(),
    ]);
    expect(await client.call('EXISTS', ...names, 'none')).toBe(names.length);
    expect(await client.call('TOUCH', ...names)).toBe(names.length);
    expect(await client.call('UNLINK', names[0]!, names[1]!, names[2]!)).toBe(3);
    expect(await client.call('DEL', ...names)).toBe(names.length - 3);
  });

  it('refuse what is one command for keys of different clusters, before it is sent', async () => {
    for (const command of [
      ['MSETNX', 'user:1', 'x', 'other', 'y'],
      ['RENAME', 'user:1', 'user:session:1'],
      ['SUNIONSTORE', 'other', 'user:1'],
      ['EVAL', 'return 1', '2', 'user:1', 'other'],
    ]) {
      const reply = await client.ask(...command);
      expect(reply).toBeInstanceOf(ErrorReply);
      expect((reply as ErrorReply).message).toBe('CROSSSLOT Keys in request are routed to different clusters');
    }
    // Within one cluster the servers themselves say what they think of it.
    expect(((await client.ask('RENAME', 'a', 'b')) as ErrorReply).message).toMatch(/^CROSSSLOT/);
  });

  it('lead transactions, blocking commands and scripts, all with the upstream names of keys', async () => {
    const key = 'user:session:tx';
    const other = await RawClient.connect({ port: proxy.port });
    expect(await client.call('WATCH', key)).toBe('OK');
    expect(await client.call('MULTI')).toBe('OK');
    expect(await client.call('SET', key, '1')).toBe('QUEUED');
    expect(await client.call('INCR', key)).toBe('QUEUED');
    expect(await client.call('EXEC')).toEqual(['OK', 2]);
    expect(await client.call('WATCH', key)).toBe('OK');
    await other.call('SET', key, '5');
    expect(await client.call('MULTI')).toBe('OK');
    expect(await client.call('INCR', key)).toBe('QUEUED');
    expect(await client.call('EXEC')).toBeNull();
    expect(await client.call('MULTI')).toBe('OK');
    expect(await client.call('SET', 'user:1', '1')).toBe('QUEUED');
    expect(((await client.ask('SET', 'other', '1')) as ErrorReply).message).toMatch(/^CROSSSLOT/);
    expect(((await client.ask('EXEC')) as ErrorReply).message).toMatch(/^EXECABORT/);

    const popped = client.call('BLPOP', 'user:session:list', '5');
    await other.call('RPUSH', 'user:session:list', 'x');
    expect(await popped).toEqual(['list', 'x']);

    const sha = String(await client.call('SCRIPT', 'LOAD', "return redis.call('GET', KEYS[1])"));
    expect(await client.call('EVALSHA', sha, '1', key)).toBe('5');
    expect(await client.call('EVALSHA', sha, '1', 'other')).toBeNull();
    other.close();
  });

  it('keep the order of a pipeline over clusters', async () => {
    const commands = Array.from({ length: 300 }, (_, i) => {
      const key = [`user:${i % 3}`, `user:session:${i % 3}`, `plain${i % 3}`, `tagged:${i % 3}`][i % 4]!;
      return i % 2 === 0 ? ['APPEND', key, 'x'] : ['ECHO', String(i)];
    });
    const replies = await client.pipeline(commands);
    replies.forEach((reply, i) => {
      if (i % 2 === 1) expect(reply).toBe(String(i));
      else expect(typeof reply).toBe('number');
    });
  });

  it('answer as Envoy does when no route leads anywhere', async () => {
    const other = await RawClient.connect({ port: strict.port });
    expect(await other.call('SET', 'user:1', 'x')).toBe('OK');
    for (const command of [
      ['GET', 'other'],
      ['MGET', 'user:1', 'other'],
      ['GET', 'USER:1'],
      ['RENAME', 'user:1', 'other'],
    ]) {
      expect(((await other.ask(...command)) as ErrorReply).message).toBe('no upstream host');
    }
    other.close();
  });
});
