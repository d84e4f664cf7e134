import { readFile } from 'node:fs/promises';
import { Cluster } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MoveControl } from '../../../../src/operations/move/control.js';
import { PACES } from '../../../../src/operations/move/migrate/pace.js';
import { makeAuthority } from '../../../support/certificates.js';
import { temporaryHome } from '../../../support/operations/join.js';
import { freePort } from '../../../support/ports.js';
import { poll, type RedisServer, startCluster, startRedis } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../../support/servers.js';
import { expectKeys, expectOwned, fill, type Home, idOf, moveSlots, slotOf } from './moving.js';

const KEYS = 5_000;
const RANGES = [{ start: 0, end: 2_000 }];
const COUNTERS = 200;
const USER = { username: 'operator', password: 'operating' };
const USER_ARGS = ['--user', 'operator', 'on', '>operating', '~*', '&*', '+@all'];
const FORM_MS = 20_000;

let home: Home;
let cleanUp: (() => Promise<unknown>)[];

beforeEach(async () => {
  home = await temporaryHome();
  cleanUp = [home.remove];
});
afterEach(async () => {
  for (const clean of cleanUp.reverse()) await clean();
});

const byMigrate = () => ({ move: new MoveControl({ method: 'migrate' }) });

describe.each(SOME_SERVERS)('slots with their keys on %s', (_, name) => {
  it(
    'move under load, as an ACL user: no client sees an error, nothing is lost or done twice',
    async () => {
      const cluster = await startCluster({ masters: 3, executable: executableOf(name), args: USER_ARGS });
      cleanUp.push(cluster.stop);
      const [from, to] = cluster.masters as [RedisServer, RedisServer];
      await fill(cluster.masters, KEYS);
      const load = await startLoad(cluster.masters);
      const setting = { seeds: cluster.addresses, home, from, to, ranges: RANGES };
      const result = await moveSlots(setting, { connect: USER, ...byMigrate() });
      const increments = await load.stop();
      expect(result.status).toBe('done');
      await expectOwned(cluster.nodes, to, RANGES);
      await expectIncrements(cluster.masters, increments);
      await expectKeys(cluster.masters, KEYS);
    },
    FETCH_TIMEOUT_MS,
  );
});

/** Clients that count up keys of all slots, one command after the other each, until they are stopped. */
async function startLoad(masters: readonly RedisServer[]) {
  const client = new Cluster(
    masters.map(({ host, port }) => ({ host, port })),
    { redisOptions: { protocol: 2 }, retryDelayOnMoved: 50 },
  );
  const counts = new Array<number>(COUNTERS).fill(0);
  let going = true;
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let i = lane; going; i = (i + 4) % COUNTERS) {
      await client.incr(`counter:${i}`);
      counts[i] = (counts[i] ?? 0) + 1;
    }
  });
  return {
    async stop(): Promise<number[]> {
      going = false;
      try {
        await Promise.all(lanes);
      } finally {
        client.disconnect();
      }
      expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(COUNTERS);
      return counts;
    },
  };
}

/** Also takes the counters away. */
async function expectIncrements(masters: readonly RedisServer[], counts: readonly number[]): Promise<void> {
  const client = new Cluster(
    masters.map(({ host, port }) => ({ host, port })),
    { redisOptions: { protocol: 2 }, retryDelayOnMoved: 50 },
  );
  try {
    for (const [i, count] of counts.entries()) {
      expect(Number((await client.get(`counter:${i}`)) ?? 0), `counter:${i}`).toBe(count);
      await client.del(`counter:${i}`);
    }
  } finally {
    client.disconnect();
  }
}

describe('slots with their keys', () => {
  it('move a little at a time where clients come first', async () => {
    const cluster = await startCluster({ masters: 2 });
    cleanUp.push(cluster.stop);
    // Of the first master: even ranges.
    const slot = slotOf('{b}');
    const ranges = [{ start: slot, end: slot }];
    const [one, two] = cluster.masters as [RedisServer, RedisServer];
    await one.call('EVAL', `for i = 1, ${KEYS} do redis.call('SET', '{b}' .. i, i) end`, 1, '{b}');
    const migrations = async (from: RedisServer, to: RedisServer, pace: 'fast' | 'gentle') => {
      await from.call('CONFIG', 'RESETSTAT');
      const move = new MoveControl({ method: 'migrate', pace });
      const result = await moveSlots({ seeds: cluster.addresses, home, from, to, ranges }, { move });
      expect(result.status).toBe('done');
      expect(await to.call('DBSIZE')).toBe(KEYS);
      return Number(/cmdstat_migrate:calls=(\d+),/.exec(String(await from.call('INFO', 'commandstats')))?.[1]);
    };
    const gentle = await migrations(one, two, 'gentle');
    expect(gentle).toBeGreaterThanOrEqual(KEYS / PACES.gentle.batch.keysMax);
    expect(await migrations(two, one, 'fast')).toBeLessThan(gentle / 2);
  });

  it('move over TLS, by IPv6, between nodes that ask for a password', async () => {
    const authority = await makeAuthority();
    cleanUp.push(authority.remove);
    const { certificate, key } = await authority.issue({ name: 'node', names: ['DNS:localhost', 'IP:::1'] });
    const masters: RedisServer[] = [];
    const tlsPorts: number[] = [];
    for (let i = 0; i < 2; i++) {
      const port = await freePort();
      const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', authority.ca];
      const args = ['--tls-port', String(port), ...files, '--tls-auth-clients', 'no', '--tls-cluster', 'yes'];
      const server = await startRedis({ cluster: true, host: '::1', requirepass: USER.password, args });
      cleanUp.push(server.stop);
      masters.push(server);
      tlsPorts.push(port);
    }
    const [from, to] = masters as [RedisServer, RedisServer];
    await from.call('CLUSTER', 'ADDSLOTSRANGE', 0, 8_191);
    await to.call('CLUSTER', 'ADDSLOTSRANGE', 8_192, 16_383);
    await to.call('CLUSTER', 'SET-CONFIG-EPOCH', 2);
    await from.call('CLUSTER', 'MEET', '::1', tlsPorts[1] as number);
    await poll('the two agree', FORM_MS, async () => {
      const infos = await Promise.all(masters.map((server) => server.call('CLUSTER', 'INFO')));
      return infos.every((info) => String(info).includes('cluster_state:ok'));
    });
    await fill(masters, 1_000);
    await from.call('CONFIG', 'SET', 'slowlog-log-slower-than', 0, 'slowlog-max-len', 10_000);
    const tls = { ca: await readFile(authority.ca), servername: 'localhost' };
    const result = await moveSlots(
      { seeds: `[::1]:${tlsPorts[0]}`, home, from, to, ranges: RANGES, ids: [await idOf(from), await idOf(to)] },
      { connect: { password: USER.password, tls }, ...byMigrate() },
    );
    expect(result.status).toBe('done');
    await expectOwned(masters, to, RANGES);
    await expectKeys(masters, 1_000);
    for (const server of masters) expect(await server.log()).not.toContain(USER.password);
    const slowlog = JSON.stringify(await from.call('SLOWLOG', 'GET', 10_000));
    expect(slowlog).toContain('"MIGRATE"');
    expect(slowlog).not.toContain(USER.password);
  });
});
