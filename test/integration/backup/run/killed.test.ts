import { type ChildProcess, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compiledPrograms } from '../../../support/operations/compiled.js';
import { type RedisCluster, startCluster } from '../../../support/redis.js';
import { ROOT } from '../../../support/repository.js';
import { fill } from '../../operations/move/moving.js';
import { CLUSTER, type Making, startMaking } from './making.js';

/** All moments; without it, a few. */
const FULL = process.env['FORGE_TORTURE'] === 'full';
const KILLS = FULL ? 300 : 5;
const KEYS = 20_000;
const LIMIT_MS = 60_000;
const TEST_MS = FULL ? 2 * 3_600_000 : 120_000;

let cluster: RedisCluster;
let making: Making;
let program: string;

beforeAll(async () => {
  [cluster, making, program] = await Promise.all([
    startCluster({ masters: 3 }),
    startMaking(),
    compiledPrograms().then((folder) => path.join(folder, 'test/support/operations/killed-command.js')),
  ]);
  await fill(cluster.masters, KEYS, 500);
}, TEST_MS);
afterAll(async () => {
  await Promise.all([cluster?.stop(), making?.remove()]);
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
  /** Resolves when the run has begun to write, or has ended. */
  readonly begun: Promise<void>;
}

/** `forge backup`, as a process of its own. */
function start(...more: string[]): Run {
  const argv = ['--cluster', CLUSTER, '--to', making.store.place, '--config', '/dev/null', '--env-file', '/dev/null'];
  const command = { command: 'backup/index', root: ROOT, argv: [...argv, ...more] };
  const env = { ...process.env, NO_COLOR: '1', CLUSTER_SEED: cluster.masters[0]?.address, FORGE_HOME: making.home };
  const child = spawn(process.execPath, [program, JSON.stringify(command)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      if (/^Backup /m.test(output.stderr)) begin();
    });
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const ended = new Promise<Awaited<Run['ended']>>((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      begin();
      resolve({ code, signal, ...output });
    });
  });
  return { child, ended, begun };
}

describe('forge backup that is ended', { timeout: TEST_MS }, () => {
  it('by SIGKILL, at any moment, leaves no backup that is not whole, and nothing after the next run', async () => {
    const whole = start();
    await whole.begun;
    const beganAt = performance.now();
    expect((await whole.ended).code).toBe(0);
    const tookMs = performance.now() - beganAt;
    let deaths = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const { child, ended, begun } = start();
      await begun;
      await sleep((tookMs * (kill + Math.random())) / KILLS);
      child.kill('SIGKILL');
      if ((await ended).signal === 'SIGKILL') deaths++;
      await making.proved();
    }
    expect(deaths).toBeGreaterThan(0);
    const last = await start('--json').ended;
    expect(last.code, last.stderr).toBe(0);
    const listed = await making.proved();
    expect(listed.map(({ state }) => state)).toEqual(listed.map(() => 'complete'));
    // What is there is what the manifests name.
    const files = await readdir(making.store.place, { recursive: true, withFileTypes: true });
    const named = listed.flatMap(({ manifest }) => manifest?.shards ?? []).length + 2 * listed.length;
    expect(files.filter((file) => file.isFile())).toHaveLength(named);
    for (const { keys } of listed
      .flatMap(({ manifest }) => manifest ?? [])
      .map(({ shards }) => ({ keys: shards.reduce((sum, shard) => sum + shard.keys, 0) }))) {
      expect(keys).toBe(KEYS);
    }
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('by %s removes what it has written, and says so by its exit code', async (signal, exitCode) => {
    const before = (await making.proved()).length;
    const { child, ended, begun } = start();
    await begun;
    child.kill(signal);
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(exitCode);
    const listed = await making.proved();
    expect(listed.map(({ state }) => state)).toEqual(Array.from({ length: before }, () => 'complete'));
  });
});
