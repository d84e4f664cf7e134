/** How much `forge deploy redis` asks of Docker, and that hosts are worked on side by side. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DeployedCluster, deployedCluster } from '../../support/docker/deployed.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { forge } from '../../support/forge.js';
import { freePorts } from '../../support/ports.js';

const CLUSTER = `v${process.pid}`;
const PASSWORD = 'secret';
const HOSTS = 6;
/** Version, containers, image, volumes, and what containers are; besides, one for each node: its files. */
const QUESTIONS_MAX = 5;
/** For a new node, of which there is nothing to be asked yet: besides, the lock, whether somebody else was quicker, the container, its files, its start, the lock again. */
const COMMANDS_MAX = QUESTIONS_MAX - 1 + 6;
const LOOKS = ['exec', 'container'];

interface Call {
  readonly context: string;
  readonly command: string;
  readonly from: number;
  readonly until: number;
}

describe.skipIf(!hasDocker())('forge deploy redis on six hosts', () => {
  let docker: TestDocker;
  let there: DeployedCluster;
  let folder: string;

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    there = deployedCluster(docker, CLUSTER, PASSWORD);
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-'));
    const image = await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${CLUSTER}` });
    const real = (await promisify(execFile)('sh', ['-c', 'command -v docker'])).stdout.trim();
    await mkdir(path.join(folder, 'bin'));
    // The real docker; when each of its calls began and ended is written down.
    const lines = [
      '#!/bin/sh',
      'from=$(date +%s%N)',
      `${real} "$@"`,
      'code=$?',
      `echo "$2 $3 $from $(date +%s%N)" >> ${folder}/calls`,
      'exit $code',
    ];
    await writeFile(path.join(folder, 'bin', 'docker'), `${lines.join('\n')}\n`, { mode: 0o755 });
    const names = Array.from({ length: HOSTS }, (_, index) => `h${index}`);
    for (const name of names) {
      await promisify(execFile)(real, ['context', 'create', name, '--docker', `host=${docker.host}`], {
        env: { ...process.env, DOCKER_CONFIG: path.join(folder, 'docker'), DOCKER_HOST: undefined },
      });
    }
    const ports = await freePorts(HOSTS);
    await writeFile(
      path.join(folder, 'forge.yaml'),
      [
        `cluster: ${CLUSTER}`,
        'nodes:',
        ...names.map((name, index) => `  - { host: 127.0.0.1, port: ${ports[index]}, docker_host: ${name} }`),
        'hosts:',
        ...names.map((name) => `  ${name}: { context: ${name}, address: 127.0.0.1 }`),
        `redis: { version: "7.0", image: "${image}", network: host, nofile: 12000 }`,
      ].join('\n'),
    );
  });
  afterAll(async () => {
    await there.cleanUp();
    await docker.try(['rmi', `forge-test/redis:${CLUSTER}`]);
    await rm(folder, { recursive: true, force: true });
    await docker.stop();
  });

  const environment = () => ({
    REDIS_REQUIREPASS: PASSWORD,
    FORGE_HOME: path.join(folder, 'home'),
    DOCKER_CONFIG: path.join(folder, 'docker'),
    DOCKER_HOST: undefined,
    PATH: `${folder}/bin:${process.env['PATH']}`,
  });

  async function deploy(...words: string[]): Promise<{ calls: Call[]; status: string; took: number }> {
    await writeFile(path.join(folder, 'calls'), '');
    const started = performance.now();
    const result = await forge(['deploy', 'redis', '--yes', '--json', ...words], {
      cwd: folder,
      limitMs: 100_000,
      env: environment(),
    });
    expect(result, result.stderr).toMatchObject({ code: 0 });
    const calls = (await readFile(path.join(folder, 'calls'), 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((line): Call => {
        const [context = '', command = '', from, until] = line.split(' ');
        return { context, command, from: Number(from), until: Number(until) };
      });
    const { status } = JSON.parse(result.stdout) as { status: string };
    return { calls, status, took: Math.round(performance.now() - started) };
  }

  /** On how many hosts one of these commands ran at the same moment. */
  function hostsAtOnce(calls: readonly Call[]): number {
    return Math.max(
      ...calls.map(
        ({ from }) =>
          new Set(calls.filter((each) => each.from <= from && from < each.until).map(({ context }) => context)).size,
      ),
    );
  }

  it('works on hosts side by side, with the same commands as on one', async () => {
    const all = await deploy('--all');
    expect(all.status).toBe('done');
    for (const host of new Set(all.calls.map(({ context }) => context))) {
      // How often a look is repeated is a matter of the machine.
      const calls = all.calls.filter(({ context, command }) => context === host && !LOOKS.includes(command));
      expect(calls.length, host).toBeLessThanOrEqual(COMMANDS_MAX);
    }
    const made = all.calls.filter(({ command }) => command === 'create');
    expect(hostsAtOnce(made)).toBeGreaterThanOrEqual(HOSTS / 2);
    console.log(`six hosts in ${all.took} ms, ${all.calls.length} commands, ${hostsAtOnce(made)} hosts at once`);
  });

  it('asks little when nothing is to be done', async () => {
    const again = await deploy('--all');
    expect(again.status).toBe('unchanged');
    // Each of these hosts is the same engine, and so has the containers of all; only its own are read.
    expect(again.calls.length).toBeLessThanOrEqual(HOSTS * (QUESTIONS_MAX + 1));
    expect(again.calls.some(({ command }) => ['create', 'start', 'exec', 'rm'].includes(command))).toBe(false);
    const one = await deploy('--host', 'h0');
    expect(one.calls.length).toBeLessThanOrEqual(QUESTIONS_MAX + 1);
    console.log(`unchanged: six hosts in ${again.took} ms, one in ${one.took} ms`);
  });

  it('removes them from all hosts at once, each of which sees the containers of all', async () => {
    const result = await forge(['deploy', 'remove', '--all', '--purge', '--yes'], {
      cwd: folder,
      limitMs: 100_000,
      env: environment(),
    });
    expect(result, result.stderr).toMatchObject({ code: 0 });
    expect(await there.containers()).toEqual([]);
    expect(await there.volumes()).toEqual([]);
  });
});
