import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keySlot } from '../../../src/proxy/engine/hash/crc16.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../support/redis.js';
import { command, decode, ErrorReply, seeded } from '../../support/resp.js';

const OWN_PASSWORD = 'the proxys own password';
const WRONG = 'WRONGPASS invalid username-password pair or user is disabled.';
const CHECK_INTERVAL_MS = 1000;
/** What a check and a look at it take at most, on a busy machine. */
const GRACE_MS = 1500;

const RULES = {
  alice: ['on', '>alice secret', '~a:*', '&a:*', '+@all', '-@dangerous'],
  bob: ['on', '>bob secret', '%R~a:*', '~b:*', '&b:*', '+@all', '-@dangerous', '-append'],
  carol: ['on', '>carol secret', '~c:*', 'resetchannels', '+@read', '+@connection', '-client', '-wait'],
} as const;
type User = keyof typeof RULES;
const passwordOf = (user: string) => `${user} secret`;

let cluster: RedisCluster;
let proxy: RunningProxy;

/** Users are each node's own. */
async function onAll(nodes: readonly RedisServer[], ...words: string[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.call('ACL', ...words)));
}

const setUser = (user: string, ...rules: string[]) => onAll(cluster.nodes, 'SETUSER', user, ...rules);

const listener = (upstreamAuth: object = { check_interval: `${CHECK_INTERVAL_MS}ms` }) => ({
  cluster: 'main',
  upstream_auth: upstreamAuth,
  auth_failure_delay: '0s',
});

const clusters = (of: RedisCluster, settings = {}) => [
  {
    name: 'main',
    endpoints: of.nodes.map(({ address }) => address),
    auth_password: { inline: OWN_PASSWORD },
    cluster_refresh_rate: '500ms',
    settings,
  },
];

beforeAll(async () => {
  cluster = await startCluster({ requirepass: OWN_PASSWORD, replicasPerMaster: 1 });
  for (const [user, rules] of Object.entries(RULES)) await setUser(user, 'reset', ...rules);
  proxy = await startProxy({
    workers: 2,
    config: { listeners: [listener()], clusters: clusters(cluster, { read_policy: 'PREFER_MASTER' }) },
  });
}, 60_000);

afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

async function login(user: string, password = passwordOf(user), to = proxy): Promise<RawClient> {
  const client = await RawClient.connect({ port: to.port });
  expect(await said(client, 'AUTH', user, password)).toBe('OK');
  return client;
}

async function said(client: RawClient, ...args: string[]): Promise<unknown> {
  const reply = await client.ask(...args);
  return reply instanceof ErrorReply ? reply.message : reply;
}

async function withUser(user: string, use: (client: RawClient) => Promise<void>): Promise<void> {
  const client = await login(user);
  try {
    await use(client);
  } finally {
    client.close();
  }
}

/** Which of the three masters has a key. */
function shardOf(key: string): number {
  const slot = keySlot(Buffer.from(key), 0, key.length);
  return slot < 5461 ? 0 : slot < 10_923 ? 1 : 2;
}

/** What a user gets from the nodes themselves, with slots looked after. */
class Direct {
  private constructor(private readonly connections: readonly RawClient[]) {}

  static async connect(user: string): Promise<Direct> {
    const connections = await Promise.all(cluster.masters.map(({ port }) => RawClient.connect({ port })));
    for (const each of connections) expect(await said(each, 'AUTH', user, passwordOf(user))).toBe('OK');
    return new Direct(connections);
  }

  /** One question after the other. */
  private last: Promise<unknown> = Promise.resolve();

  exchange(key: string | null, args: string[]): Promise<string> {
    const connection = this.connections[key === null ? 0 : shardOf(key)] as RawClient;
    const reply = this.last.then(async () => (await connection.exchange(...args)).toString('latin1'));
    this.last = reply;
    return reply;
  }

  close(): void {
    for (const each of this.connections) each.close();
  }
}

describe('the login', () => {
  it('is needed, and is what Redis says it is', async () => {
    const client = await RawClient.connect({ port: proxy.port });
    for (const line of ['GET a:1', 'PING', 'CLIENT LIST', 'SUBSCRIBE a:1', 'MULTI', 'INFO']) {
      expect(await said(client, ...line.split(' '))).toBe('NOAUTH Authentication required.');
    }
    expect(await said(client, 'AUTH', 'alice', 'bob secret')).toBe(WRONG);
    expect(await said(client, 'AUTH', 'nobody', 'x')).toBe(WRONG);
    expect(await said(client, 'AUTH', 'default', 'x')).toBe(WRONG);
    expect(await said(client, 'AUTH', 'x')).toBe(WRONG);
    expect(await said(client, 'HELLO', '3', 'AUTH', 'alice', 'x')).toBe(WRONG);
    expect(await said(client, 'GET', 'a:1')).toBe('NOAUTH Authentication required.');
    expect(await said(client, 'AUTH', 'alice', passwordOf('alice'))).toBe('OK');
    expect(await said(client, 'SET', 'a:1', 'x')).toBe('OK');
    expect(await said(client, 'ACL', 'WHOAMI')).toBe('alice');
    expect(await said(client, 'AUTH', 'alice', 'x')).toBe(WRONG);
    expect(await said(client, 'GET', 'a:1')).toBe('x');
    expect(await said(client, 'RESET')).toBe('RESET');
    expect(await said(client, 'GET', 'a:1')).toBe('NOAUTH Authentication required.');
    expect(await said(client, 'AUTH', OWN_PASSWORD)).toBe('OK');
    expect(await said(client, 'ACL', 'WHOAMI')).toBe('default');
    client.close();
    expect(proxy.stderr()).not.toContain('secret');
  });

  it('takes a user whom only some masters know; the others refuse its commands', async () => {
    const [first] = cluster.masters as [RedisServer];
    await first.call('ACL', 'SETUSER', 'half', 'on', '>half secret', '~*', '+@all');
    const client = await login('half');
    const replies = new Set<unknown>();
    for (let i = 0; i < 30; i++) replies.add(await said(client, 'SET', `h:${i}`, 'x'));
    expect([...replies].sort()).toEqual(['OK', WRONG]);
    client.close();
    await first.call('ACL', 'DELUSER', 'half');
  });

  it('of more users than max_upstream_users says why it is refused; when some have left there is room', async () => {
    const other = await startProxy({
      config: { listeners: [listener({ max_upstream_users: 2 })], clusters: clusters(cluster) },
    });
    try {
      const alice = await login('alice', passwordOf('alice'), other);
      const bob = await login('bob', passwordOf('bob'), other);
      const carol = await RawClient.connect({ port: other.port });
      expect(await said(carol, 'AUTH', 'carol', passwordOf('carol'))).toBe('ERR max number of upstream users reached');
      expect(await said(carol, 'GET', 'c:1')).toBe('NOAUTH Authentication required.');
      bob.close();
      await poll('bob has left', 3000, async () => (await said(carol, 'AUTH', 'carol', passwordOf('carol'))) === 'OK');
      expect(await said(alice, 'GET', 'a:2')).toBe(null);
      expect((await other.stats('upstream_user'))['redis.egress_redis.upstream_user_overflow']).toBeGreaterThan(0);
      for (const each of [alice, carol]) each.close();
    } finally {
      await other.stop();
    }
  });
});

describe('commands run with the rights of their own user', () => {
  it('among many clients that log in as one and the other, whatever is on its way', { timeout: 120_000 }, async () => {
    const users = Object.keys(RULES) as User[];
    for (const key of ['a', 'b', 'c']) {
      for (let i = 0; i < 20; i++) {
        const name = `${key}:${i}`;
        const list = `${key}:l:${i}`;
        await (cluster.masters[shardOf(name)] as RedisServer).call('SET', name, `value of ${name}`);
        await (cluster.masters[shardOf(list)] as RedisServer).call('RPUSH', list, 'x', 'y');
      }
    }
    const direct = new Map<User, Direct>();
    for (const user of users) direct.set(user, await Direct.connect(user));
    const expected = new Map<string, Promise<string>>();
    const answerTo = (user: User, key: string | null, args: string[]) => {
      const id = `${user} ${args.join(' ')}`;
      const known = expected.get(id) ?? (direct.get(user) as Direct).exchange(key, args);
      expected.set(id, known);
      return known;
    };
    let compared = 0;
    let refused = 0;
    await Promise.all(
      Array.from({ length: 48 }, async (_, number) => {
        const random = seeded(number + 1);
        const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
        const client = await RawClient.connect({ port: proxy.port });
        let user = pick(users);
        expect(await said(client, 'AUTH', user, passwordOf(user))).toBe('OK');
        for (let round = 0; round < 25; round++) {
          const pieces: Buffer[] = [];
          const answers: (string | Promise<string>)[] = [];
          for (let left = 1 + Math.floor(random() * 40); left > 0; left--) {
            if (random() < 0.04) {
              user = pick(users);
              pieces.push(command('AUTH', user, passwordOf(user)));
              answers.push('+OK\r\n');
              continue;
            }
            const letter = pick(['a', 'b', 'c']);
            const i = Math.floor(random() * 20);
            const key = `${letter}:${i}`;
            const list = `${letter}:l:${i}`;
            const [place, args] = pick<[string | null, string[]]>([
              [key, ['GET', key]],
              [key, ['SET', key, `value of ${key}`]],
              [key, ['STRLEN', key]],
              [key, ['APPEND', key, '']],
              [key, ['MGET', key, key]],
              [list, ['LRANGE', list, '0', '-1']],
              [list, random() < 0.2 ? ['BLPOP', `${list}:none`, '0.5'] : ['LLEN', list]],
              [key, ['EVAL', 'return redis.call("GET", KEYS[1])', '1', key]],
              [key, ['EXISTS', key]],
              [null, ['PING']],
              [null, ['CLIENT', 'GETNAME']],
              [null, ['CONFIG', 'GET', 'maxmemory']],
              [null, ['ACL', 'WHOAMI']],
            ]);
            pieces.push(command(...args));
            answers.push(answerTo(user, args[0] === 'BLPOP' ? (args[1] as string) : place, args));
          }
          client.send(Buffer.concat(pieces));
          const replies = await client.raw(pieces.length);
          for (const [i, reply] of replies.entries()) {
            const answer = await (answers[i] as string);
            expect(`${pieces[i]} ${reply}`).toBe(`${pieces[i]} ${answer}`);
            compared++;
            if (answer.startsWith('-NOPERM')) refused++;
          }
        }
        client.close();
      }),
    );
    for (const each of direct.values()) each.close();
    expect(compared).toBeGreaterThan(10_000);
    expect(refused).toBeGreaterThan(2000);
  });

  it('in commands over several slots, transactions, WATCH, scripts and SCAN', () =>
    withUser('alice', async (alice) => {
      expect(await said(alice, 'MSET', 'a:x', '1', 'a:y', '2', 'a:z', '3')).toBe('OK');
      expect(await said(alice, 'MGET', 'a:x', 'a:y', 'a:z')).toEqual(['1', '2', '3']);
      expect(await said(alice, 'DEL', 'b:1', 'b:2', 'b:3')).toMatch(/^NOPERM/);
      expect(await said(alice, 'WATCH', 'b:1')).toMatch(/^NOPERM/);
      expect(await said(alice, 'WATCH', 'a:x')).toBe('OK');
      expect(await said(alice, 'MULTI')).toBe('OK');
      expect(await said(alice, 'INCR', 'a:x')).toBe('QUEUED');
      expect(await said(alice, 'EXEC')).toEqual([2]);
      expect(await said(alice, 'MULTI')).toBe('OK');
      expect(await said(alice, 'INCR', 'b:x')).toBe('QUEUED');
      expect(await said(alice, 'EXEC')).toMatch(/^EXECABORT.*NOPERM/);
      const sha = await said(alice, 'SCRIPT', 'LOAD', 'return redis.call("GET", KEYS[1])');
      expect(await said(alice, 'EVALSHA', String(sha), '1', 'a:y')).toBe('2');
      expect(await said(alice, 'EVALSHA', String(sha), '1', 'b:y')).toMatch(/NOPERM/);
      expect(await said(alice, 'FLUSHALL')).toMatch(/^NOPERM/);
      const found = new Set<string>();
      let cursor = '0';
      do {
        const [next, keys] = (await said(alice, 'SCAN', cursor, 'MATCH', 'a:?')) as [string, string[]];
        for (const key of keys) found.add(key);
        cursor = next;
      } while (cursor !== '0');
      expect([...found].filter((key) => /^a:[xyz]$/.test(key)).sort()).toEqual(['a:x', 'a:y', 'a:z']);
    }));

  it('in RESP3, and where reads go to replicas', async () => {
    const other = await startProxy({
      config: { listeners: [listener()], clusters: clusters(cluster, { read_policy: 'REPLICA' }) },
    });
    try {
      const bob = await RawClient.connect({ port: other.port });
      expect(await said(bob, 'HELLO', '3', 'AUTH', 'bob', passwordOf('bob'))).toBeInstanceOf(Map);
      expect(await said(bob, 'ACL', 'WHOAMI')).toBe('bob');
      expect(await said(bob, 'SET', 'b:replica', 'x')).toBe('OK');
      await poll('the replica has it', 5000, async () => (await said(bob, 'GET', 'b:replica')) === 'x');
      await poll('all replicas are known', 10_000, async () => {
        for (let i = 0; i < 12; i++) if ((await said(bob, 'GET', `b:${i}`)) === 'no upstream host') return false;
        return true;
      });
      expect(await said(bob, 'GET', 'c:1')).toMatch(/^NOPERM/);
      expect(await said(bob, 'SET', 'a:1', 'x')).toMatch(/^NOPERM/);
      expect(await said(bob, 'MGET', 'b:replica', 'a:none', 'b:none')).toEqual(['x', null, null]);
      bob.close();
    } finally {
      await other.stop();
    }
  });

  it('a watch does not survive a login as somebody else', () =>
    withUser('alice', async (client) => {
      expect(await said(client, 'WATCH', 'a:x')).toBe('OK');
      expect(await said(client, 'AUTH', 'bob', passwordOf('bob'))).toBe('OK');
      expect(await said(client, 'MULTI')).toBe('OK');
      expect(await said(client, 'SET', 'a:x', 'by bob')).toBe('QUEUED');
      expect(await said(client, 'EXEC')).toBe(null);
    }));

  it('waits for writes to reach replicas with its own rights', () =>
    withUser('alice', async (alice) => {
      expect(await said(alice, 'SET', 'a:w', '1')).toBe('OK');
      expect(await said(alice, 'WAIT', '1', '2000')).toEqual(expect.any(Number));
      await withUser('carol', async (carol) => {
        expect(await said(carol, 'WAIT', '1', '100')).toMatch(/^NOPERM/);
        expect(await said(carol, 'SCAN', '0')).toEqual([expect.any(String), expect.any(Array)]);
        expect(await said(carol, 'INFO')).toMatch(/^NOPERM/);
      });
    }));

  it('what the proxy serves itself is asked of Redis', () =>
    withUser('carol', async (carol) => {
      expect(await said(carol, 'PING')).toBe('PONG');
      for (const line of [
        'CLIENT LIST',
        'CLIENT KILL ID 1',
        'CLIENT PAUSE 1',
        'CLIENT UNPAUSE',
        'MONITOR',
        'CLIENT ID',
      ]) {
        expect(await said(carol, ...line.split(' ')), line).toMatch(/^NOPERM/);
      }
      await withUser('alice', async (alice) => {
        expect(await said(alice, 'CLIENT', 'ID')).toEqual(expect.any(Number));
        expect(await said(alice, 'CLIENT', 'LIST')).toMatch(/^NOPERM/);
      });
      const admin = await RawClient.connect({ port: proxy.port });
      expect(await said(admin, 'AUTH', OWN_PASSWORD)).toBe('OK');
      expect(await said(admin, 'CLIENT', 'LIST')).toContain('user=carol');
      expect(await said(admin, 'MONITOR')).toBe('OK');
      admin.close();
    }));

  it('subscriptions, too: a channel is heard by those who may', () =>
    withUser('alice', (alice) =>
      withUser('bob', async (bob) => {
        expect(await said(alice, 'SUBSCRIBE', 'b:news')).toMatch(/^NOPERM/);
        expect(await said(bob, 'SUBSCRIBE', 'b:news')).toEqual(['subscribe', 'b:news', 1]);
        // The subscription is there now, and still is not alice's.
        expect(await said(alice, 'SUBSCRIBE', 'b:news')).toMatch(/^NOPERM/);
        expect(await said(alice, 'PSUBSCRIBE', '*')).toMatch(/^NOPERM/);
        expect(await said(alice, 'SSUBSCRIBE', 'b:news')).toMatch(/^NOPERM/);
        expect(await said(alice, 'PUBLISH', 'b:news', 'x')).toMatch(/^NOPERM/);
        const admin = await RawClient.connect({ port: proxy.port });
        expect(await said(admin, 'AUTH', OWN_PASSWORD)).toBe('OK');
        const both = await RawClient.connect({ port: proxy.port });
        expect(await said(both, 'AUTH', OWN_PASSWORD)).toBe('OK');
        expect(await said(both, 'SUBSCRIBE', 'b:news')).toEqual(['subscribe', 'b:news', 1]);
        expect(await said(admin, 'PUBSUB', 'NUMSUB', 'b:news')).toEqual(['b:news', 2]);
        expect(await said(admin, 'PUBLISH', 'b:news', 'hello')).toBe(2);
        for (const each of [bob, both])
          expect((await each.raw(1)).map(decode)[0]).toEqual(['message', 'b:news', 'hello']);
        for (const each of [admin, both]) each.close();
      }),
    ));

  it('while a master is lost and another takes its place', { timeout: 40_000 }, async () => {
    const key = 'a:failover';
    const replica = cluster.replicas[shardOf(key)] as RedisServer;
    await withUser('alice', (alice) =>
      withUser('bob', async (bob) => {
        expect(await said(alice, 'SET', key, '0')).toBe('OK');
        await replica.call('CLUSTER', 'FAILOVER');
        const end = performance.now() + 3000;
        while (performance.now() < end) {
          expect(await said(alice, 'SET', key, '1')).toBe('OK');
          expect(await said(bob, 'SET', key, '1')).toMatch(/^NOPERM/);
          expect(await said(bob, 'GET', key)).toBe('1');
        }
      }),
    );
    const roles = await replica.call('ROLE');
    expect((roles as string[])[0]).toBe('master');
  });
});

describe('a user that Redis does not accept any more', () => {
  const waysToGo: [string, (user: string) => Promise<void>][] = [
    ['was deleted', (user) => onAll(cluster.nodes, 'DELUSER', user)],
    ['is off', (user) => setUser(user, 'off')],
    ['has another password', (user) => setUser(user, 'resetpass', '>another secret')],
  ];
  for (const [what, change] of waysToGo) {
    it(`loses access within the interval: it ${what}`, { timeout: 20_000 }, async () => {
      await setUser('dora', 'reset', 'on', '>dora secret', '~*', '&*', '+@all');
      const busy = await login('dora');
      const idle = await login('dora');
      const blocked = await login('dora');
      const hearing = await login('dora');
      expect(await said(hearing, 'SUBSCRIBE', 'news')).toEqual(['subscribe', 'news', 1]);
      blocked.send(command('BLPOP', 'nothing', '0'));
      await withUser('alice', async (alice) => {
        for (let i = 0; i < 20; i++) expect(await said(busy, 'SET', `d:${i}`, 'x')).toBe('OK');
        await change('dora');
        const since = performance.now();
        const all = [busy, idle, blocked, hearing];
        await Promise.all(
          all.map((client) => poll('the client is disconnected', CHECK_INTERVAL_MS + GRACE_MS, () => client.closed)),
        );
        expect(performance.now() - since).toBeLessThan(CHECK_INTERVAL_MS + GRACE_MS);
        expect(await said(alice, 'SET', 'a:1', 'x')).toBe('OK');
        const again = await RawClient.connect({ port: proxy.port });
        expect(await said(again, 'AUTH', 'dora', passwordOf('dora'))).toBe(WRONG);
        again.close();
      });
      await poll('the log says why', 5000, () => proxy.stderr().includes('Redis does not accept a user any more'));
      await onAll(cluster.nodes, 'DELUSER', 'dora');
    });
  }

  it('other rights hold at once; a subscription that is not allowed any more ends with its client', async () => {
    await setUser('emma', 'reset', 'on', '>emma secret', '~*', '&*', '+@all');
    const client = await login('emma');
    const hearing = await login('emma');
    expect(await said(hearing, 'SUBSCRIBE', 'news')).toEqual(['subscribe', 'news', 1]);
    expect(await said(client, 'SET', 'k', 'x')).toBe('OK');
    await setUser('emma', '-set', 'resetchannels', '&other');
    expect(await said(client, 'SET', 'k', 'x')).toMatch(/^NOPERM/);
    await poll('the subscriber is disconnected', 4000, () => hearing.closed);
    client.close();
    await onAll(cluster.nodes, 'DELUSER', 'emma');
  });
});

describe('five hundred users', () => {
  const USERS = 500;
  const MIB = 1024 * 1024;

  it('are served at once, each with its own rights, with a connection to a node for each', {
    timeout: 60_000,
  }, async () => {
    const names = Array.from({ length: USERS }, (_, i) => `user-${i}`);
    const rules = (name: string) => ['reset', 'on', `>${passwordOf(name)}`, `~${name}:*`, '+@all', '-@dangerous'];
    for (const { port } of cluster.nodes) {
      const node = await RawClient.connect({ port });
      await node.call('AUTH', OWN_PASSWORD);
      await node.pipeline(names.map((name) => ['ACL', 'SETUSER', name, ...rules(name)]));
      node.close();
    }
    const many = await startProxy({ config: { listeners: [listener()], clusters: clusters(cluster) } });
    try {
      const before = many.rssBytes();
      const clients = await Promise.all(names.map((name) => login(name, passwordOf(name), many)));
      for (let round = 0; round < 3; round++) {
        await Promise.all(
          clients.map(async (client, i) => {
            const own = Array.from({ length: 10 }, (_, j) => ['SET', `user-${i}:${j}`, `${i}`]);
            const other = Array.from({ length: 10 }, (_, j) => ['GET', `user-${(i + 1 + j) % USERS}:${j}`]);
            const replies = await client.pipeline([...own, ...other]);
            expect(replies.slice(0, 10)).toEqual(own.map(() => 'OK'));
            for (const reply of replies.slice(10)) expect((reply as ErrorReply).message).toMatch(/^NOPERM/);
          }),
        );
      }
      const stats = await many.stats();
      expect(stats['redis.egress_redis.upstream_user_active']).toBe(USERS);
      // One for each user and master, and some of the proxy's own.
      expect(stats['cluster.main.upstream_cx_active']).toBeLessThan(3 * USERS + 50);
      expect(many.rssBytes() - before).toBeLessThan(100 * MIB);
      // All of them are checked in an interval, over one connection to each node.
      await poll('all are checked again', 3 * CHECK_INTERVAL_MS + GRACE_MS, async () => {
        return (
          ((await many.stats('upstream_auth_check_total'))['redis.egress_redis.upstream_auth_check_total'] ?? 0) > USERS
        );
      });
      expect((await many.stats('upstream_auth_check_failure'))['redis.egress_redis.upstream_auth_check_failure']).toBe(
        0,
      );
      for (const client of clients) {
        expect(client.closed).toBe(false);
        client.close();
      }
    } finally {
      await many.stop();
    }
  });
});
