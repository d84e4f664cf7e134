/** Shared by the tests of init-cluster: servers, options, and what a finished cluster looks like. */
import { expect } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import type { InitOptions } from '../../../src/cluster/init/session.js';
import { parseInfo } from '../../../src/cluster/parse-info.js';
import { parseClusterNodes } from '../../../src/cluster/parse-nodes.js';
import { Topology } from '../../../src/cluster/topology.js';
import type { ForgeError } from '../../../src/errors.js';
import { type RedisServer, type StartRedisOptions, startServers } from '../../support/redis.js';

export const PASSWORD = 'integration secret';

/** Servers of the running test; stop them after it. */
export const started: RedisServer[] = [];

export async function stopAll(): Promise<void> {
  await Promise.all(started.splice(0).map((server) => server.stop()));
}

/** Empty nodes in cluster mode. */
export async function start(count: number, options: StartRedisOptions = {}): Promise<RedisServer[]> {
  const servers = await startServers(count, { cluster: true, requirepass: PASSWORD, ...options });
  started.push(...servers);
  return servers;
}

export const addressesOf = (servers: readonly RedisServer[]) =>
  parseAddressList(servers.map(({ address }) => address).join(','));

export const optionsFor = (servers: readonly RedisServer[], options: Partial<InitOptions> = {}): InitOptions => ({
  nodes: addressesOf(servers),
  connect: { password: PASSWORD },
  waitMs: 15_000,
  ...options,
});

export async function failureOf(work: Promise<unknown>): Promise<ForgeError> {
  return work.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error: ForgeError) => error,
  );
}

/** What every node says, read with plain commands. */
export async function tablesOf(servers: readonly RedisServer[]): Promise<Topology[]> {
  const texts = await Promise.all(servers.map((server) => server.call('CLUSTER', 'NODES')));
  return texts.map((text) => new Topology(parseClusterNodes(String(text))));
}

/** A finished cluster, by the word of every node. */
export async function expectFormed(
  servers: readonly RedisServer[],
  masters: number,
  options: { syncDelayMayBeLeft?: boolean } = {},
): Promise<void> {
  const tables = await tablesOf(servers);
  expect(new Set(tables.map(({ signature }) => signature)).size).toBe(1);
  for (const table of tables) {
    expect(table.nodes).toHaveLength(servers.length);
    expect(table.handshakes).toEqual([]);
    expect(table.uncovered).toEqual([]);
    expect(table.masters).toHaveLength(masters);
    expect(new Set(table.masters.map(({ configEpoch }) => configEpoch)).size).toBe(masters);
  }
  for (const server of servers) {
    const info = parseInfo(String(await server.call('CLUSTER', 'INFO')));
    expect(info.get('cluster_state')).toBe('ok');
    expect(info.get('cluster_slots_ok')).toBe('16384');
    const replication = parseInfo(String(await server.call('INFO', 'replication')));
    if (replication.get('role') === 'slave') expect(replication.get('master_link_status')).toBe('up');
    expect(await server.call('CONFIG', 'GET', 'cluster-node-timeout')).toEqual(['cluster-node-timeout', '2000']);
    // A killed run may leave this one, which is harmless, and only until the node restarts.
    if (options.syncDelayMayBeLeft) continue;
    expect(await server.call('CONFIG', 'GET', 'repl-diskless-sync-delay')).toEqual(['repl-diskless-sync-delay', '5']);
  }
}
