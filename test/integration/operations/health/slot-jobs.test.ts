import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canHaveNewerServers, newerServers, redisWithAtomicMigration } from '../../../../scripts/newer-servers.js';
import { examine } from '../../../../src/operations/health/health.js';
import { slotJobs } from '../../../../src/operations/health/slot-jobs.js';
import { openSession, temporaryHome } from '../../../support/operations/join.js';
import { TestOperator } from '../../../support/operations/operator.js';
import { poll, type RedisCluster, type RedisServer, startCluster } from '../../../support/redis.js';
import { FETCH_TIMEOUT_MS } from '../../../support/servers.js';
import { expectSound } from '../../torture/sound.js';
import { fill, type Home, idOf, moveSlots } from '../move/moving.js';

const WAIT_MS = 20_000;
const KEYS = 3_000;
/** Per key of a snapshot, in microseconds: the job lasts until it is cancelled. */
const SLOW_US = 200_000;
/** Longer than a node waits for the first key: so the job fails, whenever it is begun. */
const NEVER_US = 5_000_000;

const SERVERS = [
  {
    name: 'Valkey 9',
    executable: () => newerServers().valkey9,
    begin: (from: RedisServer, _: RedisServer, id: string) =>
      from.call('CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', 0, 399, 'NODE', id),
  },
  {
    name: 'Redis 8.4',
    executable: () => process.env['FORGE_TEST_REDIS_ATOMIC'] ?? redisWithAtomicMigration(),
    begin: (_: RedisServer, to: RedisServer) => to.call('CLUSTER', 'MIGRATION', 'IMPORT', 0, 399),
  },
];

describe.runIf(process.env['CI'] || canHaveNewerServers()).each(SERVERS)('what $name moves by itself', (server) => {
  let cluster: RedisCluster;
  let home: Home;
  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, executable: server.executable() });
    await fill(cluster.masters, KEYS);
    home = await temporaryHome();
  }, FETCH_TIMEOUT_MS);
  afterAll(() => Promise.all([cluster?.stop(), home?.remove()]));

  it('is told once, warned of, refuses other changes, and ends by the command that is told', async () => {
    const [one, two, three] = cluster.masters as [RedisServer, RedisServer, RedisServer];
    await one.call('CONFIG', 'SET', 'rdb-key-save-delay', SLOW_US);
    await server.begin(one, two, await idOf(two));
    const session = await openSession(cluster.addresses);
    try {
      const found = await poll('the job is seen', WAIT_MS, async () => {
        const jobs = await slotJobs(session, await session.look());
        return jobs.length > 0 && jobs;
      });
      expect(found).toMatchObject([
        { slots: [{ start: 0, end: 399 }], slotCount: 400, source: one.address, target: two.address },
      ]);
      const { findings } = examine(session.snapshot, { jobs: found, locks: [] });
      expect(findings.find(({ check }) => check === 'slot-jobs')).toMatchObject({
        verdict: 'WARN',
        reasons: [{ text: expect.stringMatching(/^400 slots \(0-399\) .*; no operation of forge is at work$/) }],
      });
      const other = { seeds: cluster.addresses, home, from: one, to: three, ranges: [{ start: 500, end: 501 }] };
      const tolerant = moveSlots(other, { dryRun: true });
      expect((await tolerant).violations).toMatchObject([{ guard: 'open-slots', effect: 'tolerated' }]);
      const [cancel] = found;
      const node = cluster.masters.find(({ address }) => address === cancel?.cancel.node);
      const [command = '', ...words] = cancel?.cancel.command.split(' ') ?? [];
      await node?.call(command, ...words);
      await poll(
        'the job has ended',
        WAIT_MS,
        async () => (await slotJobs(session, await session.look())).length === 0,
      );
      expect((await moveSlots(other, { dryRun: true })).violations).toEqual([]);
    } finally {
      session.close();
    }
  });
});

describe.runIf(process.env['CI'] || canHaveNewerServers())('a job of Redis that fails again and again', () => {
  it('refuses other changes, is cancelled by fix, and its slots stay where they are, with their keys', {
    timeout: FETCH_TIMEOUT_MS,
  }, async () => {
    const cluster = await startCluster({ masters: 3, executable: SERVERS[1]?.executable() });
    const operator = await TestOperator.create({ CLUSTER_SEED: cluster.addresses });
    try {
      await fill(cluster.masters, KEYS);
      const [one, two, three] = cluster.masters as [RedisServer, RedisServer, RedisServer];
      await one.call('CONFIG', 'SET', 'rdb-key-save-delay', NEVER_US);
      for (const node of [one, two]) await node.call('CONFIG', 'SET', 'repl-timeout', 1);
      await two.call('CLUSTER', 'MIGRATION', 'IMPORT', 0, 399);
      const session = await openSession(cluster.addresses);
      await poll('the job has failed', WAIT_MS, async () => {
        const [job] = await slotJobs(session, await session.look());
        return job?.failing;
      }).finally(() => session.close());
      const other = ['cluster/reshard', ['--ranges', '500-501', '--from', one.address, '--to', three.address]] as const;
      const refused = await operator.run(...other);
      expect(refused.code, refused.stderr).toBe(5);
      expect(refused.stderr).toMatch(/400 slots \(0-399\) .*it failed: .*to end it, forge cluster fix/);
      const fixed = await operator.succeed('cluster/fix', []);
      expect(fixed.stdout + fixed.stderr).toContain(
        `Cancel the job of ${two.address} that fails to fetch 400 slots (0-399)`,
      );
      await one.call('CONFIG', 'SET', 'rdb-key-save-delay', 0);
      await expectSound({ nodes: cluster.nodes, keys: KEYS, name: 'cancelled' });
      await operator.succeed(...other);
      expect((await operator.succeed('cluster/fix', [])).stdout).toContain('All slots are in order');
    } finally {
      await Promise.all([cluster.stop(), operator.remove()]);
    }
  });
});
