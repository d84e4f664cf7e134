/** What `forge deploy redis` says when something around it is wrong, and that it leaves nothing behind then. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { forge } from '../../support/forge.js';
import { freePort } from '../../support/ports.js';

const CLUSTER = `w${process.pid}`;

describe.skipIf(!hasDocker())('forge deploy redis, where something is wrong', () => {
  let docker: TestDocker;
  let folder: string;
  let image: string;
  let port: number;

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-'));
    image = await redisImage(docker, 'redis-7');
    port = await freePort();
  });
  afterAll(async () => {
    await docker.try(['volume', 'rm', `${CLUSTER}-redis-${port}-data`]);
    await rm(folder, { recursive: true, force: true });
    await docker.stop();
  });

  async function deploy(environment: NodeJS.ProcessEnv = {}, changes: { image?: string } = {}) {
    await writeFile(
      path.join(folder, 'forge.yaml'),
      [
        `cluster: ${CLUSTER}`,
        `nodes: [{ host: 127.0.0.1, port: ${port}, docker_host: here }]`,
        `hosts: { here: { docker: "${docker.host}", address: 127.0.0.1 } }`,
        `redis: { version: "7.0", image: "${changes.image ?? image}", network: host, nofile: 12000 }`,
      ].join('\n'),
    );
    const result = await forge(['deploy', 'redis', '--all', '--yes'], {
      cwd: folder,
      env: { REDIS_REQUIREPASS: 'secret', FORGE_HOME: path.join(folder, 'home'), ...environment },
    });
    const left = await docker.run(['ps', '-aq', '--filter', `label=io.redisforge.cluster=${CLUSTER}`]);
    expect(left).toBe('');
    return result;
  }

  it('says so without a docker command', async () => {
    const programs = path.join(folder, 'bin');
    await mkdir(programs);
    await symlink(process.execPath, path.join(programs, 'node'));
    const result = await deploy({ PATH: programs });
    expect(result).toMatchObject({ code: 10, stderr: expect.stringContaining('There is no docker command') });
  });

  it('says what the server says when its port is in use', async () => {
    const server = net.createServer().listen(port, '0.0.0.0');
    try {
      const result = await deploy();
      expect(result).toMatchObject({ code: 4, stderr: expect.stringMatching(/Address already in use/) });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('says which image is missing', async () => {
    const result = await deploy({}, { image: 'forge-test/nowhere:1' });
    expect(result).toMatchObject({ code: 10, stderr: expect.stringContaining('forge-test/nowhere:1') });
  });
});
