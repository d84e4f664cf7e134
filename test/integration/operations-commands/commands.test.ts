import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import Audit from '../../../src/commands/audit.js';
import LockRelease from '../../../src/commands/lock/release.js';
import LockStatusCommand from '../../../src/commands/lock/status.js';
import Resume from '../../../src/commands/resume.js';
import Rollback from '../../../src/commands/rollback.js';
import { ForgeError } from '../../../src/errors.js';
import { operationPaths } from '../../../src/operations/home.js';
import { ClusterLock, thisOperator } from '../../../src/operations/lock/lock.js';
import { runPlan } from '../../../src/operations/run.js';
import { joinPlan, openSession } from '../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';
import { failureOf } from '../cluster/formed.js';

const PASSWORD = 'operations commands secret';
let cluster: RedisCluster;
let stranger: RedisServer;
let home: string;

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-operations-commands-'));
  const args = ['--repl-diskless-sync-delay', '0'];
  [cluster, stranger] = await Promise.all([
    startCluster({ masters: 3, requirepass: PASSWORD }),
    startRedis({ cluster: true, requirepass: PASSWORD, args }),
  ]);
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
  vi.stubEnv('FORGE_HOME', home);
  for (const name of ['CLUSTER_SEED', 'CLUSTER_NODES', 'REDIS_USERNAME', 'REDIS_TLS', 'FORGE_CONFIG'])
    vi.stubEnv(name, '');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all([cluster.stop(), stranger.stop(), rm(home, { recursive: true, force: true })]);
});
afterEach(() => vi.restoreAllMocks());

type CommandClass = { run(argv: string[], root: string): Promise<unknown> };

interface Run {
  stdout: string;
  stderr: string;
  // biome-ignore lint/suspicious/noExplicitAny: each command has a result of its own.
  result?: any;
  error?: ForgeError;
}

async function run(command: unknown, ...argv: string[]): Promise<Run> {
  const caught: Run = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      caught[name] += String(text);
      return true;
    });
  }
  try {
    caught.result = await (command as CommandClass).run(argv, ROOT);
  } catch (error) {
    caught.error = error as ForgeError;
  } finally {
    vi.restoreAllMocks();
  }
  expect(caught.stdout + caught.stderr + JSON.stringify(caught.error ?? '')).not.toContain(PASSWORD);
  return caught;
}

/** Begins to make the stranger a replica, and fails at the last command. */
async function interruptedJoin(): Promise<string> {
  const session = await openSession(cluster.addresses, { also: stranger.address, password: PASSWORD });
  try {
    const failure = await failureOf(
      runPlan({
        session,
        plan: joinPlan(session.snapshot),
        paths: operationPaths(home),
        waitMs: 15_000,
        confirm: async () => true,
        observer: {
          mutation: ({ command }) => {
            if (command[1] === 'REPLICATE') throw new ForgeError('timeout', 'the network went away');
          },
        },
      }),
    );
    return String(failure.details?.['operationId']);
  } finally {
    session.close();
  }
}

const infoOf = async () => (await stranger.call('CLUSTER', 'INFO')) as string;

describe('forge resume, forge rollback and forge audit', () => {
  it('find nothing where nothing was begun', async () => {
    expect((await run(Resume)).stdout).toContain('No operation that was begun on this machine is unfinished.');
    expect(await run(Rollback, '--json')).toMatchObject({ result: { unfinished: [] } });
    expect(await run(Audit)).toMatchObject({ result: { runs: [], unreadable: 0 }, stdout: '' });
    expect((await run(Resume, 'nonsense', '--yes')).error).toMatchObject({ kind: 'usage', exitCode: 2 });
    expect((await run(Resume, '20200101-000000-abcdef', '--yes')).error).toMatchObject({ kind: 'usage' });
  });

  it('list what is unfinished, undo it, finish it, and tell it afterwards', async () => {
    const first = await interruptedJoin();
    const list = await run(Resume);
    expect(list.stdout).toMatch(
      new RegExp(`^OPERATION .*\\n${first} .* unfinished +2 of 4 steps done, 1 begun +Join `),
    );
    expect(list.stderr).toContain(`resume ${first}`);
    expect(list.stderr).toContain(`rollback ${first}`);
    expect((await run(Rollback, '--json')).result).toMatchObject({
      unfinished: [
        {
          operationId: first,
          direction: 'forward',
          steps: { total: 4, done: 2, begun: 1, undone: 0 },
          failure: { kind: 'timeout', message: 'the network went away' },
          irreversible: [],
        },
      ],
    });

    // The operation itself leads to the cluster: no seed is given.
    const dry = await run(Rollback, first, '--dry-run');
    expect(dry.result).toMatchObject({ status: 'planned', operation: { operationId: first } });
    expect(dry.stdout).toMatch(/ {2}✔ Join .*\n {2}✔ Wait .*\n {2}→ Attach .*\n {2}· Wait /);
    expect(dry.stderr).toContain('It ended with: the network went away');
    expect((await run(Rollback, first)).error).toMatchObject({ kind: 'refused', exitCode: 5 });
    expect(await infoOf()).toContain('cluster_known_nodes:4');

    const undone = await run(Rollback, first, '--yes');
    expect(undone.error).toBeUndefined();
    expect(undone.result).toMatchObject({ status: 'rolled-back', operationId: first });
    expect(undone.stdout).toMatch(/Undone and verified in \d/);
    expect(await infoOf()).toContain('cluster_known_nodes:1');
    expect((await run(Resume, first, '--yes')).error?.message).toBe(`${first} is finished: rolled-back.`);

    const second = await interruptedJoin();
    const done = await run(Resume, second, '--yes', '--seed', cluster.masters[2]?.address ?? '');
    expect(done.error).toBeUndefined();
    expect(done.result).toMatchObject({ status: 'done', operationId: second, resumed: true });
    expect(done.stderr).toMatch(/✔ \[4\/4\] Wait until all nodes agree/);
    await poll('the replica in the cluster', 10_000, async () => (await infoOf()).includes('cluster_known_nodes:4'));
    expect((await run(Resume)).result).toEqual({ unfinished: [] });

    const { result, stdout } = await run(Audit);
    expect(result.runs.map((each: { event: string; result: string }) => [each.event, each.result])).toEqual([
      ['begin', 'unfinished'],
      ['rollback', 'rolled-back'],
      ['begin', 'unfinished'],
      ['resume', 'done'],
    ]);
    expect(stdout.split('\n')[2]).toMatch(new RegExp(`rollback: Join .* rolled-back .* s +${first}`));
    expect((await run(Audit, first)).result.runs).toHaveLength(2);
    expect((await run(Audit, '--last', '1')).result.runs).toMatchObject([{ event: 'resume', operationId: second }]);
    expect((await run(Audit, '--since', '1h')).result.runs).toHaveLength(4);
  });
});

describe('forge lock status and forge lock release', () => {
  it('show who holds the lock, and take it from one that lives and would take it again', async () => {
    const seed = ['--seed', cluster.masters[0]?.address ?? ''];
    expect(await run(LockStatusCommand, ...seed)).toMatchObject({
      result: { locked: false, locks: [] },
      stdout: 'Nobody changes this cluster.\n',
    });
    expect((await run(LockRelease, ...seed, '--yes')).result).toEqual({ status: 'unchanged' });

    const session = await openSession(cluster.addresses, { password: PASSWORD });
    const { pool, memberIds, token } = session;
    const owner = {
      ...thisOperator(),
      user: 'somebody',
      token,
      operation: 'test',
      startedAt: new Date().toISOString(),
    };
    const lock = await ClusterLock.acquire({ pool, nodeIds: memberIds, owner, heartbeatMs: 100 });
    try {
      const status = await run(LockStatusCommand, ...seed);
      expect(status.result).toMatchObject({ locked: true, locks: [{ owner, phase: 'holding', expired: false }] });
      expect(status.stdout).toMatch(new RegExp(`somebody@.* test .* holding +\\d s ago +4 of 4 +${token}`));

      expect((await run(LockRelease, ...seed, '--dry-run')).result).toMatchObject({ status: 'planned', owner });
      expect((await run(LockRelease, ...seed)).error).toMatchObject({ kind: 'refused', exitCode: 5 });
      expect((await run(LockRelease, ...seed, '0000000000000000', '--yes')).result).toEqual({ status: 'unchanged' });
      await lock.requireHeld();

      const released = await run(LockRelease, ...seed, '--yes');
      expect(released.error).toBeUndefined();
      expect(released.result).toMatchObject({ status: 'released', owner });
      expect(released.result.closed).toBeGreaterThanOrEqual(4);
      expect(released.stderr).toContain('it is alive');
      expect(lock.signal.aborted).toBe(true);
      expect(await failureOf(lock.requireHeld())).toMatchObject({ kind: 'locked' });
      expect((await run(LockStatusCommand, ...seed, '--json')).result).toEqual({ locked: false, locks: [] });
    } finally {
      await lock.release();
      session.close();
    }
    expect((await run(Audit, '--last', '1')).result.runs).toMatchObject([
      { event: 'lock-released', result: 'done', title: expect.stringContaining('somebody@') },
    ]);
    expect(await readFile(path.join(home, 'audit.jsonl'), 'utf8')).not.toContain(PASSWORD);
  });
});
