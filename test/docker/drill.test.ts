/** `forge drill` on containers: their processes stand still, die, and come back, also when forge is killed meanwhile. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DrillReport } from '../../src/drills/drill.js';
import { containerNames } from '../../src/local/docker/specs.js';
import { clusterPaths } from '../../src/local/paths.js';
import { dockerForTests, hasDocker, type TestDocker } from '../support/docker/engine.js';
import { redisImage } from '../support/docker/images.js';
import { type ForgeResult, forge, startForge } from '../support/forge.js';
import { poll } from '../support/redis.js';
import { FULL } from '../support/servers.js';

const NAME = 'drill';
const UP_MS = 240_000;
const DRILL_MS = 180_000;
const BACK_MS = 60_000;
const LIGHT = [
  ...['--yes', '--confirm', NAME, '--clients', '9', '--interval', '10ms', '--calm', '300ms', '--max-pause', '60s'],
  ...['--name', NAME],
];

describe.skipIf(!hasDocker())('forge drill on containers', { timeout: DRILL_MS }, () => {
  let docker: TestDocker;
  let home: string;
  let env: NodeJS.ProcessEnv;

  const run = (words: readonly string[]): Promise<ForgeResult> => forge([...words], { env, limitMs: DRILL_MS });
  const containerOf = (address: string) =>
    containerNames(clusterPaths(home, NAME)).node(Number(address.split(':')[1])).name;
  const isPaused = async (container: string) =>
    (await docker.run(['inspect', '-f', '{{.State.Paused}}', container])).trim() === 'true';

  async function drill(...words: string[]): Promise<DrillReport> {
    const { code, stdout, stderr } = await run(['drill', ...words, ...LIGHT, '--json']);
    expect(code, `${stdout}${stderr}`).toBe(0);
    return JSON.parse(stdout);
  }

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    home = await mkdtemp(path.join(os.tmpdir(), 'forge-drill-docker-'));
    env = { FORGE_HOME: home, DOCKER_HOST: docker.host, FORGE_REDIS_IMAGE: await redisImage(docker, 'redis-8') };
    const auto = ['--base-port', 'auto', '--proxy-port', 'auto', '--admin-port', 'auto'];
    const up = await forge(['up', '--name', NAME, '--runtime', 'docker', ...auto], { env, limitMs: UP_MS });
    expect(up.code, up.stderr).toBe(0);
  }, UP_MS);

  afterAll(async () => {
    await run(['down', '--name', NAME, '--purge', '--yes']);
    await docker?.stop();
    await rm(home, { recursive: true, force: true });
  }, UP_MS);

  it('has a master stand still, and go on', async () => {
    const { events } = await drill('partition', '--for', '1s');
    const container = containerOf(events[0]?.text.split(' ')[0] ?? '');
    expect(await isPaused(container)).toBe(false);
    expect(events.map(({ text }) => text)).toEqual([
      expect.stringMatching(/stands still$/),
      expect.stringMatching(/goes on$/),
      'whole again',
    ]);
  });

  it.runIf(FULL)('has it go on by itself when forge is killed meanwhile', async () => {
    await whole();
    const node = await master();
    const container = containerOf(node);
    const words = ['drill', 'partition', '--for', '2s', '--node', node, ...LIGHT];
    const running = startForge(words, { env, limitMs: DRILL_MS });
    await poll('it stands still', BACK_MS, () => isPaused(container));
    running.child.kill('SIGKILL');
    await running.ended;
    await poll('it goes on', BACK_MS, async () => !(await isPaused(container)));
  });

  it('kills a master, and starts its container again when a replica has taken over', async () => {
    await whole();
    const { events } = await drill('failover', '--sudden');
    expect(events.map(({ text }) => text)).toEqual([
      expect.stringMatching(/is killed$/),
      'a replica has taken over',
      'whole again',
    ]);
  });

  it('kills all nodes, and what was acknowledged is there', async () => {
    const { verdict } = await drill('persistence');
    expect(verdict.passed).toBe(true);
  });

  it.runIf(FULL)('reloads the proxy over its admin port', async () => {
    const { events, clients } = await drill('proxy');
    expect(events.map(({ text }) => text)).toEqual(['reload', 'reload', 'reload', 'whole again']);
    expect(clients.errors).toEqual({});
  });

  /** The address of one that serves slots. */
  async function master(): Promise<string> {
    const { stdout } = await run(['status', '--name', NAME, '--json']);
    const { nodes } = JSON.parse(stdout) as { nodes: { host: string; port: number; role: string }[] };
    const found = nodes.find(({ role }) => role === 'master');
    return `${found?.host}:${found?.port}`;
  }

  const whole = () =>
    poll('the cluster is whole', BACK_MS, async () => (await run(['cluster', 'check', '--name', NAME])).code === 0);
});
