import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import InitCluster from '../../../src/commands/init-cluster.js';
import type { ForgeError } from '../../../src/errors.js';
import { type Authority, makeAuthority } from '../../support/certificates.js';
import { freePort } from '../../support/ports.js';
import { type RedisServer, startRedis, startServers } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';

const PASSWORD = 'forming secret';
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-init-file-'));
  for (const name of ['CLUSTER_SEED', 'REDIS_USERNAME', 'REDIS_REQUIREPASS', 'REDIS_TLS']) vi.stubEnv(name, '');
  vi.stubEnv('FORGE_CONFIG', path.join(directory, 'forge.yaml'));
});
const servers: RedisServer[] = [];
let authority: Authority | undefined;
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all([...servers.splice(0).map((server) => server.stop()), authority?.remove()]);
  await rm(directory, { recursive: true, force: true });
});

async function init(...argv: string[]) {
  for (const name of ['stdout', 'stderr'] as const) vi.spyOn(process[name], 'write').mockImplementation(() => true);
  try {
    // biome-ignore lint/suspicious/noExplicitAny: the document of the command.
    return { result: (await InitCluster.run(argv, ROOT)) as any };
  } catch (error) {
    return { error: error as ForgeError };
  } finally {
    vi.restoreAllMocks();
  }
}

describe('forge init-cluster with forge.yaml', () => {
  it('forms the cluster of its nodes: roles, zones and replicas as the file says', async () => {
    servers.push(
      ...(await startServers(6, { cluster: true, requirepass: PASSWORD, args: ['--masterauth', PASSWORD] })),
    );
    const ports = servers.map(({ port }) => port);
    const line = (index: number, role: string) =>
      `  - { host: 127.0.0.1, port: ${ports[index]}, zone: z${index % 3}, role: ${role} }\n`;
    const nodes =
      [3, 4, 5].map((index) => line(index, 'replica')) + [0, 1, 2].map((index) => line(index, 'master')).join('');
    await writeFile(
      path.join(directory, 'forge.yaml'),
      `cluster: orders\nnodes:\n${nodes.replaceAll(',  -', '  -')}credentials: { password: { environment: ORDERS } }\n`,
    );
    await writeFile(path.join(directory, '.env'), `ORDERS='${PASSWORD}'\n`);
    const planned = await init('--dry-run');
    expect(planned.error).toBeUndefined();
    const masters = planned.result.shards.map(({ master }: { master: { address: string } }) => master.address);
    expect(masters.sort()).toEqual([0, 1, 2].map((index) => `127.0.0.1:${ports[index]}@z${index}`).sort());
    expect((await init('--yes')).result).toMatchObject({ status: 'formed', replicasPerMaster: 1 });
    expect((await init('--yes')).result).toMatchObject({ status: 'unchanged' });
    expect((await init('--name', 'other')).error).toMatchObject({ kind: 'usage', next: ['There are: orders.'] });
  });

  it('needs nodes from somewhere', async () => {
    await writeFile(path.join(directory, 'forge.yaml'), 'cluster: orders\n');
    expect((await init('--yes')).error).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('No node is named'),
    });
  });

  it('forms a cluster that speaks TLS only', async () => {
    authority = await makeAuthority();
    const { certificate, key } = authority.server;
    const tls = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', authority.ca];
    const ports: number[] = [];
    for (let index = 0; index < 3; index++) {
      const port = await freePort();
      ports.push(port);
      servers.push(
        await startRedis({
          cluster: true,
          args: [...tls, '--tls-port', String(port), '--tls-cluster', 'yes', '--tls-replication', 'yes'],
        }),
      );
    }
    await writeFile(
      path.join(directory, 'forge.yaml'),
      `clusters:
  safe:
    nodes: [${ports.map((port) => `127.0.0.1:${port}`).join(', ')}]
    tls: { ca: ${authority.ca}, certificate: ${certificate}, key: ${key} }
    replicas_per_master: 0
`,
    );
    const formed = await init('--yes');
    expect(formed.error).toBeUndefined();
    expect(formed.result).toMatchObject({ status: 'formed' });
  });
});
