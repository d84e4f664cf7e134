/** Redis's own users behind the proxy, where keys are divided among independent servers, and where the way to them is TLS. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, type CertificateFiles, makeAuthority } from '../../support/certificates.js';
import { BUS_OFFSET, freePort } from '../../support/ports.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { files } from '../../support/proxy-tls.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';
import { decode, ErrorReply, seeded } from '../../support/resp.js';

const OWN_PASSWORD = 'the proxys own password';
const WRONG = 'WRONGPASS invalid username-password pair or user is disabled.';
const CHECK_INTERVAL_MS = 1000;
/** What a check and a look at it take at most, on a busy machine. */
const GRACE_MS = 1500;
const SEEN_MS = 15_000;
const SERVERS = 3;
const KEYS = 60;

const RULES = {
  alice: ['on', '>alice secret', '~a:*', '&a:*', '+@all', '-@dangerous'],
  bob: ['on', '>bob secret', '%R~a:*', '~b:*', '&b:*', '+@all', '-@dangerous', '-append'],
} as const;
const passwordOf = (user: string) => `${user} secret`;

interface Upstream {
  readonly server: RedisServer;
  /** Where the proxy connects. */
  readonly address: string;
}

let authority: Authority;
let client: CertificateFiles;

beforeAll(async () => {
  authority = await makeAuthority();
  client = await authority.issue({ name: 'proxy' });
});

afterAll(async () => {
  await authority?.remove();
});

async function startSecure(cluster: boolean): Promise<Upstream> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const { certificate, key } = authority.server;
  const args = [
    ...['--tls-port', String(tlsPort), '--tls-auth-clients', 'yes', '--tls-ca-cert-file', authority.ca],
    ...['--tls-cert-file', certificate, '--tls-key-file', key],
    ...(cluster ? ['--tls-cluster', 'yes', '--cluster-port', String(port + BUS_OFFSET)] : []),
  ];
  const server = await startRedis({ cluster, port, requirepass: OWN_PASSWORD, args });
  return { server, address: `127.0.0.1:${tlsPort}` };
}

async function startPlain(): Promise<Upstream> {
  const server = await startRedis({ requirepass: OWN_PASSWORD });
  return { server, address: server.address };
}

/** Has them share the slots. */
async function form(upstreams: readonly Upstream[]): Promise<void> {
  const boundary = (index: number) => Math.round((index * 16_384) / upstreams.length);
  const [{ server: first }] = upstreams as [Upstream];
  for (const [index, { server, address }] of upstreams.entries()) {
    await server.call('CLUSTER', 'ADDSLOTSRANGE', boundary(index), boundary(index + 1) - 1);
    await server.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (index > 0) await first.call('CLUSTER', 'MEET', ...address.split(':'), server.port + BUS_OFFSET);
  }
  await poll('the cluster is formed', SEEN_MS, async () => {
    const infos = await Promise.all(upstreams.map(({ server }) => server.call('CLUSTER', 'INFO')));
    return infos.every((info) =>
      new RegExp(`cluster_state:ok[\\s\\S]*cluster_known_nodes:${upstreams.length}`).test(String(info)),
    );
  });
}

const all = (count: number, start: () => Promise<Upstream>) => Promise.all(Array.from({ length: count }, start));

const KINDS: { what: string; type: string; secure: boolean; start(): Promise<Upstream[]> }[] = [
  {
    what: 'independent servers',
    type: 'sharded',
    secure: false,
    start: () => all(SERVERS, startPlain),
  },
  {
    what: 'independent servers over TLS',
    type: 'sharded',
    secure: true,
    start: () => all(SERVERS, () => startSecure(false)),
  },
  {
    what: 'a Redis Cluster over TLS',
    type: 'redis_cluster',
    secure: true,
    start: async () => {
      const upstreams = await all(SERVERS, () => startSecure(true));
      await form(upstreams);
      return upstreams;
    },
  },
];

describe.each(KINDS)('pass-through users of $what', ({ type, secure, start }) => {
  let upstreams: Upstream[] = [];
  let proxy: RunningProxy;

  const onAll = (...words: string[]) => Promise.all(upstreams.map(({ server }) => server.call('ACL', ...words)));

  beforeAll(async () => {
    upstreams = await start();
    for (const [user, rules] of Object.entries(RULES)) await onAll('SETUSER', user, 'reset', ...rules);
    const tls = {
      tls_context: {
        tls_certificates: [files(client)],
        validation_context: { trusted_ca: { filename: authority.ca } },
      },
    };
    proxy = await startProxy({
      workers: 2,
      config: {
        listeners: [
          { cluster: 'main', upstream_auth: { check_interval: `${CHECK_INTERVAL_MS}ms` }, auth_failure_delay: '0s' },
        ],
        clusters: [
          {
            name: 'main',
            type,
            endpoints: upstreams.map(({ address }) => address),
            auth_password: { inline: OWN_PASSWORD },
            ...(secure ? tls : {}),
          },
        ],
      },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all(upstreams.map(({ server }) => server.stop()));
  });

  async function said(by: RawClient, ...args: string[]): Promise<unknown> {
    const reply = await by.ask(...args);
    return reply instanceof ErrorReply ? reply.message : reply;
  }

  async function login(user: string): Promise<RawClient> {
    const logged = await RawClient.connect({ port: proxy.port });
    expect(await said(logged, 'AUTH', user, passwordOf(user))).toBe('OK');
    return logged;
  }

  const keysOf = (letter: string) => Array.from({ length: KEYS }, (_, i) => `${letter}:${i}`);

  it('log in as Redis says, and do nothing before', async () => {
    const stranger = await RawClient.connect({ port: proxy.port });
    expect(await said(stranger, 'GET', 'a:1')).toBe('NOAUTH Authentication required.');
    expect(await said(stranger, 'AUTH', 'alice', passwordOf('bob'))).toBe(WRONG);
    expect(await said(stranger, 'AUTH', 'nobody', 'x')).toBe(WRONG);
    expect(await said(stranger, 'HELLO', '3', 'AUTH', 'alice', passwordOf('alice'))).toBeInstanceOf(Map);
    expect(await said(stranger, 'ACL', 'WHOAMI')).toBe('alice');
    stranger.close();
    expect(proxy.stderr()).not.toContain('secret');
  });

  it('have their own rights at every server, one key or many', async () => {
    const [alice, bob] = [await login('alice'), await login('bob')];
    for (const [i, key] of keysOf('a').entries()) expect(await said(alice, 'SET', key, `${i}`)).toBe('OK');
    // The keys are at all of the servers, and each has been asked with the rights of the user.
    const sizes = await Promise.all(upstreams.map(({ server }) => server.call('DBSIZE')));
    expect(Math.min(...sizes.map(Number))).toBeGreaterThan(0);
    for (const [i, key] of keysOf('a').entries()) {
      expect(await said(bob, 'GET', key)).toBe(`${i}`);
      expect(await said(bob, 'SET', key, 'x')).toMatch(/^NOPERM/);
      expect(await said(alice, 'GET', `b:${i}`)).toMatch(/^NOPERM/);
    }
    expect(await said(bob, 'MGET', ...keysOf('a'))).toEqual(keysOf('a').map((_, i) => `${i}`));
    expect(await said(bob, 'MSET', ...keysOf('b').flatMap((key) => [key, 'by bob']))).toBe('OK');
    expect(await said(alice, 'DEL', ...keysOf('b'))).toMatch(/^NOPERM/);
    expect(await said(bob, 'DEL', ...keysOf('b'))).toBe(KEYS);
    expect(await said(alice, 'FLUSHALL')).toMatch(/^NOPERM/);
    for (const each of [alice, bob]) each.close();
  });

  it('have them in transactions, scripts, while they block, and for channels', async () => {
    const [alice, bob] = [await login('alice'), await login('bob')];
    expect(await said(alice, 'WATCH', 'b:{t}')).toMatch(/^NOPERM/);
    expect(await said(alice, 'WATCH', 'a:{t}')).toBe('OK');
    expect(await said(alice, 'MULTI')).toBe('OK');
    expect(await said(alice, 'SET', 'a:{t}', '1')).toBe('QUEUED');
    expect(await said(alice, 'EXEC')).toEqual(['OK']);
    expect(await said(bob, 'EVAL_RO', 'return redis.call("GET", KEYS[1])', '1', 'a:{t}')).toBe('1');
    // Redis takes EVAL for a command that writes to all of its keys.
    expect(await said(bob, 'EVAL', 'return redis.call("GET", KEYS[1])', '1', 'a:{t}')).toMatch(/NOPERM/);
    expect(await said(bob, 'BLPOP', 'a:list', '1')).toMatch(/^NOPERM/);
    const popped = bob.ask('BLPOP', 'b:list', '10');
    const other = await login('bob');
    expect(await said(other, 'RPUSH', 'b:list', 'x')).toBe(1);
    expect(await popped).toEqual(['b:list', 'x']);
    expect(await said(alice, 'SUBSCRIBE', 'b:news')).toMatch(/^NOPERM/);
    expect(await said(other, 'SUBSCRIBE', 'b:news')).toEqual(['subscribe', 'b:news', 1]);
    expect(await said(bob, 'PUBLISH', 'b:news', 'hello')).toBe(1);
    expect((await other.raw(1)).map(decode)[0]).toEqual(['message', 'b:news', 'hello']);
    for (const each of [alice, bob, other]) each.close();
  });

  it('are not taken for each other among many clients that log in as one and the other', async () => {
    let refused = 0;
    await Promise.all(
      Array.from({ length: 24 }, async (_, number) => {
        const random = seeded(number + 1);
        let user: keyof typeof RULES = number % 2 === 0 ? 'alice' : 'bob';
        const mine = await login(user);
        for (let round = 0; round < 60; round++) {
          if (random() < 0.1) {
            user = user === 'alice' ? 'bob' : 'alice';
            expect(await said(mine, 'AUTH', user, passwordOf(user))).toBe('OK');
          }
          const own = `${user[0]}:own:${number}:${round % 7}`;
          const foreign = `${user === 'alice' ? 'b' : 'a'}:own:${number}:${round % 7}`;
          const value = `${user} ${number} ${round}`;
          const replies = await mine.pipeline([
            ['SET', own, value],
            ['SET', foreign, value],
            ['GET', own],
          ]);
          expect([replies[0], replies[2]]).toEqual(['OK', value]);
          expect((replies[1] as ErrorReply).message).toMatch(/^NOPERM/);
          refused++;
        }
        mine.close();
      }),
    );
    expect(refused).toBe(24 * 60);
  });

  it('lose access within the interval when Redis does not accept them any more, and nobody else does', async () => {
    await onAll('SETUSER', 'dora', 'reset', 'on', `>${passwordOf('dora')}`, '~*', '&*', '+@all');
    const [dora, idle, alice] = [await login('dora'), await login('dora'), await login('alice')];
    for (const key of keysOf('d')) expect(await said(dora, 'SET', key, 'x')).toBe('OK');
    await onAll('SETUSER', 'dora', 'off');
    await Promise.all(
      [dora, idle].map((each) => poll('she is disconnected', CHECK_INTERVAL_MS + GRACE_MS, () => each.closed)),
    );
    const again = await RawClient.connect({ port: proxy.port });
    expect(await said(again, 'AUTH', 'dora', passwordOf('dora'))).toBe(WRONG);
    expect(await said(alice, 'SET', 'a:1', 'x')).toBe('OK');
    for (const each of [again, alice]) each.close();
    await onAll('DELUSER', 'dora');
  });

  it('that only one server knows are served there, and refused elsewhere', async () => {
    const [{ server: first }] = upstreams as [Upstream];
    await first.call('ACL', 'SETUSER', 'half', 'on', `>${passwordOf('half')}`, '~*', '+@all');
    const half = await login('half');
    const replies: unknown[] = [];
    for (const key of keysOf('h')) replies.push(await said(half, 'SET', key, 'x'));
    expect([...new Set(replies)].sort()).toEqual(['OK', WRONG]);
    const there = await first.call('EVAL', 'return #redis.call("KEYS", "h:*")', 0);
    expect(replies.filter((reply) => reply === 'OK')).toHaveLength(Number(there));
    half.close();
    await first.call('ACL', 'DELUSER', 'half');
  });

  it('come over connections of their own, encrypted where that is said', async () => {
    const alice = await login('alice');
    for (const key of keysOf('a')) await said(alice, 'GET', key);
    const lists = await Promise.all(upstreams.map(({ server }) => server.call('CLIENT', 'LIST')));
    for (const list of lists) expect(String(list)).toMatch(/ user=alice /);
    const { 'cluster.main.ssl.handshake': handshakes = 0, 'cluster.main.ssl.connection_error': errors } =
      await proxy.stats('cluster.main.ssl');
    if (secure) expect(handshakes).toBeGreaterThan(SERVERS);
    else expect(handshakes).toBe(0);
    expect(errors).toBe(0);
    alice.close();
  });
});
