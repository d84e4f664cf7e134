/** `forge deploy redis` as an operator types it, on a real engine: six nodes, a cluster, changes while clients run. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { type ForgeResult, forge } from '../../support/forge.js';
import { freePortBlock } from '../../support/ports.js';
import { startProxy } from '../../support/proxy.js';
import { startLoad } from '../../support/proxy-load.js';

const CLUSTER = `d${process.pid}`;
const NODES = 6;
/** Two rounds over six nodes, each of which starts a program and a container. */
const ROLLING_MS = 300_000;
const PASSWORD = 'deploy "secret" 1';

describe.skipIf(!hasDocker())('forge deploy redis', () => {
  let docker: TestDocker;
  let folder: string;
  let images: { seven: string; eight: string };
  let ports: number[];

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-'));
    // The nodes use the host's own network.
    const first = await freePortBlock(NODES);
    ports = Array.from({ length: NODES }, (_, index) => first + index);
    images = {
      seven: await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${CLUSTER}-7` }),
      eight: await redisImage(docker, 'redis-8', { tag: `forge-test/redis:${CLUSTER}-8` }),
    };
  });
  afterAll(async () => {
    for (const port of ports) await docker.try(['rm', '-f', `${CLUSTER}-redis-${port}`]);
    const volumes = await docker.run(['volume', 'ls', '-q', '--filter', `label=io.redisforge.cluster=${CLUSTER}`]);
    for (const volume of volumes.split('\n').filter(Boolean)) await docker.run(['volume', 'rm', volume]);
    await rm(folder, { recursive: true, force: true });
    await docker.stop();
  });

  async function write({ version = '7.0', image = images.seven, settings = {} as Record<string, string> } = {}) {
    const lines = [
      `cluster: ${CLUSTER}`,
      'nodes:',
      ...ports.map((port) => `  - { host: 127.0.0.1, port: ${port}, docker_host: here }`),
      'hosts:',
      `  here: { docker: "${docker.host}", address: 127.0.0.1 }`,
      'redis:',
      `  version: "${version}"`,
      `  image: ${image}`,
      '  network: host',
      // What this machine's engine may have.
      '  nofile: 12000',
      '  settings:',
      '    repl-backlog-size: 2mb',
      ...Object.entries(settings).map(([name, value]) => `    ${name}: ${value}`),
    ];
    await writeFile(path.join(folder, 'forge.yaml'), `${lines.join('\n')}\n`);
  }

  async function run(...words: string[]): Promise<ForgeResult & { took: number }> {
    const started = performance.now();
    const result = await forge(words, {
      cwd: folder,
      limitMs: ROLLING_MS,
      env: { REDIS_REQUIREPASS: PASSWORD, FORGE_HOME: path.join(folder, 'home') },
    });
    expect(`${result.stdout}${result.stderr}`).not.toContain(PASSWORD);
    return { ...result, took: performance.now() - started };
  }
  const json = (result: ForgeResult) =>
    JSON.parse(result.stdout) as {
      status: string;
      nodes: { action: string; rolling: boolean; reasons: string[] }[];
      commands?: { line: string }[];
    };
  const actions = (result: ForgeResult) => [...new Set(json(result).nodes.map(({ action }) => action))];

  it('shows the commands, makes six nodes, forms a cluster of them, and then changes nothing', async () => {
    await write();
    const shown = await run('deploy', 'redis', '--all', '--dry-run', '--json');
    expect(shown, shown.stderr).toMatchObject({ code: 0 });
    expect(actions(shown)).toEqual(['create']);
    // Under the lock of the node, which others see.
    expect(json(shown).commands?.[0]?.line).toMatch(/ create --name \S+-lock /);
    expect(json(shown).commands?.[1]?.line).toContain('volume create');
    expect(await docker.run(['ps', '-aq', '--filter', `label=io.redisforge.cluster=${CLUSTER}`])).toBe('');

    const made = await run('deploy', 'redis', '--all', '--yes', '--json');
    expect(made, made.stderr).toMatchObject({ code: 0 });
    expect(json(made).status).toBe('done');

    const formed = await run('init-cluster', '--yes');
    expect(formed, formed.stderr).toMatchObject({ code: 0 });

    const again = await run('deploy', 'redis', '--all', '--json');
    expect(again, again.stderr).toMatchObject({ code: 0 });
    expect(actions(again)).toEqual(['unchanged']);
    console.log(`six nodes in ${made.took.toFixed(0)} ms, again in ${again.took.toFixed(0)} ms`);
  });

  it(
    'sets live what Redis takes live, and rolls what it does not, without an error of a client',
    async () => {
      const proxy = await startProxy({
        config: {
          listeners: [{ stat_prefix: 'egress_redis', cluster: 'main' }],
          clusters: [
            {
              name: 'main',
              endpoints: ports.map((port) => `127.0.0.1:${port}`),
              auth_password: { environment: 'UPSTREAM' },
            },
          ],
        },
        env: { UPSTREAM: PASSWORD },
      });
      const load = await startLoad({ port: proxy.port, clients: 8 });
      await write({ settings: { 'maxmemory-policy': 'allkeys-lru' } });
      const live = await run('deploy', 'redis', '--all', '--yes', '--json');
      expect(live, live.stderr).toMatchObject({ code: 0 });
      expect(actions(live)).toEqual(['live']);
      expect(json(live).nodes[0]?.reasons).toEqual(['CONFIG SET maxmemory-policy allkeys-lru']);

      await write({
        version: '8.0',
        image: images.eight,
        settings: { 'maxmemory-policy': 'allkeys-lru', 'io-threads': '2' },
      });
      const upgraded = await run('deploy', 'redis', '--all', '--yes');
      expect(upgraded, upgraded.stderr).toMatchObject({ code: 0 });
      expect(upgraded.stdout).toMatch(/replace, rolling/);
      expect(upgraded.stdout).toMatch(/io-threads unset → 2/);
      const { rounds, errors, wrong, lost, closed } = await load.stop();
      await proxy.stop();
      expect({ errors: [...errors], wrong, lost, closed }).toEqual({ errors: [], wrong: [], lost: [], closed: 0 });
      expect(rounds).toBeGreaterThan(100);
      const again = await run('deploy', 'redis', '--all', '--json');
      expect(actions(again)).toEqual(['unchanged']);
      console.log(`upgraded in ${upgraded.took.toFixed(0)} ms, ${rounds} rounds of clients`);
    },
    ROLLING_MS,
  );
});
