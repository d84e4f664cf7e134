import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeBackup } from '../../../support/backup.js';
import { compiledPrograms } from '../../../support/operations/compiled.js';
import { freePort } from '../../../support/ports.js';
import { type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { ROOT } from '../../../support/repository.js';
import { fill } from '../../operations/move/moving.js';
import { CLUSTER, type Making, startMaking } from './making.js';

/** All moments; without it, a few. */
const FULL = process.env['FORGE_TORTURE'] === 'full';
const KILLS = FULL ? 300 : 3;
const KEYS = 20_000;
const LIMIT_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
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
  return startWith({}, ...more);
}

function startWith(variables: NodeJS.ProcessEnv, ...more: string[]): Run {
  const argv = ['--cluster', CLUSTER, '--to', making.store.place, '--config', '/dev/null', '--env-file', '/dev/null'];
  const command = { command: 'backup/index', root: ROOT, argv: [...argv, ...more] };
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    NO_COLOR: '1',
    CLUSTER_SEED: cluster.masters[0]?.address,
    FORGE_HOME: making.home,
    ...variables,
  };
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

describe('forge backup', { timeout: TEST_MS }, () => {
  it('says in one line what it did, logs it, tells the node exporter, and removes what no rule keeps', async () => {
    const folder = path.dirname(making.store.place);
    const [log, textfile] = [path.join(folder, 'backup.jsonl'), path.join(folder, 'backup.prom')];
    const [old, recent] = [
      await makeBackup(making.store, { cluster: CLUSTER, atMs: Date.now() - 9 * DAY_MS }),
      await makeBackup(making.store, { cluster: CLUSTER, atMs: Date.now() - DAY_MS }),
    ];
    const more = ['--quiet', '--log', log, '--textfile', textfile];
    const run = await startWith({ BACKUP_RETENTION_DAYS: '2' }, ...more).ended;
    expect(run, run.stderr).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(/^Backup orders\/\S+: 3 masters, 20,000 keys, .* in \S+ s, in \S+\n$/);
    const listed = await making.proved();
    expect(listed).toHaveLength(2);
    expect(listed[1]?.id).toBe(recent.id);
    const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
    const events = lines.map((line) => JSON.parse(line) as { event: string; cluster: string; exitCode?: number });
    expect(events.at(-1)).toMatchObject({ event: 'done', cluster: CLUSTER, exitCode: 0, pruned: [old.id] });
    expect(events.filter(({ event }) => event === 'shard-done')).toHaveLength(3);
    expect((await stat(log)).mode & 0o777).toBe(0o600);
    const told = await readFile(textfile, 'utf8');
    expect(told).toContain('redisforge_backup_keys{redis_cluster="orders"} 20000\n');
    expect(told).toContain('redisforge_backup_last_exit_code{redis_cluster="orders"} 0\n');
    // A run that fails is told of, and the last success stays.
    const failed = await start(...more, '--seed', `127.0.0.1:${await freePort()}`).ended;
    expect(failed).toMatchObject({ code: 4, stdout: '' });
    const after = await readFile(textfile, 'utf8');
    expect(after).toContain('redisforge_backup_last_exit_code{redis_cluster="orders"} 4\n');
    const success = /last_success_timestamp_seconds\{.*/;
    expect(success.exec(after)?.[0]).toBe(success.exec(told)?.[0]);
    expect(await readFile(log, 'utf8')).toMatch(/"event":"failed","kind":"unreachable","exitCode":4/);
  });

  it('shows what it would read, and touches nothing', async () => {
    const before = await readdir(making.store.place, { recursive: true });
    const { code, stdout, stderr } = await start('--dry-run').ended;
    expect(code, stderr).toBe(0);
    for (const { address } of cluster.masters) expect(stdout).toContain(`${address} `);
    expect(stdout).toContain('Would back up 3 masters of orders to ');
    expect(await readdir(making.store.place, { recursive: true })).toEqual(before);
  });
});

describe('forge backup that is ended', { timeout: TEST_MS }, () => {
  it('by SIGKILL, at any moment, leaves no backup that is not whole, and nothing after the next run', async () => {
    await rm(making.store.place, { recursive: true });
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
    const keys = listed.map(({ manifest }) => manifest?.shards.reduce((sum, shard) => sum + shard.keys, 0));
    expect(keys).toEqual(listed.map(() => KEYS));
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('by %s removes what it has written, and says so by its exit code', async (signal, exitCode) => {
    const before = (await making.proved()).length;
    const [master] = cluster.masters as [RedisServer];
    // A slot on its way: the run waits, and cannot be over before it is ended.
    await master.call('CLUSTER', 'SETSLOT', 1, 'MIGRATING', String(await cluster.masters[1]?.call('CLUSTER', 'MYID')));
    const { child, ended, begun } = start();
    await begun;
    child.kill(signal);
    const { code, stderr } = await ended;
    await master.call('CLUSTER', 'SETSLOT', 1, 'STABLE');
    expect(code, stderr).toBe(exitCode);
    const listed = await making.proved();
    expect(listed.map(({ state }) => state)).toEqual(Array.from({ length: before }, () => 'complete'));
  });
});
