import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import { NodePool } from '../../../src/cluster/node-pool.js';
import { parseReport } from '../../../src/cluster/snapshot/node-report.js';
import { type RawNode, rawNodeSchema } from '../../../src/cluster/snapshot/raw.js';
import { readSnapshot } from '../../../src/cluster/snapshot/read.js';
import { ClusterSnapshot } from '../../../src/cluster/snapshot/snapshot.js';
import { makeAuthority } from '../../support/certificates.js';
import { openSession } from '../../support/operations/join.js';
import { freePort } from '../../support/ports.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SOME_SERVERS } from '../../support/servers.js';
import { failureOf } from '../cluster/formed.js';

const running: (RedisCluster | RedisServer)[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()));
});
async function keep<T extends RedisCluster | RedisServer>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  running.push(started);
  return started;
}

describe.each(SOME_SERVERS)('a snapshot of a cluster of %s', (_, server) => {
  it(
    'is whole from any one node, and the same when recorded and read again',
    async () => {
      const cluster = await keep(startCluster({ executable: executableOf(server), masters: 3, replicasPerMaster: 1 }));
      const pool = new NodePool({ connect: {} });
      const recorded: RawNode[] = [];
      const seed = cluster.replicas[1]?.address ?? '';
      const snapshot = await readSnapshot(pool, { seeds: parseAddressList(seed), record: (raw) => recorded.push(raw) });
      pool.close();
      expect(snapshot).toMatchObject({ agreed: true, openSlots: [], failures: [], silent: [], contested: [] });
      expect(snapshot.topology.shards).toHaveLength(3);
      const [report] = snapshot.reports;
      expect(report?.version?.product).toBe(server === 'valkey9' ? 'valkey' : 'redis');
      expect(report?.capabilities).toEqual({ migrate: true, valkeyAtomic: server === 'valkey9', redisAtomic: false });
      for (const replica of snapshot.topology.replicas) expect(snapshot.lagBytes(replica.id)).toBeLessThan(1_000);
      const again = rawNodeSchema.array().parse(JSON.parse(JSON.stringify(recorded)));
      expect(new ClusterSnapshot({ reports: again.map((raw) => parseReport(raw)) }).topology.signature).toBe(
        snapshot.topology.signature,
      );
    },
    FETCH_TIMEOUT_MS,
  );
});

describe('a snapshot', () => {
  it('is read with a dead seed, a hanging node and a dead one, in bounded time, and names both', async () => {
    const cluster = await keep(startCluster({ masters: 4 }));
    const [, hanging, dead] = cluster.masters as [RedisServer, RedisServer, RedisServer];
    await dead.kill();
    await hanging.kill('SIGSTOP');
    const seeds = `127.0.0.1:${await freePort()},${dead.address},${cluster.masters[0]?.address},${hanging.address}`;
    const started = performance.now();
    const session = await openSession(seeds, { connect: { connectTimeoutMs: 500, commandTimeoutMs: 500 } });
    session.close();
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(session.snapshot.reports).toHaveLength(2);
    const failures = new Map(session.snapshot.failures.map(({ address, kind }) => [address, kind]));
    expect(failures.get(dead.address)).toBe('unreachable');
    expect(failures.has(hanging.address)).toBe(true);
    expect(session.snapshot.silent).toHaveLength(2);
  });

  it('has open slots from both sides, and strangers apart from members', async () => {
    const cluster = await keep(startCluster({ masters: 3 }));
    const stranger = await keep(startRedis({ cluster: true }));
    const [source, target] = cluster.masters as [RedisServer, RedisServer];
    const [from, to] = await Promise.all([source.call('CLUSTER', 'MYID'), target.call('CLUSTER', 'MYID')]);
    await target.call('CLUSTER', 'SETSLOT', 7, 'IMPORTING', String(from));
    await source.call('CLUSTER', 'SETSLOT', 7, 'MIGRATING', String(to));
    const session = await openSession(cluster.masters[2]?.address ?? '', {
      also: `${stranger.address},${source.address}`,
    });
    session.close();
    const open = session.snapshot.openSlots.map(({ slot, nodeId, direction }) => `${slot} ${direction} ${nodeId}`);
    expect(open.sort()).toEqual([`7 importing ${to}`, `7 migrating ${from}`]);
    expect(session.snapshot.strangers.map(({ address }) => address)).toEqual([stranger.address]);
    expect(session.snapshot.reports).toHaveLength(3);
  });

  it('is of one cluster: a node that is alone, and seeds of two clusters, are refused', async () => {
    const [one, two] = await Promise.all([keep(startCluster({ masters: 1 })), keep(startRedis({ cluster: true }))]);
    const alone = await failureOf(openSession(two.address));
    expect(alone).toMatchObject({ kind: 'refused', message: expect.stringContaining('is part of no cluster') });
    const session = await openSession(`${two.address},${one.addresses}`);
    session.close();
    expect(session.snapshot.reports.map(({ address }) => address)).toEqual([one.addresses]);
    const none = await failureOf(openSession(`127.0.0.1:${await freePort()}`));
    expect(none).toMatchObject({ kind: 'unreachable', exitCode: 4 });
  });

  it.each([
    ['a name', 'localhost', '127.0.0.1'],
    ['IPv6', '[::1]', '::1'],
  ])('is read by %s, as an ACL user, over TLS', async (_, host, bind) => {
    const authority = await makeAuthority();
    try {
      const { certificate, key } = await authority.issue({
        name: 'node',
        names: ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1'],
      });
      const port = await freePort();
      const args = [
        ...[
          '--tls-port',
          String(port),
          '--tls-cert-file',
          certificate,
          '--tls-key-file',
          key,
          '--tls-auth-clients',
          'no',
        ],
        ...['--tls-ca-cert-file', authority.ca, '--tls-cluster', 'yes'],
        ...['--user', 'operator', 'on', '>operating', '~*', '+@all'],
      ];
      const node = await keep(startRedis({ cluster: true, host: bind, args }));
      await node.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
      const connect = { username: 'operator', password: 'operating', tls: { ca: await readFile(authority.ca) } };
      const session = await openSession(`${host}:${port}`, { connect });
      session.close();
      expect(session.snapshot.topology.uncovered).toEqual([]);
      expect((await failureOf(openSession(`${host}:${port}`, { connect: { ...connect, password: 'no' } }))).kind).toBe(
        'denied',
      );
      expect((await failureOf(openSession(`${host}:${port}`, { connect: { ...connect, tls: undefined } }))).kind).toBe(
        'unreachable',
      );
    } finally {
      await authority.remove();
    }
  });
});
