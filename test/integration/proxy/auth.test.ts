import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { command, ErrorReply } from '../../support/resp.js';

const UPSTREAM_PASSWORD = 'upstream "secret" 1\\x';
const CLIENT_PASSWORD = 'client secret ünï';
const WRONG = 'WRONGPASS invalid username-password pair or user is disabled.';
const NOAUTH = 'NOAUTH Authentication required.';

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startCluster({ requirepass: UPSTREAM_PASSWORD });
});

afterAll(() => cluster?.stop());

async function withClient(proxy: RunningProxy, use: (client: RawClient) => Promise<void>): Promise<void> {
  const client = await RawClient.connect({ port: proxy.port });
  try {
    await use(client);
  } finally {
    client.close();
  }
}

const message = async (client: RawClient, ...args: string[]) => {
  const reply = await client.ask(...args);
  return reply instanceof ErrorReply ? reply.message : reply;
};

describe('a proxy with PROXY_AUTH_PASSWORD and REDIS_REQUIREPASS', () => {
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await startProxy({
      cluster: cluster.addresses,
      workers: 2,
      env: { REDIS_REQUIREPASS: UPSTREAM_PASSWORD, PROXY_AUTH_PASSWORD: CLIENT_PASSWORD },
    });
  });

  afterAll(() => proxy?.stop());

  it('serves nothing before the login but AUTH, HELLO and QUIT', () =>
    withClient(proxy, async (client) => {
      for (const line of [
        'GET a',
        'SET a b',
        'PING',
        'CLIENT ID',
        'INFO',
        'BOGUS',
        'SUBSCRIBE a',
        'COMMAND',
        'MGET a b',
      ]) {
        expect(await message(client, ...line.split(' ')), line).toBe(NOAUTH);
      }
      expect(await message(client, 'HELLO', '3')).toMatch(/^NOAUTH HELLO must be called/);
      expect(await message(client, 'HELLO')).toMatch(/^NOAUTH HELLO must be called/);
      expect(await message(client, 'QUIT')).toBe('OK');
      await client.untilClosed();
    }));

  it('lets in with AUTH, with and without the user, and in RESP3 with HELLO', async () => {
    await withClient(proxy, async (client) => {
      expect(await message(client, 'AUTH', CLIENT_PASSWORD)).toBe('OK');
      expect(await client.call('SET', 'auth', 'in')).toBe('OK');
      expect(await client.call('GET', 'auth')).toBe('in');
    });
    await withClient(proxy, async (client) => {
      expect(await message(client, 'AUTH', 'default', CLIENT_PASSWORD)).toBe('OK');
      expect(await client.call('GET', 'auth')).toBe('in');
    });
    await withClient(proxy, async (client) => {
      const hello = await client.call('HELLO', 3, 'AUTH', 'default', CLIENT_PASSWORD, 'SETNAME', 'three');
      expect((hello as Map<string, unknown>).get('proto')).toBe(3);
      await client.call('HSET', 'auth:h', 'f', 'v');
      expect(await client.call('HGETALL', 'auth:h')).toEqual(new Map([['f', 'v']]));
      expect(await client.call('CLIENT', 'GETNAME')).toBe('three');
    });
  });

  it('refuses a wrong password, a wrong user and an empty password, and keeps the client out', () =>
    withClient(proxy, async (client) => {
      expect(await message(client, 'AUTH', 'guessed-badly')).toBe(WRONG);
      expect(await message(client, 'AUTH', '')).toBe(WRONG);
      expect(await message(client, 'AUTH', 'somebody', CLIENT_PASSWORD)).toBe(WRONG);
      expect(await message(client, 'AUTH', CLIENT_PASSWORD.slice(0, -1))).toBe(WRONG);
      expect(await message(client, 'AUTH', UPSTREAM_PASSWORD)).toBe(WRONG);
      expect(await message(client, 'HELLO', '3', 'AUTH', 'default', 'guessed-badly')).toBe(WRONG);
      expect(await message(client, 'GET', 'auth')).toBe(NOAUTH);
    }));

  it('keeps a client that is in when it fails to log in again', () =>
    withClient(proxy, async (client) => {
      await client.call('AUTH', CLIENT_PASSWORD);
      expect(await message(client, 'AUTH', 'guessed-badly')).toBe(WRONG);
      expect(await client.call('PING')).toBe('PONG');
    }));

  it('answers what is pipelined before and after the login in order', () =>
    withClient(proxy, async (client) => {
      const replies = await client.pipeline([
        ['GET', 'auth'],
        ['AUTH', CLIENT_PASSWORD],
        ['SET', 'auth', 'pipelined'],
        ['GET', 'auth'],
      ]);
      expect(replies).toEqual([new ErrorReply(NOAUTH), 'OK', 'OK', 'pipelined']);
    }));

  it('takes only small commands from who is not logged in', () =>
    withClient(proxy, async (client) => {
      client.send(command('SET', 'auth', Buffer.alloc(20_000)));
      expect(String((await client.raw(1))[0])).toBe('-ERR Protocol error: unauthenticated bulk length\r\n');
      await client.untilClosed();
    }));

  it('is used by the common clients with a password', async () => {
    const io = new Redis({ port: proxy.port, password: CLIENT_PASSWORD, lazyConnect: true, connectTimeout: 5_000 });
    await io.connect();
    expect(await io.set('auth:io', 'v')).toBe('OK');
    io.disconnect();
    for (const RESP of [2, 3] as const) {
      const node = createClient({
        socket: { port: proxy.port, reconnectStrategy: false },
        RESP,
        password: CLIENT_PASSWORD,
      });
      node.on('error', () => {});
      await node.connect();
      expect(await node.get('auth:io')).toBe('v');
      node.destroy();
    }
  });

  it('counts failed logins and keeps every secret out of its log and its pages', async () => {
    const stats = await proxy.stats('downstream_auth_failure');
    expect(stats['redis.egress_redis.downstream_auth_failure']).toBeGreaterThanOrEqual(6);
    const pages = ['/stats', '/clusters', '/clusters?format=json', '/config_dump', '/server_info', '/stats/prometheus'];
    const seen = [proxy.stderr(), ...(await Promise.all(pages.map(async (path) => (await proxy.page(path)).body)))];
    for (const text of seen) {
      for (const secret of [UPSTREAM_PASSWORD, CLIENT_PASSWORD, 'guessed-badly']) expect(text).not.toContain(secret);
    }
  });
});

describe('a proxy with several passwords and a user in its configuration', () => {
  it('lets that user in with each of them, and shows none of them', async () => {
    const proxy = await startProxy({
      config: {
        listeners: [
          {
            cluster: 'main',
            downstream_auth_username: 'app',
            downstream_auth_passwords: [{ inline: 'first-inline' }, { environment: 'SECOND' }],
          },
        ],
        clusters: [
          { name: 'main', endpoints: [cluster.nodes[0]!.address], auth_password: { environment: 'UPSTREAM' } },
        ],
      },
      env: { SECOND: 'second-from-environment', UPSTREAM: UPSTREAM_PASSWORD },
    });
    try {
      for (const password of ['first-inline', 'second-from-environment']) {
        await withClient(proxy, async (client) => {
          expect(await message(client, 'AUTH', 'app', password)).toBe('OK');
          expect(await client.call('SET', 'auth', password)).toBe('OK');
        });
      }
      await withClient(proxy, async (client) => {
        expect(await message(client, 'AUTH', 'default', 'first-inline')).toBe(WRONG);
        expect(await message(client, 'GET', 'auth')).toBe(NOAUTH);
      });
      const { body } = await proxy.page('/config_dump');
      expect(body).toContain('SECOND');
      expect(body).not.toContain('first-inline');
      expect(body).not.toContain('second-from-environment');
    } finally {
      await proxy.stop();
    }
  });
});

describe('a proxy whose upstream password is wrong', () => {
  it('says so in its log without the password, is not ready, and answers with an error within the op_timeout', async () => {
    const proxy = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [
          {
            name: 'main',
            endpoints: cluster.nodes.map(({ address }) => address),
            auth_password: { environment: 'UPSTREAM' },
            settings: { op_timeout: '500ms' },
          },
        ],
      },
      env: { UPSTREAM: 'not-the-upstream-password' },
      until: 'listening',
    });
    try {
      await withClient(proxy, async (client) => {
        const started = performance.now();
        expect(await message(client, 'GET', 'a')).toBe('no upstream host');
        expect(performance.now() - started).toBeLessThan(2_500);
      });
      await poll('it is logged', 5_000, () => proxy.stderr().includes('WRONGPASS'));
      expect(proxy.stderr()).not.toContain('not-the-upstream-password');
      expect((await proxy.page('/ready')).status).toBe(503);
    } finally {
      await proxy.stop();
    }
  });

  it('later, because it was changed on the servers, recovers when it is changed back', async () => {
    const proxy = await startProxy({
      config: {
        listeners: [{ cluster: 'main' }],
        clusters: [
          {
            name: 'main',
            endpoints: cluster.nodes.map(({ address }) => address),
            auth_password: { environment: 'UPSTREAM' },
            settings: { op_timeout: '500ms' },
          },
        ],
      },
      env: { UPSTREAM: UPSTREAM_PASSWORD },
    });
    const connections = await Promise.all(cluster.nodes.map((node) => node.connect()));
    try {
      await withClient(proxy, async (client) => {
        expect(await client.call('SET', 'changing', '1')).toBe('OK');
        for (const node of connections) {
          await node.call('CONFIG', 'SET', 'requirepass', 'another');
          // Connections that are logged in stay so; a restart or a failover would end them.
          await node.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        }
        const failures = ['upstream failure', 'no upstream host'];
        await poll('commands fail', 5_000, async () =>
          failures.includes(String(await message(client, 'GET', 'changing'))),
        );
        for (const node of connections) await node.call('CONFIG', 'SET', 'requirepass', UPSTREAM_PASSWORD);
        await poll('commands succeed again', 10_000, async () => (await message(client, 'GET', 'changing')) === '1');
      });
    } finally {
      for (const node of connections) node.close();
      await proxy.stop();
    }
  });
});
