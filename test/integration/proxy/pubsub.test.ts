import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { moveSlot } from '../../support/migrate.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import {
  poll,
  type RedisCluster,
  type RedisServer,
  startCluster,
  startRedis,
  startServers,
} from '../../support/redis.js';
import { command, decode, ErrorReply, type Value } from '../../support/resp.js';

const WORKERS = 2;
const SOON_MS = 10_000;
const FAILOVER_MS = 30_000;

let cluster: RedisCluster;
let proxy: RunningProxy;
const clients: RawClient[] = [];

beforeAll(async () => {
  cluster = await startCluster({ replicasPerMaster: 1 });
  proxy = await startProxy({ cluster: cluster.addresses, workers: WORKERS });
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

afterAll(async () => {
  await proxy?.stop();
  await Promise.all(revived.map((node) => node.stop()));
  await cluster?.stop();
});

async function connect(proto = 2): Promise<RawClient> {
  const client = await RawClient.connect({ port: proxy.port });
  clients.push(client);
  if (proto === 3) await client.call('HELLO', 3);
  return client;
}

/** The next replies, decoded. */
const next = async (client: RawClient, count = 1): Promise<Value[]> => (await client.raw(count)).map(decode);

const alive = () => cluster.nodes.filter((node) => !killed.has(node));
const killed = new Set<RedisServer>();
/** Started again in the place of killed ones. */
const revived: RedisServer[] = [];

/** Waits until all nodes that live see all slots served. */
async function whole(): Promise<void> {
  await poll('the cluster is whole', FAILOVER_MS, async () => {
    const states = await Promise.all([...alive(), ...revived].map((node) => node.call('CLUSTER', 'INFO')));
    return states.every((state) =>
      ['cluster_state:ok', 'cluster_slots_pfail:0', 'cluster_slots_fail:0'].every((line) =>
        String(state).includes(line),
      ),
    );
  });
}

/** The connections to all nodes that have subscriptions. */
async function upstreamSubscribers(): Promise<string[]> {
  const lists = await Promise.all(alive().map((node) => node.call('CLIENT', 'LIST', 'TYPE', 'pubsub')));
  return lists.flatMap((list) => String(list).split('\n')).filter((line) => line !== '');
}

/** Publishes until the message comes to a client: subscriptions at nodes move. Gives the number of attempts. */
async function untilHeard(publisher: RawClient, command: string, channel: string, client: RawClient): Promise<number> {
  let attempt = 0;
  await poll(`a message in ${channel} arrives`, FAILOVER_MS, async () => {
    const said = await publisher.ask(command, channel, `attempt ${++attempt}`);
    if (said instanceof ErrorReply) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return client.unread.replies > 0;
  });
  await next(client, client.unread.replies);
  return attempt;
}

async function slotOf(key: string): Promise<number> {
  return Number(await alive()[0]!.call('CLUSTER', 'KEYSLOT', key));
}

/** The master that serves a slot, as the cluster says. */
async function masterOf(slot: number): Promise<RedisServer> {
  const ranges = (await alive()[0]!.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
  const port = ranges.find(([first, last]) => slot >= first && slot <= last)?.[2][1];
  return cluster.nodes.find((node) => node.port === port)!;
}

describe('clients of both protocols on several workers', () => {
  it('get what is published, in the same words as from Redis', async () => {
    const subscribers = await Promise.all(Array.from({ length: 12 }, (_, i) => connect(2 + (i % 2))));
    for (const client of subscribers) expect(await client.ask('SUBSCRIBE', 'both')).toEqual(['subscribe', 'both', 1]);
    const publisher = await connect();
    expect(await publisher.ask('PUBLISH', 'both', 'hello')).toBe(12);
    for (const [i, client] of subscribers.entries()) {
      const [raw] = await client.raw(1);
      const type = i % 2 === 0 ? '*' : '>';
      expect(raw!.toString()).toBe(`${type}3\r\n$7\r\nmessage\r\n$4\r\nboth\r\n$5\r\nhello\r\n`);
    }
    // Who was confirmed gets what is published afterwards by anybody, through any node.
    for (const node of cluster.nodes) await node.call('PUBLISH', 'both', node.port);
    for (const client of subscribers) {
      const heard = (await next(client, cluster.nodes.length)).map((message) => Number((message as Value[])[2]));
      expect(heard.sort()).toEqual(cluster.nodes.map(({ port }) => port).sort());
    }
  });

  it('get a channel and a pattern that match, each once', async () => {
    const client = await connect();
    await client.call('SUBSCRIBE', 'match:1');
    await client.call('PSUBSCRIBE', 'match:*');
    const publisher = await connect();
    expect(await publisher.ask('PUBLISH', 'match:1', 'x')).toBe(2);
    const heard = await next(client, 2);
    expect(heard).toContainEqual(['message', 'match:1', 'x']);
    expect(heard).toContainEqual(['pmessage', 'match:*', 'match:1', 'x']);
    await client.call('PUNSUBSCRIBE', 'match:*');
    expect(await publisher.ask('PUBLISH', 'match:2', 'x')).toBe(0);
  });

  it('may use any bytes in channels and messages', async () => {
    const channel = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const payload = Buffer.from(Array.from({ length: 1024 }, (_, i) => (i * 7) % 256));
    for (const command of ['SUBSCRIBE', 'SSUBSCRIBE']) {
      const client = await connect(3);
      const [confirmed] = [await client.ask(command, channel)] as [Value[]];
      expect(confirmed![1]).toBe(channel.toString('latin1'));
      const publisher = await connect();
      expect(await publisher.ask(command === 'SUBSCRIBE' ? 'PUBLISH' : 'SPUBLISH', channel, payload)).toBe(1);
      const [message] = (await next(client)) as [Value[]];
      expect(message!.slice(1)).toEqual([channel.toString('latin1'), payload.toString('latin1')]);
    }
  });

  it('get messages of a megabyte whole', async () => {
    const subscribers = await Promise.all([2, 3, 2, 3].map(connect));
    for (const client of subscribers) await client.call('SUBSCRIBE', 'large');
    const publisher = await connect();
    for (let i = 0; i < 5; i++) {
      await publisher.call('PUBLISH', 'large', `small ${i}`);
      await publisher.call('PUBLISH', 'large', Buffer.alloc(1024 * 1024, 97 + i));
    }
    for (const client of subscribers) {
      for (let i = 0; i < 5; i++) {
        const [small, large] = (await next(client, 2)) as [string[], string[]];
        expect(small![2]).toBe(`small ${i}`);
        expect(large![2]!.length).toBe(1024 * 1024);
        expect(large![2]).toBe(String.fromCharCode(97 + i).repeat(1024 * 1024));
      }
    }
  });

  it('get the messages of every publisher in its order, under load, between large replies', async () => {
    const PUBLISHERS = 4;
    const MESSAGES = 3000;
    const subscribers = await Promise.all(Array.from({ length: 10 }, (_, i) => connect(2 + (i % 2))));
    for (const client of subscribers) {
      await client.call('SUBSCRIBE', ...Array.from({ length: PUBLISHERS }, (_, i) => `order:${i}`));
      await client.raw(PUBLISHERS - 1);
    }
    // RESP3 clients read large values meanwhile; a message inside of one would be seen.
    const value = 'v'.repeat(300_000);
    const publisher = await connect();
    await publisher.call('SET', 'order:value', value);
    const readers = await Promise.all(
      subscribers
        .filter((_, i) => i % 2 === 1)
        .map(async (client) => {
          for (let i = 0; i < 10; i++) client.send('*2\r\n$3\r\nGET\r\n$11\r\norder:value\r\n');
          return client;
        }),
    );
    const publishers = await Promise.all(Array.from({ length: PUBLISHERS }, () => connect()));
    await Promise.all(
      publishers.map(async (client, p) => {
        for (let i = 0; i < MESSAGES; i += 50) {
          await client.pipeline(Array.from({ length: 50 }, (_, j) => ['PUBLISH', `order:${p}`, i + j]));
        }
      }),
    );
    for (const client of subscribers) {
      const reads = readers.includes(client) ? 10 : 0;
      const seen = new Map<string, number>();
      let values = 0;
      for (const reply of await next(client, PUBLISHERS * MESSAGES + reads)) {
        if (typeof reply === 'string') {
          expect(reply).toBe(value);
          values++;
          continue;
        }
        const [, channel, number] = reply as [string, string, string];
        expect(Number(number)).toBe(seen.get(channel) ?? 0);
        seen.set(channel, Number(number) + 1);
      }
      expect([...seen.values()]).toEqual(Array.from({ length: PUBLISHERS }, () => MESSAGES));
      expect(values).toBe(reads);
    }
  });
});

describe('the numbers', () => {
  it('are of clients, whatever the workers share', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => connect()));
    for (const client of all.slice(0, 4)) await client.call('SUBSCRIBE', 'count:a');
    for (const client of all.slice(4)) await client.call('PSUBSCRIBE', 'count:*');
    for (const client of all.slice(0, 3)) await client.call('SSUBSCRIBE', 'count:s');
    const asker = await connect();
    // Somebody who does not use the proxy.
    const direct = await RawClient.connect({ port: cluster.masters[0]!.port });
    clients.push(direct);
    await direct.call('SUBSCRIBE', 'count:a', 'count:b');
    const counted = await asker.ask('PUBSUB', 'NUMSUB', 'count:a', 'count:b', 'count:c');
    expect(counted).toEqual(['count:a', 5, 'count:b', 1, 'count:c', 0]);
    expect(((await asker.ask('PUBSUB', 'CHANNELS', 'count:*')) as string[]).sort()).toEqual(['count:a', 'count:b']);
    expect(await asker.ask('PUBSUB', 'CHANNELS', 'nothing')).toEqual([]);
    expect(await asker.ask('PUBSUB', 'NUMPAT')).toBe(1);
    expect(await asker.ask('PUBSUB', 'SHARDCHANNELS', 'count:*')).toEqual(['count:s']);
    expect(await asker.ask('PUBSUB', 'SHARDNUMSUB', 'count:s')).toEqual(['count:s', 3]);
    expect(await asker.ask('SPUBLISH', 'count:s', 'x')).toBe(3);
    // Four by name and four by pattern. Who is at another node than the channel's is not known of.
    expect([8, 9]).toContain(await asker.ask('PUBLISH', 'count:a', 'x'));
    expect(await asker.ask('PUBSUB', 'NUMSUB')).toEqual([]);
    expect(String(((await asker.ask('PUBSUB', 'HELP')) as string[])[0])).toContain('PUBSUB <subcommand>');
    for (const client of all) client.close();
    await poll('only the direct subscription is left at the nodes', SOON_MS, async () => {
      return (await upstreamSubscribers()).length === 1;
    });
    await poll('nobody is left', SOON_MS, async () => (await asker.ask('PUBSUB', 'NUMPAT')) === 0);
    await poll('the gauges are down', SOON_MS, async () => {
      const stats = await proxy.stats('pubsub_subscriptions_active');
      return Object.values(stats).every((value) => value === 0);
    });
  });
});

describe('2,000 subscribers', () => {
  it('share few connections to the nodes', async () => {
    const COUNT = 2000;
    const many: RawClient[] = [];
    for (let i = 0; i < COUNT; i += 100) {
      many.push(...(await Promise.all(Array.from({ length: 100 }, (_, j) => connect(2 + (j % 2))))));
    }
    await Promise.all(
      many.map((client, i) =>
        client.pipeline([
          ['SUBSCRIBE', 'many'],
          ['SUBSCRIBE', `many:${i % 20}`],
        ]),
      ),
    );
    // Each worker has one connection to every master that is the home of some of the channels.
    const lines = await upstreamSubscribers();
    expect(lines.length).toBeLessThanOrEqual(WORKERS * cluster.masters.length);
    const publisher = await connect();
    expect(await publisher.ask('PUBLISH', 'many', 'first')).toBe(COUNT);
    const total = (await proxy.stats('downstream_pubsub_subscriptions_active'))[
      'redis.egress_redis.downstream_pubsub_subscriptions_active'
    ];
    expect(total).toBe(2 * COUNT);
    for (let i = 0; i < 20; i++) await publisher.call('PUBLISH', `many:${i}`, 'own');
    await Promise.all(
      many.map(async (client, i) => {
        for (;;) {
          const [message] = (await next(client)) as [string[]];
          if (message![2] === 'first') continue;
          expect(message).toEqual(['message', `many:${i % 20}`, 'own']);
          return;
        }
      }),
    );
  });
});

describe('a subscriber that does not read', () => {
  it('is disconnected at the bound, counted, and holds nobody up', async () => {
    const small = await startProxy({
      config: {
        workers: 1,
        listeners: [{ cluster: 'main', pubsub_output_buffer_limit: 1024 * 1024 }],
        clusters: [{ name: 'main', endpoints: cluster.masters.map((node) => node.address) }],
      },
    });
    try {
      const slow = await RawClient.connect({ port: small.port });
      const quick = await RawClient.connect({ port: small.port });
      clients.push(slow, quick);
      for (const client of [slow, quick]) await client.call('SUBSCRIBE', 'flood');
      slow.socket.pause();
      const payload = 'x'.repeat(100_000);
      const publisher = await RawClient.connect({ port: small.port });
      clients.push(publisher);
      const closed = async () => (await small.stats('slow_close'))['redis.egress_redis.downstream_pubsub_slow_close'];
      let sent = 0;
      await poll('the slow one is disconnected', SOON_MS, async () => {
        for (let i = 0; i < 20; i++, sent++) await publisher.call('PUBLISH', 'flood', payload);
        return (await closed()) === 1;
      });
      expect((await quick.raw(sent)).length).toBe(sent);
      expect(await publisher.ask('PUBLISH', 'flood', 'end')).toBe(1);
      expect(await next(quick)).toEqual([['message', 'flood', 'end']]);
      slow.socket.resume();
      await slow.untilClosed();
    } finally {
      await small.stop();
    }
  });
});

describe('keyspace notifications', () => {
  it('come from every master', async () => {
    for (const node of cluster.masters) await node.call('CONFIG', 'SET', 'notify-keyspace-events', 'KEA');
    const [byPattern, byName] = [await connect(), await connect(3)];
    await byPattern.call('PSUBSCRIBE', '__keyevent@0__:*');
    await byName.call('SUBSCRIBE', '__keyspace@0__:note:3');
    const writer = await connect();
    const keys = Array.from({ length: 30 }, (_, i) => `note:${i}`);
    for (const key of keys) await writer.call('SET', key, 'x');
    const events = (await next(byPattern, keys.length)) as string[][];
    expect(events.map((event) => event[3]).sort()).toEqual([...keys].sort());
    expect(await next(byName)).toEqual([['message', '__keyspace@0__:note:3', 'set']]);
    await writer.call('DEL', 'note:3');
    expect(await next(byName)).toEqual([['message', '__keyspace@0__:note:3', 'del']]);
    expect(((await next(byPattern)) as string[][])[0]!.slice(2)).toEqual(['__keyevent@0__:del', 'note:3']);
    for (const node of cluster.masters) await node.call('CONFIG', 'SET', 'notify-keyspace-events', '');
  });
});

describe('real clients', () => {
  it('ioredis subscribes by name, by pattern and to shard channels', async () => {
    const subscriber = new Redis({ port: proxy.port, lazyConnect: true });
    const publisher = new Redis({ port: proxy.port, lazyConnect: true });
    try {
      await Promise.all([subscriber.connect(), publisher.connect()]);
      const heard: string[] = [];
      subscriber.on('message', (channel, text) => heard.push(`${channel} ${text}`));
      subscriber.on('pmessage', (pattern, channel, text) => heard.push(`${pattern} ${channel} ${text}`));
      subscriber.on('smessage', (channel: string, text: string) => heard.push(`shard ${channel} ${text}`));
      expect(await subscriber.subscribe('io:1', 'io:2')).toBe(2);
      expect(await subscriber.psubscribe('io:*')).toBe(3);
      expect(await subscriber.ssubscribe('io:s')).toBe(1);
      expect(await publisher.publish('io:1', 'a')).toBe(2);
      await publisher.spublish('io:s', 'b');
      await poll('all is heard', SOON_MS, () => heard.length === 3);
      expect(heard.sort()).toEqual(['io:* io:1 a', 'io:1 a', 'shard io:s b']);
      expect(await subscriber.unsubscribe('io:1')).toBe(2);
      expect(await subscriber.punsubscribe('io:*')).toBe(1);
      expect(await subscriber.unsubscribe()).toBe(0);
      expect(await subscriber.sunsubscribe('io:s')).toBe(0);
      expect(await subscriber.get('io:none')).toBeNull();
    } finally {
      subscriber.disconnect();
      publisher.disconnect();
    }
  });

  it.each([2, 3] as const)('node-redis does, in RESP%i', async (RESP) => {
    const subscriber = createClient({ url: `redis://127.0.0.1:${proxy.port}`, RESP });
    const publisher = createClient({ url: `redis://127.0.0.1:${proxy.port}`, RESP });
    try {
      await Promise.all([subscriber.connect(), publisher.connect()]);
      const heard: string[] = [];
      const hear = (text: string, channel: string) => void heard.push(`${channel} ${text}`);
      await subscriber.subscribe(['node:1', 'node:2'], hear);
      await subscriber.pSubscribe('node:*', hear);
      await subscriber.sSubscribe('node:s', hear);
      expect(await publisher.publish('node:2', 'a')).toBe(2);
      await publisher.sPublish('node:s', 'b');
      await poll('all is heard', SOON_MS, () => heard.length === 3);
      expect(heard.sort()).toEqual(['node:2 a', 'node:2 a', 'node:s b']);
      if (RESP === 3) expect(await subscriber.get('node:none')).toBeNull();
      await subscriber.unsubscribe();
      await subscriber.pUnsubscribe();
      await subscriber.sUnsubscribe();
      expect(await publisher.publish('node:2', 'a')).toBe(0);
      expect(await subscriber.get('node:none')).toBeNull();
    } finally {
      await Promise.all([subscriber.close(), publisher.close()]);
    }
  });
});

describe('what a client may do beside', () => {
  it('RESET ends its subscriptions without a word, and leaving does', async () => {
    const [client, other, asker] = [await connect(), await connect(3), await connect()];
    for (const each of [client, other]) {
      await each.call('SUBSCRIBE', 'reset');
      await each.call('PSUBSCRIBE', 'reset*');
      await each.call('SSUBSCRIBE', 'reset:s');
    }
    expect(await asker.ask('CLIENT', 'LIST', 'TYPE', 'pubsub')).toMatch(
      / sub=1 psub=1 ssub=1 .*\n.* sub=1 psub=1 ssub=1 /,
    );
    expect(await asker.ask('PUBSUB', 'NUMSUB', 'reset')).toEqual(['reset', 2]);
    expect(await client.ask('RESET')).toBe('RESET');
    expect(await client.ask('PING')).toBe('PONG');
    expect(await asker.ask('PUBSUB', 'NUMSUB', 'reset')).toEqual(['reset', 1]);
    other.close();
    await poll('the other one is gone', SOON_MS, async () => (await asker.ask('PUBLISH', 'reset', 'x')) === 0);
    expect(client.unread.replies).toBe(0);
    await client.call('SUBSCRIBE', 'quit');
    expect(await client.ask('QUIT')).toBe('OK');
    await client.untilClosed();
  });

  it('RESP3 clients use everything; with replies off, messages come all the same', async () => {
    const [client, publisher] = [await connect(3), await connect()];
    await client.call('SUBSCRIBE', 'beside');
    expect(await client.ask('SET', 'beside:key', 'v')).toBe('OK');
    expect(await client.ask('GET', 'beside:key')).toBe('v');
    client.send('*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n');
    client.send('*2\r\n$3\r\nGET\r\n$10\r\nbeside:key\r\n');
    client.send('*2\r\n$9\r\nSUBSCRIBE\r\n$8\r\nbeside:2\r\n');
    expect(await next(client)).toEqual([['subscribe', 'beside:2', 2]]);
    expect(await publisher.ask('PUBLISH', 'beside:2', 'x')).toBe(1);
    expect(await next(client)).toEqual([['message', 'beside:2', 'x']]);
  });
});

describe('in sharded mode', () => {
  it('channels are where PUBLISH goes, and patterns at every server', async () => {
    const servers = await startServers(3, { requirepass: 'secret' });
    const sharded = await startProxy({
      env: { PUBSUB_TEST_PASSWORD: 'secret' },
      config: {
        workers: 2,
        listeners: [{ cluster: 'main' }],
        clusters: [
          {
            name: 'main',
            type: 'sharded',
            endpoints: servers.map((server) => server.address),
            auth_password: { environment: 'PUBSUB_TEST_PASSWORD' },
          },
        ],
      },
    });
    try {
      const channels = Array.from({ length: 30 }, (_, i) => `sharded:${i}`);
      const open = async () => {
        const client = await RawClient.connect({ port: sharded.port });
        clients.push(client);
        return client;
      };
      const subscribers = await Promise.all(Array.from({ length: 6 }, open));
      const publisher = await open();
      for (const client of subscribers) {
        client.send(command('SUBSCRIBE', ...channels));
        await client.raw(channels.length);
        await client.call('PSUBSCRIBE', 'sharded:1*');
        client.send(command('SSUBSCRIBE', ...channels));
        await client.raw(channels.length);
      }
      let expected = 0;
      for (const channel of channels) {
        const both = channel.startsWith('sharded:1');
        expected += both ? 2 : 1;
        expect(await publisher.ask('PUBLISH', channel, channel)).toBe(both ? 12 : 6);
        expect(await publisher.ask('SPUBLISH', channel, channel)).toBe(6);
        expected++;
      }
      for (const client of subscribers) {
        const heard = (await next(client, expected)) as string[][];
        for (const channel of channels) {
          expect(heard).toContainEqual(['message', channel, channel]);
          expect(heard).toContainEqual(['smessage', channel, channel]);
        }
        expect(client.unread.replies).toBe(0);
      }
      expect(await publisher.ask('PUBSUB', 'NUMSUB', 'sharded:1')).toEqual(['sharded:1', 6]);
      expect(await publisher.ask('PUBSUB', 'NUMPAT')).toBe(1);
    } finally {
      await sharded.stop();
      await Promise.all(servers.map((server) => server.stop()));
    }
  });
});

describe('a shard channel whose slot moves', () => {
  it('is followed, without a word to the client', async () => {
    const channel = 'shard:moves';
    const slot = await slotOf(channel);
    const subscribers = await Promise.all([2, 3, 2, 3].map(connect));
    for (const client of subscribers) await client.call('SSUBSCRIBE', channel);
    const publisher = await connect();
    for (let round = 0; round < 3; round++) {
      const from = await masterOf(slot);
      const to = cluster.masters[(cluster.masters.indexOf(from) + 1) % cluster.masters.length]!;
      await moveSlot({ slot, from, to, all: cluster.masters });
      await Promise.all(
        subscribers.map(async (client) => {
          const mine = await connect();
          await untilHeard(mine, 'SPUBLISH', channel, client);
        }),
      );
      await poll('what was repeated has come', SOON_MS, async () => {
        for (const client of subscribers) await next(client, client.unread.replies);
        const before = subscribers.map((client) => client.unread.replies);
        await publisher.call('SPUBLISH', channel, `end ${round}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
        return before.every((count, i) => count === 0 && subscribers[i]!.unread.replies === 1);
      });
      for (const client of subscribers) {
        expect(await next(client)).toEqual([['smessage', channel, `end ${round}`]]);
      }
    }
  });
});

describe('a channel whose slot moves', () => {
  it('has the messages of a publisher in their order, none lost and none twice', async () => {
    const channel = 'ordered';
    const slot = await slotOf(channel);
    const subscribers = await Promise.all([2, 3, 2, 3].map(connect));
    for (const client of subscribers) await client.call('SUBSCRIBE', channel);
    const [publisher, writer] = [await connect(), await connect()];
    let published = 0;
    let moving = true;
    const publish = async () => {
      while (moving) await publisher.call('PUBLISH', channel, `message ${published++}`);
    };
    const write = async () => {
      while (moving) {
        // So the proxy hears of a move at once.
        await writer.call('SET', channel, 'x');
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    const move = async () => {
      // Away from where it is subscribed to, on to a third node, and back: twice.
      for (let i = 0; i < 6; i++) {
        const from = await masterOf(slot);
        const to = cluster.masters[(cluster.masters.indexOf(from) + 1) % cluster.masters.length]!;
        await moveSlot({ slot, from, to, all: cluster.masters });
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      moving = false;
    };
    await Promise.all([publish(), write(), move()]);
    for (const client of subscribers) {
      await poll('all have come', SOON_MS, () => client.unread.replies >= published);
      const heard = (await next(client, client.unread.replies)).map((message) => String((message as Value[])[2]));
      const late = heard.filter((message, i) => message !== `message ${i}`);
      expect(late).toEqual([]);
      expect(heard.length).toBe(published);
    }
  });
});

describe('a failover', () => {
  it('that is planned leaves subscriptions where messages arrive', async () => {
    const channel = 'failover:shard';
    const slot = await slotOf(channel);
    const [plain, shard, publisher] = [await connect(), await connect(3), await connect()];
    await plain.call('SUBSCRIBE', 'failover');
    await shard.call('SSUBSCRIBE', channel);
    const master = await masterOf(slot);
    const roleOf = async (node: RedisServer) => (await node.call('ROLE')) as [string, number, [string, string][]];
    const port = Number((await roleOf(master))[2][0]![1]);
    const replica = cluster.nodes.find((node) => node.port === port)!;
    await replica.call('CLUSTER', 'FAILOVER');
    await poll('the replica is master', FAILOVER_MS, async () => (await roleOf(replica))[0] === 'master');
    await untilHeard(publisher, 'SPUBLISH', channel, shard);
    await untilHeard(publisher, 'PUBLISH', 'failover', plain);
    await poll('the old master is a replica', FAILOVER_MS, async () => (await roleOf(master))[0] === 'slave');
  });

  it('is not needed to leave a node that hangs', async () => {
    // On both workers; each has its subscriptions at another node.
    const subscribers = await Promise.all([2, 3, 2, 3, 2, 3, 2, 3].map(connect));
    for (const client of subscribers) await client.call('SUBSCRIBE', 'hangs');
    const holders: RedisServer[] = [];
    for (const node of alive()) {
      const [, count] = (await node.call('PUBSUB', 'NUMSUB', 'hangs')) as [string, number];
      if (count > 0) holders.push(node);
    }
    const shard = await connect(3);
    await shard.call('SSUBSCRIBE', 'hangs:shard');
    const [victim] = holders;
    const other = alive().find((node) => node !== victim)!;
    await victim!.kill('SIGSTOP');
    try {
      const began = performance.now();
      await poll('messages come again', SOON_MS, async () => {
        await other.call('PUBLISH', 'hangs', 'x');
        return subscribers.every((client) => client.unread.replies > 0);
      });
      // One second of silence, two to answer, and what a busy machine takes.
      expect(performance.now() - began).toBeLessThan(9000);
    } finally {
      await victim!.kill('SIGCONT');
    }
    await whole();
    await untilHeard(await connect(), 'SPUBLISH', 'hangs:shard', shard);
  });

  it('of a master brings its shard channels to the new one', async () => {
    const channel = 'dies:shard';
    const slot = await slotOf(channel);
    const subscribers = await Promise.all([2, 3, 2].map(connect));
    for (const client of subscribers) await client.call('SSUBSCRIBE', channel);
    const master = await masterOf(slot);
    killed.add(master);
    await master.kill();
    for (const client of subscribers) await untilHeard(await connect(), 'SPUBLISH', channel, client);
    expect(subscribers.some((client) => client.closed)).toBe(false);
    const { dir } = master;
    revived.push(await startRedis({ cluster: true, port: master.port, args: ['--dir', dir] }));
    await whole();
  });

  it('of the node that the subscriptions are at costs the messages of a moment, and no connection', async () => {
    const subscribers = await Promise.all([2, 3, 2, 3, 2, 3].map(connect));
    const publisher = await connect();
    for (const client of subscribers) await client.call('SUBSCRIBE', 'killed');
    let victim: RedisServer | undefined;
    for (const node of alive()) {
      const [, count] = (await node.call('PUBSUB', 'NUMSUB', 'killed')) as [string, number];
      if (count > 0) victim = node;
    }
    killed.add(victim!);
    await victim!.kill();
    const began = performance.now();
    // Published at a node that lives: what the proxy publishes may belong to the dead one.
    const other = alive().find((node) => node !== victim)!;
    const heard = subscribers.map(() => false);
    await poll('everybody hears again', SOON_MS, async () => {
      await other.call('PUBLISH', 'killed', 'x');
      for (const [i, client] of subscribers.entries()) if (client.unread.replies > 0) heard[i] = true;
      return heard.every(Boolean);
    });
    expect(performance.now() - began).toBeLessThan(5000);
    for (const client of subscribers) await next(client, client.unread.replies);
    await untilHeard(publisher, 'PUBLISH', 'killed', subscribers[0]!);
    expect(subscribers.some((client) => client.closed)).toBe(false);
    const stats = await proxy.stats('upstream_pubsub_resubscribe');
    expect(stats['cluster.main.upstream_pubsub_resubscribe']).toBeGreaterThan(0);
  });
});
