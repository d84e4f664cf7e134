/** The container image of templates/proxy.Dockerfile, built and run by a real Docker. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Docker, startDocker } from '../../support/docker.js';
import { freePort } from '../../support/ports.js';
import { proxyExecutable } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisServer, startServers } from '../../support/redis.js';

const TIMEOUT_MS = 180_000;
const dockerfile = fileURLToPath(new URL('../../../templates/proxy.Dockerfile', import.meta.url));
const text = readFileSync(dockerfile, 'utf8');
let directory: string;
let docker: Docker | null = null;
let server: RedisServer;
const made: string[][] = [];

beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-image-'));
  [server] = (await startServers(1)) as [RedisServer];
  docker = await startDocker(directory);
}, TIMEOUT_MS);

afterAll(async () => {
  for (const words of made.reverse()) {
    try {
      docker?.run(...words);
    } catch {
      // Gone already.
    }
  }
  await docker?.stop();
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
}, TIMEOUT_MS);

/** A base image of nothing but the libraries that the executable needs: what the host has. */
function baseImage(own: Docker): string {
  const root = path.join(directory, 'base');
  const libraries = spawnSync('ldd', [proxyExecutable()], { encoding: 'utf8' }).stdout.match(/\/\S+/g) ?? [];
  for (const library of libraries) {
    mkdirSync(path.join(root, path.dirname(library)), { recursive: true });
    cpSync(library, path.join(root, library), { dereference: true });
  }
  spawnSync('tar', ['-C', root, '-cf', path.join(directory, 'base.tar'), '.']);
  const image = `forge-proxy-base:${process.pid}`;
  own.run('import', path.join(directory, 'base.tar'), image);
  made.push(['rmi', '-f', image]);
  return image;
}

it('runs as an ordinary user', () => {
  expect(text).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m);
  expect(text).toContain('"--health-check"');
});

it(
  'serves on a read-only file system without any capability, says that it is healthy, drains and ends',
  async (context) => {
    if (docker === null) {
      if (process.env['CI']) throw new Error('no Docker runs here and none could be installed and started');
      context.skip('no Docker runs here, and starting one takes root');
      return;
    }
    const image = `forge-proxy:${process.pid}`;
    const files = path.join(directory, 'context');
    mkdirSync(files);
    cpSync(proxyExecutable(), path.join(files, 'forge-proxy'));
    docker.run('build', '-q', '-f', dockerfile, '--build-arg', `BASE=${baseImage(docker)}`, '-t', image, files);
    made.push(['rmi', '-f', image]);
    const [port, adminPort] = [await freePort(), await freePort()];
    const config = path.join(directory, 'proxy.yaml');
    const cluster = `{ name: main, type: sharded, endpoints: ['${server.address}'] }`;
    writeFileSync(
      config,
      `admin: { address: 127.0.0.1:${adminPort} }\nworkers: 1\nlisteners: [{ address: 127.0.0.1:${port}, cluster: main }]\nclusters: [${cluster}]\n`,
    );
    const name = `forge-proxy-${process.pid}`;
    const safe = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--network', 'host'];
    const health = `/usr/local/bin/forge-proxy --health-check 127.0.0.1:${adminPort}`;
    const mount = ['-v', `${config}:/etc/forge-proxy/proxy.yaml:ro`];
    docker.run('run', '-d', '--name', name, ...safe, ...mount, '--health-interval', '1s', image);
    made.push(['rm', '-f', name]);
    await poll('it listens', 10_000, async () => String(docker?.run('logs', name)).includes('listening on'));
    const client = await RawClient.connect({ port });
    expect(await client.call('SET', 'from', 'a container')).toBe('OK');
    expect(await server.call('GET', 'from')).toBe('a container');
    client.close();
    expect(docker.run('inspect', '-f', '{{.Config.User}}', name)).toBe('10001:10001');
    // The image's own check asks at the standard admin port; this is the same at this one's.
    expect(docker.run('exec', name, ...health.split(' '))).toBe('');
    docker.run('kill', '--signal', 'HUP', name);
    await poll('it has reloaded', 5000, async () => String(docker?.run('logs', name)).includes('nothing has changed'));
    docker.run('stop', name);
    expect(docker.run('inspect', '-f', '{{.State.ExitCode}}', name)).toBe('0');
  },
  TIMEOUT_MS,
);
