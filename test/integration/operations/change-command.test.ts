import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ChangeCommand } from '../../../src/change-command.js';
import { parseAddressList } from '../../../src/cluster/address.js';
import type { ForgeError } from '../../../src/errors.js';
import type { RunResult } from '../../../src/operations/run.js';
import { joinPlan } from '../../support/operations/join.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';

const PASSWORD = 'command secret';
let stranger: RedisServer;

/** What a command is: flags, a planner, and `change`. */
class Join extends ChangeCommand {
  async run(): Promise<RunResult> {
    const { flags } = await this.parse(Join);
    return this.change({
      flags,
      operation: 'test join',
      also: parseAddressList(stranger.address),
      plan: (snapshot) => joinPlan(snapshot),
    });
  }
}

let cluster: RedisCluster;
let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-change-'));
  [cluster, stranger] = await Promise.all([
    startCluster({ masters: 3, requirepass: PASSWORD }),
    startRedis({ cluster: true, requirepass: PASSWORD }),
  ]);
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
  vi.stubEnv('FORGE_HOME', home);
  vi.stubEnv('CLUSTER_SEED', cluster.masters[1]?.address);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all([cluster.stop(), stranger.stop(), rm(home, { recursive: true, force: true })]);
});
afterEach(() => vi.restoreAllMocks());

interface Run {
  stdout: string;
  stderr: string;
  result?: RunResult;
  error?: ForgeError;
}

async function run(...argv: string[]): Promise<Run> {
  const caught = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      caught[name] += String(text);
      return true;
    });
  }
  try {
    return { ...caught, result: (await Join.run(argv, ROOT)) as RunResult, ...caught };
  } catch (error) {
    return { ...caught, error: error as ForgeError };
  } finally {
    vi.restoreAllMocks();
  }
}

describe('a command that changes a cluster', () => {
  it('shows its plan, saves it, asks, refuses what is wrong, and carries the saved plan out', async () => {
    const dry = await run('--dry-run');
    expect(dry.result?.status).toBe('planned');
    expect(dry.stdout).toMatch(
      /^Join \S+: 4 steps\n {2}1\. Join \S+\n {2}2\. Wait until all nodes agree\n {2}3\. Attach /,
    );

    const file = path.join(home, 'plan.json');
    expect((await run('--plan-out', file)).stderr).toContain(`The plan is in ${file}.`);
    expect(await readFile(file, 'utf8')).not.toContain(PASSWORD);

    expect((await run()).error).toMatchObject({ kind: 'refused', message: expect.stringContaining('no terminal') });
    expect((await run('--force', 'everything', '--yes')).error).toMatchObject({ kind: 'usage', exitCode: 2 });
    expect((await run('--seed', '127.0.0.1:1')).error).toMatchObject({ kind: 'unreachable', exitCode: 4 });
    await writeFile(`${file}.other`, (await readFile(file, 'utf8')).replace('test join', 'scale add'));
    expect((await run('--plan', `${file}.other`)).error?.message).toContain('a plan of forge scale add');

    const done = await run('--plan', file, '--yes');
    expect(done.error).toBeUndefined();
    expect(done.result).toMatchObject({ status: 'done', resumed: false });
    expect(done.stdout).toMatch(/Done and verified in \d+\.\d\d s\./);
    expect(done.stderr).toMatch(/✔ \[1\/4\] Join .*✔ \[4\/4\] Wait until all nodes agree/s);
    expect(done.stdout + done.stderr).not.toContain(PASSWORD);

    expect((await run('--plan', file, '--yes')).error?.message).toBe(
      'The cluster has changed since the plan was made.',
    );
    expect((await run('--yes')).result?.status).toBe('unchanged');
  });
});
