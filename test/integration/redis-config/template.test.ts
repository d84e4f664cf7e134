import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectNode } from '../../../src/cluster/node-connection.js';
import { readUserPasswords } from '../../../src/config/deploy-secrets.js';
import type { DeploySettings } from '../../../src/config/deploy-settings.js';
import { deployedRedisFiles } from '../../../src/runtime/deployed-redis.js';
import { proveRedisFiles } from '../../../src/runtime/scratch-start.js';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { freePort } from '../../support/ports.js';
import { poll } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../support/servers.js';
import { deployment, formed, PASSWORDS, startDeployed, versionOf } from './support.js';

const SYNC_MS = 15_000;
const scratchFolders = () => readdirSync(os.tmpdir()).filter((name) => name.startsWith('forge-prove-'));

describe.each(SERVERS)('redis.conf of deployed nodes on %s', (_, server) => {
  let executable = '';
  let version = '';
  let certificates = '';
  let authority: Authority;
  beforeAll(async () => {
    executable = executableOf(server);
    version = versionOf(executable).text;
    authority = await makeAuthority();
    certificates = await mkdtemp(path.join(os.tmpdir(), 'forge-certificates-'));
    await cp(authority.ca, path.join(certificates, 'ca.crt'));
    const folder = path.join(certificates, 'nodes', '127.0.0.1');
    mkdirSync(folder, { recursive: true });
    await cp(authority.server.certificate, path.join(folder, 'server.crt'));
    await cp(authority.server.key, path.join(folder, 'server.key'));
  }, FETCH_TIMEOUT_MS);
  afterAll(async () => {
    await authority.remove();
    await rm(certificates, { recursive: true, force: true });
  });

  const prove = async (settings: DeploySettings) => {
    const users = await readUserPasswords(settings, PASSWORDS);
    const [node] = settings.nodes;
    if (node === undefined) throw new Error('no node');
    const server = executable.includes('/') ? executable : `/usr/bin/${executable}`;
    await proveRedisFiles(server, (places) => deployedRedisFiles(settings, node, users, places));
  };
  const one = (redis: string) =>
    deployment(`cluster: a\nnodes: [127.0.0.1:6379]\nredis: { version: "${version}"${redis} }\n`);

  it('is proven by a start that leaves nothing behind', async () => {
    const before = scratchFolders();
    await prove(one(''));
    await prove(
      one(
        ', memory: 1gb, settings: { save: [3600 1, 300 100], maxmemory-policy: allkeys-lfu, notify-keyspace-events: KEA, client-output-buffer-limit: [pubsub 64mb 16mb 90], slave-priority: 7, appendonly: no, databases: 1, proc-title-template: "{title} {listen-addr}" }',
      ),
    );
    expect(scratchFolders()).toEqual(before);
  });

  it('is refused in the server’s own words, with no password in them', async () => {
    const before = scratchFolders();
    const settings = one('');
    const wrong = { ...settings, redis: { ...settings.redis, settings: { 'maxmemory-policy': ['sometimes'] } } };
    const failure = await prove(wrong).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('maxmemory-policy sometimes'),
    });
    expect(JSON.stringify(failure)).not.toMatch(/[a-z]-password/);
    expect(scratchFolders()).toEqual(before);
  });

  it('is refused where certificate and key do not belong together', async () => {
    const other = await authority.issue({ name: `other-${server}` });
    const broken = await mkdtemp(path.join(os.tmpdir(), 'forge-certificates-'));
    try {
      await cp(certificates, broken, { recursive: true });
      await cp(other.key, path.join(broken, 'nodes/127.0.0.1/server.key'));
      await expect(prove(one(`, tls: { directory: ${broken} }`))).rejects.toMatchObject({ kind: 'configuration' });
      await expect(prove(one(`, tls: { directory: ${certificates} }`))).resolves.toBeUndefined();
    } finally {
      await rm(broken, { recursive: true, force: true });
    }
  });

  it('says nothing beside what this server knows, and what is set in place of the template’s', async () => {
    const settings = one(
      ', settings: { maxclients: 77, slave-lazy-flush: no, lua-time-limit: 1234, cluster-node-timeout: 4000 }',
    );
    const node = await startDeployed(executable, {
      ...settings,
      nodes: [{ ...settings.nodes[0]!, port: await freePort(), busPort: await freePort() }],
    });
    try {
      const connection = await node.connect('admin');
      const get = async (name: string) => ((await connection.call('CONFIG', 'GET', name)) as string[])[1];
      expect(await get('maxclients')).toBe('77');
      expect(await get('replica-lazy-flush')).toBe('no');
      expect(await get('busy-reply-threshold')).toBe('1234');
      expect(await get('cluster-node-timeout')).toBe('4000');
      expect(await get('appendonly')).toBe('yes');
      expect(await get('save')).toBe('');
      expect(await get('aof-use-rdb-preamble')).toBe('yes');
      connection.close();
      expect(readFileSync(path.join(node.directory, 'redis.conf'), 'utf8').match(/^replica-lazy-flush/gm)).toHaveLength(
        1,
      );
    } finally {
      await node.stop();
    }
  });

  it('has TLS alone for clients, replicas and the cluster bus', async () => {
    const ports = [await freePort(), await freePort()];
    const settings = deployment(`
cluster: tls
nodes: [127.0.0.1:${ports[0]}, 127.0.0.1:${ports[1]}]
redis: { version: "${version}", tls: { directory: ${certificates}, auth_clients: yes }, settings: { cluster-node-timeout: 2000 } }
`);
    const files = [authority.ca, authority.server.certificate, authority.server.key].map((file) => readFile(file));
    const [ca, cert, key] = (await Promise.all(files)) as [Buffer, Buffer, Buffer];
    const nodes = [];
    try {
      for (const index of [0, 1]) nodes.push(await startDeployed(executable, settings, index, { ca, cert, key }));
      const connections = await formed(nodes);
      const [master, replica] = connections;
      await replica?.call('CLUSTER', 'REPLICATE', (await master?.callText('CLUSTER', 'MYID')) ?? '');
      await poll('the replica is linked', SYNC_MS, async () =>
        (await replica?.callText('INFO', 'replication'))?.includes('master_link_status:up'),
      );
      await master?.call('SET', 'k', 'v');
      await expect(master?.call('WAIT', 1, 5_000)).resolves.toBe(1);
      for (const connection of connections) connection.close();
      await expect(connectsWith(nodes[0]?.port ?? 0, { ca })).rejects.toThrow();
      await expect(connectsWith(nodes[0]?.port ?? 0, undefined)).rejects.toThrow();
    } finally {
      for (const node of nodes) await node.stop();
    }
  });

  it('announces what is not its own behind published ports', async () => {
    const [port, busPort] = [await freePort(), await freePort()];
    const settings = deployment(`
cluster: nat
nodes: [{ host: redis-1, port: ${port}, bus_port: ${busPort}, announce: { ip: 192.0.2.7, hostname: redis-1.example, port: 7379, bus_port: 17379 } }]
hosts: { redis-1: { docker: "unix:///var/run/docker.sock", address: 192.0.2.7 } }
redis: { version: "${version}", network: nodes, announce: { preferred: hostname } }
`);
    const node = await startDeployed(executable, settings);
    try {
      const connection = await node.connect('admin');
      await connection.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
      expect(await connection.callText('CLUSTER', 'NODES')).toMatch(
        / 192\.0\.2\.7:7379@17379,redis-1\.example\S* myself,master/,
      );
      expect(JSON.stringify(await connection.call('CLUSTER', 'SLOTS'))).toContain('["redis-1.example",7379');
      connection.close();
    } finally {
      await node.stop();
    }
  });
});

/** Logs in as the administrator with this much of TLS, and fails where that is not enough. */
async function connectsWith(port: number, tls: { ca: Buffer } | undefined): Promise<void> {
  const password = PASSWORDS.REDIS_REQUIREPASS;
  const connection = await connectNode({
    host: '127.0.0.1',
    port,
    password,
    username: 'admin',
    ...(tls === undefined ? {} : { tls }),
  });
  connection.close();
}
