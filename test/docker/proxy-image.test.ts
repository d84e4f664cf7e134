/** The container image of templates/proxy.Dockerfile, built and run by a real Docker. */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dockerForTests, hasDocker, type TestDocker } from '../support/docker/engine.js';
import { proxyImage } from '../support/docker/images.js';
import { freePort } from '../support/ports.js';
import { RawClient } from '../support/raw-client.js';
import { poll, type RedisServer, startServers } from '../support/redis.js';

const TIMEOUT_MS = 120_000;
const text = readFileSync(fileURLToPath(new URL('../../templates/proxy.Dockerfile', import.meta.url)), 'utf8');
const name = `forge-proxy-${process.pid}`;
const image = `forge-test/proxy:${process.pid}`;
let directory: string;
let docker: TestDocker | null = null;
let server: RedisServer;

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-image-'));
  docker = await dockerForTests();
  [server] = (await startServers(1)) as [RedisServer];
}, TIMEOUT_MS);

afterAll(async () => {
  await docker?.try(['rm', '-f', name]);
  await docker?.try(['rmi', '-f', image]);
  await docker?.stop();
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
}, TIMEOUT_MS);

it('runs as an ordinary user', () => {
  expect(text).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m);
  expect(text).toContain('"--health-check"');
});

it.skipIf(!hasDocker())(
  'serves on a read-only file system without any capability, says that it is healthy, drains and ends',
  async () => {
    const engine = docker as TestDocker;
    await proxyImage(engine, image);
    const [port, adminPort] = [await freePort(), await freePort()];
    const config = path.join(directory, 'proxy.yaml');
    const cluster = `{ name: main, type: sharded, endpoints: ['${server.address}'] }`;
    writeFileSync(
      config,
      `admin: { address: 127.0.0.1:${adminPort} }\nworkers: 1\nlisteners: [{ address: 127.0.0.1:${port}, cluster: main }]\nclusters: [${cluster}]\n`,
    );
    const safe = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--network', 'host'];
    const health = `/usr/local/bin/forge-proxy --health-check 127.0.0.1:${adminPort}`;
    const mount = ['-v', `${config}:/etc/forge-proxy/proxy.yaml:ro`];
    await engine.run(['run', '-d', '--name', name, ...safe, ...mount, '--health-interval', '1s', image]);
    const logs = async () => await engine.run(['logs', name]);
    await poll('it listens', 10_000, async () => (await logs()).includes('listening on'));
    const client = await RawClient.connect({ port });
    expect(await client.call('SET', 'from', 'a container')).toBe('OK');
    expect(await server.call('GET', 'from')).toBe('a container');
    client.close();
    expect(await engine.run(['inspect', '-f', '{{.Config.User}}', name])).toBe('10001:10001');
    // The image's own check asks at the standard admin port; this is the same at this one's.
    expect(await engine.run(['exec', name, ...health.split(' ')])).toBe('');
    await engine.run(['kill', '--signal', 'HUP', name]);
    await poll('it has reloaded', 5000, async () => (await logs()).includes('nothing has changed'));
    await engine.run(['stop', name]);
    expect(await engine.run(['inspect', '-f', '{{.State.ExitCode}}', name])).toBe('0');
  },
  TIMEOUT_MS,
);
