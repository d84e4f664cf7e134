/** `forge deploy redis --pull`: an image from a real registry, and what is said when it does not come from there. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DeployedCluster, deployedCluster } from '../../support/docker/deployed.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { hasRegistry, startRegistry, type TestRegistry } from '../../support/docker/registry.js';
import { forge } from '../../support/forge.js';
import { freePort } from '../../support/ports.js';

const CLUSTER = `y${process.pid}`;
const PASSWORD = 'secret';
const IMAGE = 'forge/redis';

describe.skipIf(!hasDocker() || (!hasRegistry() && !process.env['CI']))('forge deploy redis --pull', () => {
  let docker: TestDocker;
  let there: DeployedCluster;
  let registry: TestRegistry;
  let closed: TestRegistry;
  let folder: string;
  let port: number;

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    there = deployedCluster(docker, CLUSTER, PASSWORD);
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-'));
    port = await freePort();
    [registry, closed] = await Promise.all([startRegistry(), startRegistry({ login: true })]);
    const image = `${registry.address}/${IMAGE}:7.0`;
    await docker.run(['tag', await redisImage(docker, 'redis-7'), image]);
    await docker.run(['push', '--quiet', image]);
    await docker.run(['rmi', image]);
  });
  afterAll(async () => {
    await there.cleanUp();
    await docker.try(['rmi', `${registry.address}/${IMAGE}:7.0`]);
    await Promise.all([registry.stop(), closed.stop()]);
    await rm(folder, { recursive: true, force: true });
    await docker.stop();
  });

  async function deploy(image: string, ...words: string[]) {
    const lines = [
      `cluster: ${CLUSTER}`,
      `nodes: [{ host: 127.0.0.1, port: ${port}, docker_host: here }]`,
      `hosts: { here: { docker: "${docker.host}", address: 127.0.0.1 } }`,
      `redis: { version: "7.0", image: "${image}", network: host, nofile: 12000 }`,
    ];
    await writeFile(path.join(folder, 'forge.yaml'), lines.join('\n'));
    return await forge(['deploy', 'redis', '--all', '--yes', ...words], {
      cwd: folder,
      env: { REDIS_REQUIREPASS: PASSWORD, FORGE_HOME: path.join(folder, 'home'), HOME: folder },
    });
  }

  it('takes the image of the version to the host, and only when it is told to', async () => {
    const image = `${registry.address}/${IMAGE}:7.0`;
    expect(await deploy(image)).toMatchObject({ code: 10, stderr: expect.stringMatching(/not there[\s\S]*--pull/) });
    const shown = await deploy(image, '--pull', '--dry-run');
    expect(shown).toMatchObject({ code: 0, stdout: expect.stringContaining(`pull --quiet ${image}`) });
    expect(await docker.try(['image', 'inspect', image])).toBe(false);

    const made = await deploy(image, '--pull');
    expect(made, made.stderr).toMatchObject({ code: 0 });
    expect(await there.containers()).toEqual([`${CLUSTER}-redis-${port} running`]);
    const again = await deploy(image, '--pull');
    expect(again, again.stderr).toMatchObject({ code: 0, stderr: expect.stringContaining('Nothing is to be done') });
    await there.cleanUp();
  });

  it('says why an image does not come, and has made nothing then', async () => {
    const unused = await freePort();
    const cases: [string, number, RegExp][] = [
      [`${registry.address}/${IMAGE}:7.1`, 10, /has no image \S+:7\.1/],
      [`${closed.address}/${IMAGE}:7.0`, 11, /asks for a login[\s\S]*docker -H \S+ login/],
      [`127.0.0.1:${unused}/${IMAGE}:7.0`, 4, /does not reach the image registry[\s\S]*docker save/],
      // Nobody has this name (RFC 2606).
      [`registry.invalid/${IMAGE}:7.0`, 4, /does not reach the image registry registry\.invalid/],
    ];
    for (const [image, code, said] of cases) {
      const result = await deploy(image, '--pull');
      expect(result, image).toMatchObject({ code, stderr: expect.stringMatching(said) });
    }
    expect([await there.containers(), await there.volumes()]).toEqual([[], []]);
  });
});
