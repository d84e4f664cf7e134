/** Until all nodes agree: with a member that dies in the middle, as one did while a cluster was scaled. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPlan } from '../../../src/operations/plan.js';
import { runPlan } from '../../../src/operations/run.js';
import type { StepEvent } from '../../../src/operations/step.js';
import { openSession, temporaryHome } from '../../support/operations/join.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../support/redis.js';

const AGREE_MS = 20_000;
let home: Awaited<ReturnType<typeof temporaryHome>>;
let cluster: RedisCluster;

beforeEach(async () => {
  home = await temporaryHome();
});
afterEach(async () => {
  await Promise.all([cluster?.stop(), home?.remove()]);
});

/** Kills a node before the wait begins, which is for the word of all. @returns the warnings */
async function agreeWithout(victim: RedisServer, waitMs: number): Promise<string[]> {
  const session = await openSession(cluster.addresses);
  const warnings: string[] = [];
  try {
    const { snapshot } = session;
    const plan = createPlan(snapshot, {
      operation: 'test agree',
      request: { agree: 'all' },
      title: 'Agree',
      tolerates: ['nodes-down'],
      steps: [{ action: { kind: 'wait-convergence', nodes: snapshot.topology.nodes.map(({ id }) => id) } }],
    });
    const observer = {
      event: (_: unknown, event: StepEvent) => {
        if (event.type === 'warning') warnings.push(event.text);
      },
    };
    const confirm = async () => {
      await victim.kill();
      return true;
    };
    await runPlan({ session, plan, paths: home.paths, waitMs, observer, confirm });
    return warnings;
  } finally {
    session.close();
  }
}

/** For some time, a master keeps forgetting whose slot 0 is; what its owner says of itself tells it again. */
async function forgetful(node: RedisServer, forMs: number): Promise<void> {
  const connection = await node.connect();
  const end = performance.now() + forMs;
  while (performance.now() < end) await connection.call('CLUSTER', 'DELSLOTS', '0').catch(() => undefined);
  connection.close();
}

describe('who is about to change a cluster', () => {
  it('looks again while its nodes do not agree, and takes what they agree on', { timeout: 60_000 }, async () => {
    cluster = await startCluster({ masters: 3, replicasPerMaster: 0 });
    const forgets = forgetful(cluster.masters[1] as RedisServer, 1_500);
    const agreed = async (untilAgreed: boolean) => {
      const session = await openSession(cluster.addresses, { untilAgreed });
      session.close();
      return session.snapshot.agreed;
    };
    expect(await agreed(false)).toBe(false);
    expect(await agreed(true)).toBe(true);
    await forgets;
  });
});

describe('nodes agree', () => {
  it('without a master that died and has a successor, which is told', { timeout: 60_000 }, async () => {
    cluster = await startCluster({ masters: 3, replicasPerMaster: 1 });
    const [, victim] = cluster.masters as [RedisServer, RedisServer];
    const warnings = await agreeWithout(victim, AGREE_MS);
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`^${victim.address} is down and serves no slots`))]);
    const heir = cluster.replicas[1] as RedisServer;
    await poll('its replica is the master', AGREE_MS, async () => /role:master/.test(String(await heir.call('INFO'))));
  });

  it('never without a master whose slots nobody has taken over', { timeout: 60_000 }, async () => {
    cluster = await startCluster({ masters: 3, replicasPerMaster: 0 });
    const [, victim] = cluster.masters as [RedisServer, RedisServer];
    await expect(agreeWithout(victim, 7_000)).rejects.toMatchObject({
      kind: 'timeout',
      message: expect.stringContaining(`${victim.address} does not answer`),
    });
  });
});
