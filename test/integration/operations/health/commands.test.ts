import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { countSlots } from '../../../../src/cluster/slots.js';
import ClusterCheck from '../../../../src/commands/cluster/check.js';
import ClusterFix from '../../../../src/commands/cluster/fix.js';
import ClusterStatus from '../../../../src/commands/cluster/status.js';
import Rollback from '../../../../src/commands/rollback.js';
import { asksForJson, reportFailure } from '../../../../src/ui/failure.js';
import { forge, type RunningForge, startForge } from '../../../support/forge.js';
import { freePort } from '../../../support/ports.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { ROOT } from '../../../support/repository.js';
import { fill, halfMove, idOf, inOrder, stable } from '../fix/broken.js';

const PASSWORD = 'health secret';
const GONE_MS = 20_000;

let cluster: RedisCluster;
let one: RedisServer;
let two: RedisServer;
let home: string;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-health-'));
  cluster = await startCluster({ masters: 3, replicasPerMaster: 1, requirepass: PASSWORD });
  [one, two] = cluster.masters as [RedisServer, RedisServer];
  environment = { REDIS_REQUIREPASS: PASSWORD, FORGE_HOME: home, CLUSTER_SEED: cluster.replicas[0]?.address };
});
afterAll(async () => {
  await Promise.all([cluster?.stop(), rm(home, { recursive: true, force: true })]);
});

const COMMANDS: Record<string, (argv: string[]) => Promise<unknown>> = {
  check: (argv) => ClusterCheck.run(argv, ROOT),
  fix: (argv) => ClusterFix.run(argv, ROOT),
  rollback: (argv) => Rollback.run(argv, ROOT),
  status: (argv) => ClusterStatus.run(argv, ROOT),
};

/** Runs a command as the program does, and tells what its user sees. */
async function run(name: string, ...argv: string[]) {
  const seen = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      seen[stream] += String(text);
      return true;
    });
  }
  for (const [variable, value] of Object.entries(environment)) vi.stubEnv(variable, value);
  try {
    await COMMANDS[name]?.(argv);
    return { ...seen, code: Number(process.exitCode ?? 0) };
  } catch (error) {
    const code = reportFailure(error, { json: asksForJson(argv) });
    return { ...seen, code };
  } finally {
    process.exitCode = undefined;
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    expect(seen.stdout + seen.stderr).not.toContain(PASSWORD);
  }
}

const PASSES = /^PASS {2}coverage .*\n(PASS .*\n)+PASS: of 18 checks all pass\n$/;

// One after the other: the cluster is in order, its slots are hurt, repaired, and in the end a node is lost.
describe('on the command line', () => {
  it('a healthy cluster is shown, passes every check, and is recorded', async () => {
    const status = await run('status');
    expect(status).toMatchObject({ code: 0, stderr: '' });
    expect(status.stdout).toMatch(
      /^Cluster {2}3 masters, 3 replicas; 0 keys, .*\nSlots {4}A+B+C+ {2}16384 of 16384 served/,
    );
    for (const { address } of cluster.nodes) expect(status.stdout).toContain(address);
    const json = JSON.parse((await run('status', '--json')).stdout);
    expect(json).toMatchObject({ verdict: 'PASS', masters: 3, replicas: 3, slotsServed: 16_384, locks: [] });

    const file = path.join(home, 'cluster.json.gz');
    const check = await run('check', '--record', file);
    expect(check).toMatchObject({ code: 0, stdout: expect.stringMatching(PASSES), stderr: '' });
    expect(gunzipSync(await readFile(file)).toString()).not.toContain(PASSWORD);
    expect((await run('check', '--from', file)).stdout).toBe(check.stdout);
    expect(await run('check', '--nagios')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^CLUSTER OK - 3 masters, 3 replicas, .* \| slots_served=16384;;16384:;0;16384 .*\n$/,
      ),
    });
  });

  it('--watch looks again and again; Ctrl-C, or a reader who leaves, is its good end', async () => {
    const watch = (...words: string[]) => startForge(['cluster', 'status', '--watch', ...words], { env: environment });
    const seen = async ({ child }: RunningForge, text: RegExp, times: number) => {
      let shown = '';
      child.stdout?.on('data', (part) => {
        shown += part;
      });
      await poll(`${text} is shown ${times} times`, GONE_MS, () => shown.split(text).length > times);
    };
    const json = watch('1', '--json');
    await seen(json, /"verdict":"PASS"/, 2);
    json.child.kill('SIGINT');
    const { code, stdout, stderr } = await json.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const line of stdout.trim().split('\n')) expect(JSON.parse(line)).toMatchObject({ masters: 3, jobs: [] });
    const text = watch();
    await seen(text, /PASS: of 18 checks all pass/, 1);
    text.child.stdout?.destroy();
    expect(await text.ended).toMatchObject({ code: 0, stderr: '' });
    expect(await forge(['cluster', 'status', '--watch', '0'], { env: environment })).toMatchObject({ code: 2 });
  });

  it('an open slot fails the check, is repaired, and passes again', async () => {
    const values = await fill(one, 10, 6);
    await halfMove(one, two, 10, [...values.keys()].slice(0, 3));
    const check = await run('check', '--quiet');
    expect(check.code).toBe(9);
    expect(check.stdout).toMatch(/^FAIL {2}open-slots +1 open slot: 10 .*\n +→ .*forge cluster fix\.\nFAIL: of 18/);
    expect(await run('check', '--nagios')).toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/^CLUSTER CRITICAL - 1 open slot/),
    });
    expect((await run('status')).code).toBe(9);

    const dry = await run('fix', '--dry-run', '--json');
    expect(JSON.parse(dry.stdout)).toMatchObject({ status: 'planned', plan: { operation: 'cluster fix' } });
    expect(await run('fix')).toMatchObject({ code: 5, stderr: expect.stringContaining('--yes') });
    const fixed = await run('fix', '--yes');
    expect(fixed).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Repair 1 slots: 2 steps\n(.*\n)+Done and verified/),
    });
    await inOrder(cluster.nodes);
    expect((await run('check')).stdout).toMatch(PASSES);
    expect(await run('fix', '--yes')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('Nothing is to be done'),
    });
  });

  it('keys with two values stop the repair by name; a rollback gives it up and lets a new one begin', async () => {
    const values = await fill(one, 20, 1);
    const [name = ''] = values.keys();
    await halfMove(one, two, 20, [name]);
    await stable(one, 20);
    await one.call('SET', name, 'newer');
    const stopped = await run('fix', '--yes');
    expect(stopped).toMatchObject({ code: 5, stderr: expect.stringContaining(name) });
    const operation = /forge rollback (\S+)/.exec(stopped.stderr)?.[1] ?? '';
    expect(await run('rollback', operation, '--yes')).toMatchObject({ code: 0 });
    expect(await one.call('GET', name)).toBe('newer');
    await one.call('DEL', name);
    expect((await run('fix', '--yes')).code).toBe(0);
    await inOrder(cluster.nodes);
    expect(await one.call('GET', name)).toBe(values.get(name));
  });

  it('a lost replica is a warning, a lost master without one a failure; slots of a dead one are given to nobody', async () => {
    const replica = cluster.replicas[0] as RedisServer;
    environment = { ...environment, CLUSTER_SEED: two.address };
    const lost = await idOf(one);
    await replica.kill();
    const warned = await run('check', '--quiet');
    expect(warned).toMatchObject({ code: 0, stdout: expect.stringMatching(/WARN {2}nodes .*WARN {2}redundancy /s) });
    expect((await run('check', '--strict')).code).toBe(9);
    expect((await run('check', '--nagios')).code).toBe(1);
    await one.kill();
    // Its replica is held for dead, too, and perhaps before it.
    const dead = new RegExp(`the master ${one.address}.*the cluster holds it for dead`);
    await poll('the cluster knows', GONE_MS, async () => dead.test((await run('check')).stdout));
    const failed = await run('check', '--nagios');
    expect(failed).toMatchObject({ code: 2, stdout: expect.stringContaining(`${one.address} is down`) });
    expect(await run('fix', '--yes')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('Nothing is to be done'),
    });
    await cluster.masters[2]?.call('CLUSTER', 'SETSLOT', 30, 'IMPORTING', lost);
    const refused = await run('fix', '--yes', '--json');
    expect(refused.code).toBe(5);
    expect(JSON.parse(refused.stdout).error.details.unknown).toMatchObject([{ guard: 'nodes-down', slot: 30 }]);

    // Its replica was the one that was lost first: there is nobody who has its keys.
    expect((await run('fix', '--abandon', two.address, '--yes')).stderr).toContain('is not given up: it answers');
    const abandoned = await run('fix', '--abandon', one.address, '--yes');
    expect(abandoned).toMatchObject({ code: 0, stderr: expect.stringContaining('are lost; if it comes back') });
    const living = cluster.nodes.filter((node) => node !== one && node !== replica);
    const snapshot = await inOrder(living);
    const [first, second] = snapshot.topology.masters.filter(({ slots }) => slots.length > 0);
    expect([first, second].map((node) => countSlots(node?.slots ?? []))).toEqual([8192, 8192]);
  });

  it('what cannot be asked has the exit code of its kind', async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    expect((await run('check', '--seed', nobody)).code).toBe(4);
    expect((await run('check', '--seed', nobody, '--nagios')).code).toBe(2);
    environment = { ...environment, REDIS_REQUIREPASS: 'another' };
    expect((await run('status')).code).toBe(11);
    expect(await run('check', '--nagios')).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/^CLUSTER UNKNOWN - /),
    });
    expect(await run('check', '--nagios', '--strict')).toMatchObject({ code: 3 });
    expect((await run('check', '--from', 'nothing.json')).code).toBe(3);
  });
});
