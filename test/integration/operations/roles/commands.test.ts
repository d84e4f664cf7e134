import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import ClusterFailover from '../../../../src/commands/cluster/failover.js';
import ClusterForget from '../../../../src/commands/cluster/forget.js';
import ClusterReplace from '../../../../src/commands/cluster/replace.js';
import ClusterRestart from '../../../../src/commands/cluster/restart.js';
import type { ForgeError } from '../../../../src/errors.js';
import { temporaryHome } from '../../../support/operations/join.js';
import { type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { ROOT } from '../../../support/repository.js';
import { idOf, rolesOf } from './roles.js';

const PASSWORD = 'commands secret';
let cluster: RedisCluster;
let home: Awaited<ReturnType<typeof temporaryHome>>;
let master: RedisServer;
let replica: RedisServer;
beforeAll(async () => {
  home = await temporaryHome();
  cluster = await startCluster({ masters: 3, replicasPerMaster: 1, requirepass: PASSWORD });
  [master, replica] = [cluster.masters[0] as RedisServer, cluster.replicas[0] as RedisServer];
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
  vi.stubEnv('FORGE_HOME', home.home);
  vi.stubEnv('CLUSTER_SEED', cluster.masters[1]?.address);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all([cluster?.stop(), home?.remove()]);
});
afterEach(() => vi.restoreAllMocks());

type AnyCommand = { run(argv: string[], root: string): Promise<unknown> };

interface Run {
  stdout: string;
  stderr: string;
  result?: { status: string };
  error?: ForgeError;
}

async function run(command: AnyCommand, ...argv: string[]): Promise<Run> {
  const caught = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      caught[name] += String(text);
      return true;
    });
  }
  try {
    const result = (await command.run(argv, ROOT)) as { status: string };
    return { ...caught, result };
  } catch (error) {
    return { ...caught, error: error as ForgeError };
  } finally {
    vi.restoreAllMocks();
  }
}

describe('forge cluster failover', () => {
  it('shows its plan, carries it out from a file, and has nothing to do the second time', async () => {
    const file = path.join(home.home, 'failover.json');
    const planned = await run(ClusterFailover, '--from', master.address, '--plan-out', file);
    expect(planned.stdout).toContain(`1. Make ${replica.address} the master in place of ${master.address}`);
    expect((await rolesOf(cluster.nodes)).masters).toContain(master.address);
    expect(await readFile(file, 'utf8')).not.toContain(PASSWORD);

    const done = await run(ClusterFailover, '--plan', file, '--yes');
    expect(done.result?.status).toBe('done');
    expect((await rolesOf(cluster.nodes)).masters).toContain(replica.address);
    expect((await run(ClusterFailover, '--from', master.address, '--yes')).result?.status).toBe('unchanged');
    const again = await run(ClusterFailover, (await idOf(replica)).slice(0, 12), '--yes');
    expect(again.result?.status).toBe('unchanged');
    expect(again.stderr).toContain(`--from ${replica.address}`);
  });

  it('tells a wrong command line, an unknown node and a dead one apart', async () => {
    expect((await run(ClusterFailover)).error).toMatchObject({ exitCode: 2, message: 'Nobody is named.' });
    const unknown = (await run(ClusterFailover, '127.0.0.1:1', '--yes')).error;
    expect(unknown).toMatchObject({ exitCode: 2 });
    expect(unknown?.next.join()).toContain(master.address);
    expect((await run(ClusterFailover, master.address)).error?.message).toContain('no terminal');
  });
});

describe('forge cluster restart, replace and forget', () => {
  it('show what they would do, and refuse what makes no sense', async () => {
    const restart = await run(ClusterRestart, '--restart-command', 'restart {host}', '--dry-run');
    expect(restart.result?.status).toBe('planned');
    expect(restart.stdout).toMatch(/Restart all 6 nodes: 18 steps/);
    expect(restart.stdout).toContain(`Restart ${master.address} (restart)`);
    const quoted = await run(ClusterRestart, '--restart-command', `sh -c 'x'`, '--dry-run');
    expect(quoted.error).toMatchObject({ exitCode: 2 });

    expect((await run(ClusterForget)).error).toMatchObject({ exitCode: 2 });
    expect((await run(ClusterForget, master.address, '--yes')).error).toMatchObject({ exitCode: 5 });
    expect((await run(ClusterForget, '--dead', '--yes')).result?.status).toBe('unchanged');

    const self = await run(ClusterReplace, master.address, master.address, '--yes');
    expect(self.error).toMatchObject({ exitCode: 2 });
    const nobody = await run(ClusterReplace, master.address, '127.0.0.1:1', '--yes');
    expect(nobody.error).toMatchObject({ exitCode: 4 });
    expect((await run(ClusterReplace, master.address, replica.address, '--yes')).error).toMatchObject({ exitCode: 5 });
  });
});
