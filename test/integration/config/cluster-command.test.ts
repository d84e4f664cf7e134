import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ClusterCommand } from '../../../src/cluster-command.js';
import type { ForgeError } from '../../../src/errors.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';

const PASSWORD = 'cluster command secret';
const ADMIN = 'admin secret of the test';

/** What every command that talks to a cluster does first. */
class Look extends ClusterCommand {
  async run(): Promise<object> {
    const { flags } = await this.parse(Look);
    return this.withSession(flags, async ({ snapshot, cluster, pool }) => ({
      cluster,
      username: pool.settings.username,
      zones: snapshot.topology.nodes.map(({ port, zone }) => `${port}@${zone}`).sort(),
    }));
  }
}

let cluster: RedisCluster;
let directory: string;
beforeAll(async () => {
  cluster = await startCluster({ masters: 3, requirepass: PASSWORD });
  for (const node of cluster.nodes) {
    await node.call('ACL', 'SETUSER', 'admin', 'on', `>${ADMIN}`, '~*', '&*', '+@all');
  }
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-cluster-command-'));
  for (const name of [
    'CLUSTER_SEED',
    'CLUSTER_NODES',
    'REDIS_PORT',
    'REDIS_USERNAME',
    'REDIS_REQUIREPASS',
    'REDIS_TLS',
  ]) {
    vi.stubEnv(name, '');
  }
  vi.stubEnv('FORGE_HOME', directory);
  vi.stubEnv('FORGE_CONFIG', path.join(directory, 'forge.yaml'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(directory, { recursive: true, force: true });
});

const ports = () => cluster.nodes.map(({ port }) => port);

async function look(...argv: string[]) {
  let stderr = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  try {
    return { result: await Look.run(argv, ROOT), stderr };
  } catch (error) {
    return { error: error as ForgeError, stderr };
  } finally {
    vi.restoreAllMocks();
  }
}

describe('a command that talks to a cluster', () => {
  it('finds it by forge.yaml: nodes by name, zones, user, and the password where the file says', async () => {
    const [a, b, c] = ports();
    await writeFile(
      path.join(directory, 'forge.yaml'),
      `cluster: orders
nodes: [localhost:1@z, localhost:${a}@zone-a, 127.0.0.1:${b}@zone-b, 127.0.0.1:${c}]
credentials: { username: admin, password: { filename: secret } }
`,
    );
    await writeFile(path.join(directory, 'secret'), `${ADMIN}\n`);
    const { result, stderr, error } = await look();
    expect(error).toBeUndefined();
    expect(result).toMatchObject({
      username: 'admin',
      zones: [`${a}@zone-a`, `${b}@zone-b`, `${c}@undefined`].sort(),
    });
    expect(stderr).toBe('');
  });

  it('finds it by .env, as the scripts did', async () => {
    await writeFile(path.join(directory, 'forge.yaml'), '');
    await writeFile(
      path.join(directory, '.env'),
      `# of the scripts\nexport REDIS_REQUIREPASS="${PASSWORD}"\nCLUSTER_SEED=127.0.0.1:${ports()[1]}\nAPP_NAME=My App\n`,
    );
    expect((await look()).result).toMatchObject({ cluster: `127.0.0.1:${ports()[1]}`, username: undefined });
    await writeFile(path.join(directory, '.env'), `REDIS_REQUIREPASS='not-the-one-7'\nREDIS_PORT=${ports()[2]}\n`);
    const { error } = await look();
    expect(error).toMatchObject({ kind: 'denied', exitCode: 11 });
    expect(JSON.stringify(error)).not.toContain('not-the-one-7');
    vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
    expect((await look()).result).toMatchObject({ cluster: `127.0.0.1:${ports()[2]}` });
  });

  it('says so when another cluster is meant than forge.yaml is about', async () => {
    await writeFile(path.join(directory, 'forge.yaml'), 'cluster: staging\nnodes: [10.255.0.1:6379]\n');
    vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
    vi.stubEnv('CLUSTER_SEED', `127.0.0.1:${ports()[0]}`);
    const { result, stderr } = await look();
    expect(result).toBeDefined();
    expect(stderr).toContain('has none of the nodes of staging in forge.yaml (10.255.0.1:6379)');
    await writeFile(path.join(directory, 'forge.yaml'), `cluster: staging\nnodes: [localhost:${ports()[2]}]\n`);
    expect((await look()).stderr).toBe('');
  });

  it('finds a local cluster by its name, with its own administrator', async () => {
    await writeFile(path.join(directory, 'forge.yaml'), 'cluster: orders\nnodes: [10.255.0.1:6379]\n');
    vi.stubEnv('REDIS_REQUIREPASS', 'of another cluster');
    const folder = path.join(directory, 'bench');
    await mkdir(path.join(folder, 'secrets'), { recursive: true });
    await writeFile(path.join(folder, 'secrets', 'admin'), ADMIN);
    await writeFile(
      path.join(folder, 'cluster.json'),
      JSON.stringify({
        version: 1,
        createdAt: '2026-11-21T10:00:00.000Z',
        runtime: 'process',
        masters: 3,
        replicas: 0,
        nodePorts: ports(),
        proxy: null,
        formed: true,
      }),
    );
    const { result, error } = await look('--name', 'bench');
    expect(error).toBeUndefined();
    expect(result).toMatchObject({ username: 'admin', cluster: `127.0.0.1:${ports()[0]}` });
    expect((await look('--name', 'absent')).error).toMatchObject({
      kind: 'usage',
      next: ['There are: orders, bench.'],
    });
  });
});
