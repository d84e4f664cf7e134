#!/usr/bin/env tsx
// npm run bench:deploy: `forge deploy redis` on one new host and on six at once, each a Docker engine of its own with a share of
// the processors of its own, and again when nothing is to be done. Needs root, the built command line, and nothing else on
// the machine. Linux only.
//
//   npm run bench:deploy
//     -- --rounds N      5 when not given; figures are medians
//        --cores N       of a processor for each host, 0.25 when not given; 0: the hosts have what there is between them
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { type DockerDaemon, startDaemon } from '../support/docker/daemon.js';
import { deployedCluster } from '../support/docker/deployed.js';
import { redisImage } from '../support/docker/images.js';
import { limitProcessors } from '../support/docker/processors.js';
import { freePorts } from '../support/ports.js';
import { median } from './statistics.js';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '..', '..');
const HOSTS = 6;
const CLUSTER = 'bench';
const PASSWORD = 'secret';
const LIMIT_MS = 120_000;
const ONE_MAX_MS = 5_000;
const UNCHANGED_MAX_MS = 2_000;
const RATIO_MAX = 2;

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, cores: { type: 'string', default: '0.25' } },
});
const [rounds, cores] = [Number(values.rounds), Number(values.cores)];
if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be a whole number above 0');
if (!(cores >= 0 && cores <= os.availableParallelism())) throw new Error('--cores must be a number of processors');

const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-bench-deploy-'));
const engines: DockerDaemon[] = [];
const image = `forge-bench/redis:${CLUSTER}`;

async function writeManifest(): Promise<void> {
  const ports = await freePorts(HOSTS);
  const lines = [
    `cluster: ${CLUSTER}`,
    'nodes:',
    ...ports.map((port, index) => `  - { host: 127.0.0.1, port: ${port}, docker_host: h${index} }`),
    'hosts:',
    ...engines.map(({ host }, index) => `  h${index}: { docker: "${host}", address: 127.0.0.1 }`),
    `redis: { version: "7.0", image: "${image}", network: host, nofile: 12000 }`,
  ];
  await writeFile(path.join(folder, 'forge.yaml'), lines.join('\n'));
}

/** Milliseconds. */
async function deploy(...words: string[]): Promise<number> {
  const started = performance.now();
  await run(process.execPath, [path.join(ROOT, 'bin', 'run.js'), 'deploy', 'redis', '--yes', '--json', ...words], {
    cwd: folder,
    timeout: LIMIT_MS,
    env: { ...process.env, REDIS_REQUIREPASS: PASSWORD, FORGE_HOME: path.join(folder, 'home'), DOCKER_HOST: undefined },
  });
  return performance.now() - started;
}

async function clear(): Promise<void> {
  await Promise.all(engines.map((engine) => deployedCluster(engine, CLUSTER, PASSWORD).cleanUp()));
}

function shown(what: string, times: readonly number[], max: number): number {
  const middle = median(times) as number;
  const [least, most] = [Math.min(...times), Math.max(...times)].map((ms) => ms.toFixed(0));
  process.stdout.write(`| ${what} | ${middle.toFixed(0)} ms | ${least} to ${most} ms | ${max.toFixed(0)} ms |\n`);
  return middle;
}

try {
  for (let index = 0; index < HOSTS; index++) {
    const engine = await startDaemon();
    engines.push(engine);
    await redisImage(engine, 'redis-7', { tag: image });
    if (cores > 0) limitProcessors(engine, cores);
  }
  await writeManifest();
  const times = { one: [] as number[], six: [] as number[], again: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    await clear();
    times.one.push(await deploy('--host', `h${round % HOSTS}`));
    await clear();
    times.six.push(await deploy('--all'));
    times.again.push(await deploy('--all'));
  }
  const share = cores > 0 ? `${cores} of a processor for each host` : 'all hosts share the processors';
  process.stdout.write(`${os.availableParallelism()} processors, ${share}, ${rounds} rounds\n\n`);
  process.stdout.write('| forge deploy redis | median | range | bound |\n|---|---:|---:|---:|\n');
  const one = shown('one new host', times.one, ONE_MAX_MS);
  const six = shown('six new hosts', times.six, RATIO_MAX * one);
  const again = shown('six, nothing to do', times.again, UNCHANGED_MAX_MS);
  process.stdout.write(`\nSix take ${(six / one).toFixed(2)} times as long as one.\n`);
  if (one > ONE_MAX_MS || six > RATIO_MAX * one || again > UNCHANGED_MAX_MS) process.exitCode = 1;
} finally {
  await Promise.all(engines.map((engine) => engine.stop()));
  await rm(folder, { recursive: true, force: true });
}
