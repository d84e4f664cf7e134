import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { moveSlot } from '../../support/migrate.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { command, ErrorReply } from '../../support/resp.js';

let cluster: RedisCluster;
let proxy: RunningProxy;
let single: RedisServer;
const open: RawClient[] = [];

beforeAll(async () => {
  [cluster, single] = await Promise.all([startCluster({ replicasPerMaster: 1 }), startRedis()]);
  proxy = await startProxy({ cluster: cluster.addresses });
});

afterAll(async () => {
  for (const client of open) client.close();
  await proxy?.stop();
  await cluster?.stop();
  await single?.stop();
});

async function connect(port = proxy.port, timeoutMs?: number): Promise<RawClient> {
  const client = await RawClient.connect({ port, timeoutMs });
  open.push(client);
  return client;
}

const dedicated = async (name: string) =>
  (await proxy.stats('upstream_cx_dedicated'))[`cluster.main.upstream_cx_dedicated_${name}`] ?? 0;

const untilBlocked = (count: number) =>
  poll(`${count} connections are lent`, 10_000, async () => (await dedicated('active')) === count);

/** Clients that are blocked at the servers themselves. */
async function blockedAt(nodes: readonly RedisServer[]): Promise<number> {
  let count = 0;
  for (const node of nodes)
    count += Number(/^blocked_clients:(\d+)/m.exec(String(await node.call('INFO', 'clients')))?.[1]);
  return count;
}

async function masterOf(key: string): Promise<RedisServer> {
  const slot = Number(await cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', key));
  const shards = (await cluster.nodes[0]!.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  const [, , [, port]] = shards.find(([from, to]) => from <= slot && slot <= to)!;
  return cluster.nodes.find((node) => node.port === port)!;
}

describe('blocking commands', () => {
  it.each<[string, string[][], string[], string[]]>([
    ['BLPOP', [], ['BLPOP', '{b}1', '{b}2', '0'], ['RPUSH', '{b}2', 'v']],
    ['BRPOP', [], ['BRPOP', '{b}3', '5'], ['RPUSH', '{b}3', 'v', 'w']],
    ['BLMOVE', [], ['BLMOVE', '{b}4', '{b}5', 'LEFT', 'RIGHT', '0.0'], ['RPUSH', '{b}4', 'v']],
    ['BRPOPLPUSH', [], ['BRPOPLPUSH', '{b}6', '{b}7', '0'], ['RPUSH', '{b}6', 'v']],
    ['BLMPOP', [], ['BLMPOP', '0', '2', '{b}8', '{b}9', 'LEFT', 'COUNT', '2'], ['RPUSH', '{b}9', 'v', 'w']],
    ['BZPOPMIN', [], ['BZPOPMIN', '{b}10', '0'], ['ZADD', '{b}10', '1.5', 'v']],
    ['BZPOPMAX', [], ['BZPOPMAX', '{b}11', '0'], ['ZADD', '{b}11', '1', 'v']],
    ['BZMPOP', [], ['BZMPOP', '0', '1', '{b}12', 'MAX'], ['ZADD', '{b}12', '1', 'v']],
    ['XREAD', [], ['XREAD', 'BLOCK', '0', 'STREAMS', '{b}13', '$'], ['XADD', '{b}13', '1-1', 'f', 'v']],
    [
      'XREADGROUP',
      [['XGROUP', 'CREATE', '{b}14', 'g', '$', 'MKSTREAM']],
      ['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', '1', 'BLOCK', '0', 'STREAMS', '{b}14', '>'],
      ['XADD', '{b}14', '1-1', 'f', 'v'],
    ],
  ])('%s answers as one server does, in RESP2 and RESP3', async (_name, before, wait, wake) => {
    for (const proto of [2, 3]) {
      const replies: Buffer[] = [];
      for (const port of [single.port, proxy.port]) {
        const [blocked, other] = [await connect(port), await connect(port)];
        await other.call('DEL', ...Array.from({ length: 14 }, (_, i) => `{b}${i + 1}`));
        for (const each of before) await other.call(...each);
        if (proto === 3) await blocked.call('HELLO', 3);
        blocked.send(command(...wait));
        if (port === proxy.port) await poll('it is blocked', 5000, async () => (await blockedAt(cluster.nodes)) === 1);
        else await poll('it is blocked', 5000, async () => (await blockedAt([single])) === 1);
        await other.call(...wake);
        replies.push((await blocked.raw(1))[0]!);
      }
      expect(replies[1]!.toString()).toBe(replies[0]!.toString());
    }
  });

  it.each([
    ['BLPOP', 'k', '0.05'],
    ['BLPOP', 'k', '-1'],
    ['BLPOP', 'k', 'abc'],
    ['BLPOP', 'k', ''],
    ['BLPOP', 'k', '1e400'],
    ['BLPOP', 'k', '99999999999999999999'],
    ['BLMOVE', '{k}1', '{k}2', 'LEFT', 'LEFT', '0.05'],
    ['BLMOVE', '{k}1', '{k}2', 'LEFT', 'UP', '0.05'],
    ['BRPOPLPUSH', '{k}1', '{k}2', '0.05'],
    ['BLMPOP', '0.05', '1', 'k', 'LEFT'],
    ['BLMPOP', 'x', '1', 'k', 'LEFT'],
    ['BLMPOP', '0.05', '0', 'k', 'LEFT'],
    ['BLMPOP', '0.05', '5', 'k', 'LEFT'],
    ['BZMPOP', '0.05', '1', 'k', 'MIN'],
    ['BZPOPMIN', 'k', '0.05'],
    ['XREAD', 'BLOCK', '50', 'STREAMS', 'k', '$'],
    ['XREAD', 'BLOCK', '-5', 'STREAMS', 'k', '$'],
    ['XREAD', 'BLOCK', 'x', 'STREAMS', 'k', '$'],
    ['XREAD', 'BLOCK', '50', 'STREAMS', '{k}', '{k}2', '$'],
    ['XREAD', 'BLOCK', '50'],
    ['XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '50', 'STREAMS', 'k', '>'],
    ['BLPOP', 'str', '0'],
    ['WAIT', '0', '10'],
    ['WAIT', 'x', '10'],
    ['WAIT', '0', '-1'],
    ['WAIT', '0', 'x'],
  ])('%s %s %s %s %s %s %s is refused or times out as on one server', async (...args) => {
    for (const proto of [2, 3]) {
      const replies: string[] = [];
      for (const port of [single.port, proxy.port]) {
        const client = await connect(port);
        if (proto === 3) await client.call('HELLO', 3);
        await client.call('SET', 'str', 'x');
        const reply = (await client.exchange(...args.filter((arg) => arg !== undefined))).toString();
        // The single server has no replicas.
        replies.push(args[0] === 'WAIT' && reply.startsWith(':') ? ':' : reply);
      }
      expect(replies[1]).toBe(replies[0]);
    }
  });

  it('keep the order of a pipeline: what follows waits', async () => {
    const [client, other] = [await connect(), await connect()];
    client.send(
      Buffer.concat([
        command('SET', 'order:before', '1'),
        command('BLPOP', 'order:list', '0'),
        command('INCR', 'order:before'),
        command('PING'),
        command('BLPOP', 'order:list', '0.05'),
        command('ECHO', 'end'),
      ]),
    );
    await untilBlocked(1);
    expect(await other.call('GET', 'order:before')).toBe('1');
    await other.call('RPUSH', 'order:list', 'v');
    const replies = (await client.raw(6)).map(String);
    expect(replies).toEqual([
      '+OK\r\n',
      '*2\r\n$10\r\norder:list\r\n$1\r\nv\r\n',
      ':2\r\n',
      '+PONG\r\n',
      '*-1\r\n',
      '$3\r\nend\r\n',
    ]);
    await untilBlocked(0);
  });

  it('serve 200 clients in the order in which they came, and give every connection back', async () => {
    const clients: RawClient[] = [];
    for (let i = 0; i < 200; i++) {
      const client = await connect();
      clients.push(client);
      client.send(command('BLPOP', 'queue', '0'));
      await untilBlockedServer(i + 1);
    }
    const other = await connect();
    for (let i = 0; i < 200; i++) await other.call('RPUSH', 'queue', String(i));
    const values = await Promise.all(clients.map(async (client) => (await client.raw(1)).toString()));
    expect(values).toEqual(
      Array.from({ length: 200 }, (_, i) => `*2\r\n$5\r\nqueue\r\n$${String(i).length}\r\n${i}\r\n`),
    );
    await untilBlocked(0);
    for (const client of clients) client.close();
  });

  async function untilBlockedServer(count: number): Promise<void> {
    await poll(`${count} clients are blocked`, 10_000, async () => (await blockedAt(cluster.nodes)) === count);
  }

  it('let go of the connection of a client that leaves, by FIN or by RST', async () => {
    const before = await blockedAt(cluster.nodes);
    const clients = await Promise.all(Array.from({ length: 40 }, () => connect()));
    for (const [i, client] of clients.entries()) client.send(command('BLPOP', `leave:${i % 7}`, '0'));
    await untilBlockedServer(before + 40);
    for (const [i, client] of clients.entries()) {
      if (i % 2 === 0) client.socket.end();
      else client.socket.resetAndDestroy();
    }
    await untilBlocked(0);
    await untilBlockedServer(before);
    // Nobody takes what they would have got.
    const other = await connect();
    await other.call('RPUSH', 'leave:0', 'v');
    expect(await other.call('LPOP', 'leave:0')).toBe('v');
  });

  it('are not cut short by op_timeout, 300 of them at once', { timeout: 30_000 }, async () => {
    const config = {
      listeners: [{ cluster: 'main' }],
      clusters: [
        { name: 'main', endpoints: cluster.masters.map(({ address }) => address), settings: { op_timeout: '500ms' } },
      ],
    };
    const other = await startProxy({ config });
    try {
      const clients = await Promise.all(Array.from({ length: 300 }, () => connect(other.port)));
      for (const client of clients) client.send(command('BLPOP', 'patience', '0'));
      await poll('all are blocked', 20_000, async () => (await blockedAt(cluster.nodes)) === 300);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      const writer = await connect(other.port);
      for (const _ of clients) await writer.call('RPUSH', 'patience', 'v');
      for (const client of clients) expect(String(await client.raw(1))).toContain('patience');
    } finally {
      await other.stop();
    }
  });

  it('follow a slot that moves, and go on waiting there', async () => {
    const tag = '{bmove}';
    const slot = Number(await cluster.nodes[0]!.call('CLUSTER', 'KEYSLOT', tag));
    const from = await masterOf(tag);
    const to = cluster.masters.find((node) => node !== from)!;
    const other = await connect();
    const client = await connect();
    const stream = await connect();
    await other.call('XADD', `${tag}s`, '5-0', 'f', 'v');
    client.send(command('BLPOP', `${tag}list`, '0'));
    stream.send(command('XREAD', 'BLOCK', '0', 'STREAMS', `${tag}s`, '$'));
    await untilBlockedServer(2);
    await moveSlot({ slot, from, to, all: cluster.masters });
    await poll('they wait at the new master', 10_000, async () => (await blockedAt([to])) === 2);
    await other.call('RPUSH', `${tag}list`, 'v');
    await other.call('XADD', `${tag}s`, '6-0', 'f', 'v');
    expect(await client.raw(1).then(String)).toContain('bmove');
    expect(await stream.raw(1).then(String)).toContain('6-0');
    await moveSlot({ slot, from: to, to: from, all: cluster.masters });
    await untilBlocked(0);
  });

  it('go on at the new master after a failover, for the time left, and lose no entry of a stream', {
    timeout: 60_000,
  }, async () => {
    const key = '{failover}';
    const master = await masterOf(key);
    const replica = cluster.replicas.find((_, i) => cluster.masters[i] === master)!;
    const [list, timed, stream, other] = [
      await connect(),
      await connect(proxy.port, 30_000),
      await connect(),
      await connect(),
    ];
    await other.call('XADD', `${key}s`, '1-0', 'f', 'v');
    await poll('the replica has it', 5000, async () => (await other.ask('WAIT', 1, 100)) === 1);
    list.send(command('BLPOP', `${key}l`, '0'));
    const began = performance.now();
    timed.send(command('BLPOP', `${key}t`, '12'));
    stream.send(command('XREAD', 'BLOCK', '0', 'STREAMS', `${key}s`, '$'));
    await untilBlockedServer(3);
    await master.kill('SIGSTOP');
    await poll('the replica has taken over', 30_000, async () => {
      const role = (await replica.call('ROLE')) as unknown[];
      if (role[0] === 'master') return true;
      await replica.call('CLUSTER', 'FAILOVER', 'TAKEOVER').catch(() => {});
      return false;
    });
    // Between the loss and the new wait.
    await replica.call('XADD', `${key}s`, '2-0', 'f', 'v');
    expect(await stream.raw(1).then(String)).toContain('2-0');
    await poll('they wait at the new master', 20_000, async () => (await blockedAt([replica])) === 2);
    await other.call('RPUSH', `${key}l`, 'v');
    expect(await list.raw(1).then(String)).toContain('failover');
    expect(await timed.raw(1).then(String)).toBe('*-1\r\n');
    const waited = performance.now() - began;
    expect(waited).toBeGreaterThan(11_900);
    expect(waited).toBeLessThan(13_000);
    await master.kill('SIGCONT');
    await poll(
      'the old master is a replica',
      20_000,
      async () => ((await master.call('ROLE')) as unknown[])[0] === 'slave',
    );
    await untilBlocked(0);
  });

  it('say so when there are too many', async () => {
    const config = {
      listeners: [{ cluster: 'main' }],
      clusters: [
        {
          name: 'main',
          endpoints: cluster.masters.map(({ address }) => address),
          settings: { max_dedicated_connections: 3 },
        },
      ],
    };
    const other = await startProxy({ config });
    try {
      const clients = await Promise.all(Array.from({ length: 3 }, () => connect(other.port)));
      for (const client of clients) client.send(command('BLPOP', 'many', '0'));
      await untilBlockedServer(3);
      const last = await connect(other.port);
      const reply = await last.ask('BLPOP', 'many', '0');
      expect(reply).toBeInstanceOf(ErrorReply);
      expect((reply as ErrorReply).message).toContain('max number of dedicated connections');
      expect((await other.stats('dedicated_overflow'))['cluster.main.upstream_cx_dedicated_overflow']).toBe(1);
      clients[0]!.close();
      await untilBlockedServer(2);
      last.send(command('BLPOP', 'many', '0'));
      await untilBlockedServer(3);
    } finally {
      await other.stop();
    }
  });
});

describe('WAIT', () => {
  it('counts replicas that have what this client wrote, and only that', async () => {
    await poll('every master has its replica', 30_000, async () => {
      const roles = (await Promise.all(cluster.nodes.map((node) => node.call('ROLE')))) as unknown[][];
      const replicas = roles.filter(([role, , , link]) => role === 'slave' && link === 'connected').length;
      const served = roles.filter(([role, , of]) => role === 'master' && (of as unknown[]).length === 1).length;
      return replicas === 3 && served === 3;
    });
    const key = 'wait:key';
    const master = await masterOf(key);
    const roles = (await master.call('ROLE')) as [string, number, [string, string][]];
    const replica = cluster.nodes.find(({ port }) => port === Number(roles[2][0]![1]))!;
    const [writer, elsewhere, idle] = [await connect(), await connect(), await connect()];
    expect(
      await writer.pipeline([
        ['SET', key, '1'],
        ['WAIT', '1', '5000'],
      ]),
    ).toEqual(['OK', 1]);
    let other = 0;
    while ((await masterOf(`other:${other}`)) === master) other++;
    await replica.kill('SIGSTOP');
    try {
      const began = performance.now();
      expect(
        await writer.pipeline([
          ['SET', key, '2'],
          ['WAIT', '1', '100'],
        ]),
      ).toEqual(['OK', 0]);
      const took = performance.now() - began;
      expect(took).toBeGreaterThan(95);
      expect(took).toBeLessThan(1000);
      // It is asked again with nothing new to wait for.
      expect(await writer.ask('WAIT', 1, 50)).toBe(0);
      expect(
        await elsewhere.pipeline([
          ['SET', `other:${other}`, '1'],
          ['WAIT', '1', '5000'],
        ]),
      ).toEqual(['OK', 1]);
      // Who has written nothing is told at once how many replicas there are.
      expect(await idle.ask('WAIT', 1, 3000)).toBe(1);
      const both = await connect();
      expect(
        await both.pipeline([
          ['MSET', key, '1', `other:${other}`, '2'],
          ['WAIT', '1', '100'],
        ]),
      ).toEqual(['OK', 0]);
    } finally {
      await replica.kill('SIGCONT');
    }
    expect(await writer.ask('WAIT', 1, 5000)).toBe(1);
    await untilBlocked(0);
  });
});
