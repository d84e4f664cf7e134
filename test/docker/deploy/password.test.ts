/** Another password together with a change that replaces nodes of a cluster: refused before anything is touched. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DeployedCluster, deployedCluster } from '../../support/docker/deployed.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { forge } from '../../support/forge.js';
import { freePorts } from '../../support/ports.js';
import { poll } from '../../support/redis.js';

const CLUSTER = `y${process.pid}`;
const [OLD, NEW] = ['first secret', 'second secret'];
const FORMED_MS = 30_000;

describe.skipIf(!hasDocker())('another password of the administrator', () => {
  let docker: TestDocker;
  let there: DeployedCluster;
  let folder: string;
  let ports: number[];
  let names: string[];

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    there = deployedCluster(docker, CLUSTER, OLD);
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-'));
    const image = await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${CLUSTER}` });
    ports = await freePorts(2);
    names = ports.map((port) => `${CLUSTER}-redis-${port}`);
    const lines = [
      `cluster: ${CLUSTER}`,
      'nodes:',
      ...ports.map((port) => `  - { host: 127.0.0.1, port: ${port}, docker_host: here }`),
      `hosts: { here: { docker: "${docker.host}", address: 127.0.0.1 } }`,
      `redis: { version: "7.0", image: "${image}", network: host, nofile: 12000 }`,
    ];
    await writeFile(path.join(folder, 'forge.yaml'), `${lines.join('\n')}\n`);
    const made = await deploy(OLD);
    expect(made, made.stderr).toMatchObject({ code: 0 });
    await formCluster();
  });
  afterAll(async () => {
    await there.cleanUp();
    await docker.try(['rmi', `forge-test/redis:${CLUSTER}`]);
    await rm(folder, { recursive: true, force: true });
    await docker.stop();
  });

  const deploy = (password: string, ...words: string[]) =>
    forge(['deploy', 'redis', '--all', '--yes', '--json', ...words], {
      cwd: folder,
      limitMs: 100_000,
      env: { REDIS_REQUIREPASS: password, FORGE_HOME: path.join(folder, 'home') },
    });
  const started = () =>
    Promise.all(names.map((name) => docker.run(['inspect', '-f', '{{.Id}} {{.State.StartedAt}}', name])));

  /** A master with all slots, and its replica. */
  async function formCluster(): Promise<void> {
    const [master = '', replica = ''] = names;
    await there.redis(master, 'CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await there.redis(replica, 'CLUSTER', 'MEET', '127.0.0.1', String(ports[0]));
    const id = await there.redis(master, 'CLUSTER', 'MYID');
    await poll('they know each other', FORMED_MS, async () =>
      (await there.redis(replica, 'CLUSTER', 'REPLICATE', id)).startsWith('OK'),
    );
    await poll('the replica has its master', FORMED_MS, async () =>
      (await there.redis(replica, 'INFO', 'replication')).includes('master_link_status:up'),
    );
  }

  it('is not rolled out together with what replaces nodes, and goes live alone', async () => {
    const before = await started();
    // As the guide says: each node knows the new one as well.
    for (const name of names) {
      await there.redis(name, 'ACL', 'SETUSER', 'admin', `>${NEW}`);
      await there.redis(name, 'ACL', 'SETUSER', 'default', `>${NEW}`);
    }
    const refused = await deploy(NEW, '--set', 'io-threads=2');
    expect(refused).toMatchObject({ code: 5 });
    const { error } = JSON.parse(refused.stdout) as { error: { message: string; next: string[] } };
    expect(error.message).toContain(`together with what replaces them: ${names.join(', ')}`);
    expect(error.next.join('\n')).toContain('deploy the password alone');
    expect(await started()).toEqual(before);
    expect(`${refused.stdout}${refused.stderr}`).not.toContain(NEW);

    const alone = await deploy(NEW);
    expect(alone, alone.stdout).toMatchObject({ code: 0 });
    expect(await started()).toEqual(before);
    const another = deployedCluster(docker, CLUSTER, NEW);
    await poll('the replica has its master', FORMED_MS, async () =>
      (await another.redis(names[1] ?? '', 'INFO', 'replication')).includes('master_link_status:up'),
    );
    expect(await there.redis(names[0] ?? '', 'PING')).toMatch(/WRONGPASS|NOAUTH/);
    expect(JSON.parse((await deploy(NEW)).stdout)).toMatchObject({ status: 'unchanged' });
  });
});
