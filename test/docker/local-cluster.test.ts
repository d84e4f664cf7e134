/** `forge up --runtime docker`: one cluster through its life, on a real engine. The tests follow each other. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { containerNames } from '../../src/local/docker/specs.js';
import { bringDown } from '../../src/local/down.js';
import { clusterPaths } from '../../src/local/paths.js';
import { loadSecrets } from '../../src/local/secrets.js';
import { clusterStatus } from '../../src/local/status.js';
import type { RunSteps } from '../../src/local/step.js';
import { bringUp, type UpRequest } from '../../src/local/up.js';
import { dockerForTests, hasDocker, type TestDocker } from '../support/docker/engine.js';
import { redisImage } from '../support/docker/images.js';
import { freePortBlock } from '../support/ports.js';
import { poll } from '../support/redis.js';
import { FULL } from '../support/servers.js';

/** The cluster of which everything is asked; the other one has replicas. */
const NODES = 3;
const UP_MS = 60_000;
const KEYS = Array.from({ length: 50 }, (_, index) => [`key:${index}`, `value:${index}`] as const);

const runSteps: RunSteps = async (steps) => {
  for (const step of steps) {
    if (step.skip?.()) continue;
    await step.run(undefined, { title() {}, note() {} });
  }
};

describe.skipIf(!hasDocker())('a local cluster in containers', () => {
  let docker: TestDocker;
  let home: string;
  let base: number;
  const environment = { ...process.env };

  const shape = () =>
    ({ runtime: 'docker', replicas: 0, basePort: base, proxyPort: base + NODES, adminPort: base + NODES + 1 }) as const;
  const up = (asked: UpRequest['asked'] = {}, name = 'test') =>
    bringUp({ home, name, asked, smokeTest: false, runSteps });
  const down = (purge = false, name = 'test') => bringDown({ home, name, purge, runSteps });
  const names = (name = 'test') => containerNames(clusterPaths(home, name));

  async function withEndpoint<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    const { endpoint } = await loadSecrets(clusterPaths(home, 'test'));
    const client = new Redis({ port: base + NODES, password: endpoint, lazyConnect: true, retryStrategy: null });
    client.on('error', () => {});
    try {
      await client.connect();
      return await work(client);
    } finally {
      client.disconnect();
    }
  }

  async function expectTheData(): Promise<void> {
    const values = await withEndpoint((client) => client.mget(KEYS.map(([key]) => key)));
    expect(values).toEqual(KEYS.map(([, value]) => value));
  }

  /** Everything on the engine that carries the label of a cluster, and the images of proxies. */
  async function left(cluster: string): Promise<string> {
    const filter = ['--filter', `label=io.redisforge.cluster=${cluster}`];
    const lists = [
      docker.run(['ps', '-aq', ...filter]),
      docker.run(['volume', 'ls', '-q', ...filter]),
      docker.run(['network', 'ls', '-q', ...filter]),
      docker.run(['images', '-q', ...filter]),
    ];
    return (await Promise.all(lists)).join('');
  }

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    home = await mkdtemp(path.join(os.tmpdir(), 'forge-local-docker-'));
    base = await freePortBlock(NODES + 2);
    process.env['DOCKER_HOST'] = docker.host;
    process.env['FORGE_REDIS_IMAGE'] = await redisImage(docker, 'redis-8');
  });

  afterAll(async () => {
    await down(true).catch(() => undefined);
    await down(true, 'second').catch(() => undefined);
    process.env = environment;
    await docker?.stop();
    await rm(home, { recursive: true, force: true });
  });

  it('is not planned while one of its ports is busy', async () => {
    const server = createServer().listen(base + 1, '127.0.0.1');
    await expect(up(shape())).rejects.toMatchObject({ kind: 'refused', host: `127.0.0.1:${base + 1}` });
    await new Promise((resolve) => server.close(resolve));
    expect(await left(names().cluster)).toBe('');
  });

  it('comes up with the proxy, and passes the smoke test', async () => {
    const result = await bringUp({ home, name: 'test', asked: shape(), smokeTest: true, runSteps });
    expect(result.smokeTest).toBe('passed');
    expect(result.started).toHaveLength(NODES + 1);
    expect(await clusterStatus(home, 'test')).toMatchObject({ health: 'up', slotsServed: 16_384 });
    await withEndpoint((client) => client.mset(Object.fromEntries(KEYS)));
    await expectTheData();
  });

  it('runs hardened, and is published on loopback alone', async () => {
    const all = await docker.run(['ps', '-q', '--filter', `label=io.redisforge.cluster=${names().cluster}`]);
    const format =
      '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.Config.User}}';
    const lines = (await docker.run(['inspect', '-f', format, ...all.split('\n')])).split('\n');
    expect(lines).toEqual(Array(NODES + 2).fill('true [ALL] [no-new-privileges] 10001:10001'));
    const published = await docker.run(['port', names().base.name]);
    expect(published.split('\n')).toHaveLength(NODES + 2);
    for (const line of published.split('\n')) expect(line).toContain('-> 127.0.0.1:');
    // No password is where other users of the engine's machine, or of the engine, could read it by looking.
    const described = await docker.run(['inspect', ...all.split('\n')]);
    for (const secret of Object.values(await loadSecrets(clusterPaths(home, 'test')))) {
      expect(described).not.toContain(secret);
    }
  });

  it('is left alone when everything runs', async () => {
    // Of this cluster: the engine serves other tests as well.
    const own = ['ps', '-q', '--no-trunc', '--filter', `label=io.redisforge.cluster=${names().cluster}`];
    const before = await docker.run(own);
    expect(await up({ runtime: 'docker' })).toMatchObject({ alreadyUp: true, started: [] });
    expect(await docker.run(own)).toBe(before);
    await expect(up({ runtime: 'process' })).rejects.toMatchObject({ kind: 'refused' });
  });

  it('gets a node back whose container is gone, with its data', async () => {
    await docker.run(['rm', '-f', names().node(base).name]);
    expect(await clusterStatus(home, 'test')).toMatchObject({ health: 'degraded' });
    expect((await up()).started).toEqual([`node ${base}`]);
    await expectTheData();
  });

  it('is whole again after the container of its network was started anew', async () => {
    await docker.run(['restart', '-t', '1', names().base.name]);
    expect((await up()).started).toHaveLength(NODES + 1);
    await expectTheData();
  });

  it("is stopped with its data kept, and does not take somebody else's container for its own when it comes back", async () => {
    expect((await down()).stopped).toHaveLength(NODES + 1);
    expect(await docker.run(['ps', '-q', '--filter', `label=io.redisforge.cluster=${names().cluster}`])).toBe('');
    expect(await clusterStatus(home, 'test')).toMatchObject({ health: 'stopped' });
    const { name } = names().node(base);
    await docker.run(['rm', name]);
    const image = process.env['FORGE_REDIS_IMAGE'] as string;
    const foreign = await docker.run(['run', '-d', '--name', name, '--entrypoint', 'sleep', image, '1000']);
    await expect(up()).rejects.toMatchObject({ kind: 'refused' });
    expect(await docker.run(['inspect', '-f', '{{.Id}} {{.State.Status}}', name])).toBe(`${foreign} running`);
    await docker.run(['rm', '-f', name]);
    // What the refused one had started already stays as it is.
    expect((await up()).started).toContain(`node ${base}`);
    await expectTheData();
  });

  it.runIf(FULL)('with replicas, without a proxy, gets one later', async () => {
    process.env['FORGE_REDIS_IMAGE'] = await redisImage(docker, 'valkey-9');
    const asked = { runtime: 'docker', basePort: 'auto', proxy: false } as const;
    const made = await up(asked, 'second');
    expect(made).toMatchObject({ endpoint: null });
    expect(made.nodes).toHaveLength(6);
    // On a busy machine a master may be held for dead right after, and is back soon.
    await poll('it is up', UP_MS, async () => {
      const { health, slotsServed } = await clusterStatus(home, 'second');
      return health === 'up' && slotsServed === 16_384;
    });
    const later = await bringUp({ home, name: 'second', asked: { proxy: true }, smokeTest: true, runSteps });
    expect(later.smokeTest).toBe('passed');
    expect(later.endpoint).not.toBeNull();
  });

  it('leaves no container, volume, network or image when it is deleted, and the other one whole', async () => {
    if (FULL) {
      expect(await down(true, 'second')).toMatchObject({ purged: true });
      expect(await left(names('second').cluster)).toBe('');
      expect(await clusterStatus(home, 'test')).toMatchObject({ health: 'up' });
    }
    expect(await down(true)).toMatchObject({ purged: true, killed: [] });
    expect(await left(names().cluster)).toBe('');
  });
});
