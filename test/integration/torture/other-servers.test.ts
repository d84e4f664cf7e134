import { describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../support/servers.js';
import { fill } from '../operations/move/moving.js';
import { type CommandLine, FULL, storm } from './kills.js';
import { expectSound } from './sound.js';

const PASSWORD = 'other secret';
const KEYS = 20_000;
const STORMS_MS = 240_000;
/** The installed one is in killed-commands.test.ts. */
const servers = SERVERS.slice(1);

/** Moments of a job of the servers: before it is asked for, and while it runs. */
const AMID_JOBS = [undefined, 0, 10, 60] as const;

describe.each(servers)('commands that are killed on %s, by IPv6, as an ACL user', (_, server) => {
  it.runIf(FULL)('come to their end, with every key', { timeout: FETCH_TIMEOUT_MS + STORMS_MS }, async () => {
    const settings = { host: '::1', executable: executableOf(server), requirepass: PASSWORD };
    const cluster = await startCluster({ ...settings, masters: 3 });
    const spare = await startRedis({ ...settings, cluster: true });
    const nodes = [...cluster.nodes, spare];
    const first = cluster.masters[0] as RedisServer;
    const operator = await TestOperator.create({
      REDIS_USERNAME: 'operator',
      REDIS_REQUIREPASS: PASSWORD,
      CLUSTER_SEED: cluster.addresses,
    });
    const seeds = parseAddressList(cluster.addresses);
    let traffic: Traffic | undefined;
    try {
      for (const node of nodes)
        await node.call('ACL', 'SETUSER', 'operator', 'on', `>${PASSWORD}`, '~*', '&*', '+@all');
      await fill(cluster.masters, KEYS);
      traffic = await Traffic.start(seeds, { username: 'operator', password: PASSWORD });
      const add: CommandLine = ['scale/add', [spare.address]];
      const remove: CommandLine = ['scale/remove', [spare.address]];
      await storm(operator, first, add);
      await expectSound({ nodes, keys: KEYS, traffic, name: 'added' });
      for (const afterMs of AMID_JOBS) {
        const word = server === 'valkey9' ? 'MIGRATESLOTS' : 'MIGRATE';
        await operator.killed(...remove, { mutation: 1, word, ...(afterMs === undefined ? {} : { afterMs }) });
      }
      await storm(operator, first, remove);
      await expectSound({ nodes: cluster.nodes, keys: KEYS, traffic, name: 'removed' });
      expect(traffic.errors).toEqual([]);
    } finally {
      await traffic?.stop();
      await Promise.all([cluster.stop(), spare.stop(), operator.remove()]);
    }
  });
});
