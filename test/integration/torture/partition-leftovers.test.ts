/** A MIGRATE that arrived without the source's hearing of it, and a client that then wrote to the key at the source. */
import { expect, it } from 'vitest';
import { TestOperator } from '../../support/operations/operator.js';
import { poll, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { tablesOf } from '../cluster/formed.js';
import { slotOf } from '../operations/move/moving.js';
import { FULL } from './kills.js';

const PASSWORD = 'leftover secret';
const RUN_MS = 120_000;
const ARRIVES_MS = 20_000;
/** What is written survives the process, and clients are served while one master is silent. */
const KEPT = ['--appendonly', 'yes', '--cluster-require-full-coverage', 'no'];
/** In the first third of the slots, alone there. */
const KEY = 'counter:3';

const CASES = [
  { restarted: false, ends: 'goes on with the value of the source' },
  { restarted: true, ends: 'names the key when the source was restarted: it may have forgotten that the key had left' },
];

it.concurrent.each(FULL ? CASES : CASES.slice(0, 1))('a move $ends', { timeout: RUN_MS }, async ({ restarted }) => {
  const cluster = await startCluster({ masters: 3, requirepass: PASSWORD, args: KEPT });
  const [source, target] = cluster.masters as [RedisServer, RedisServer];
  const operator = await TestOperator.create({ REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: cluster.addresses });
  let again: RedisServer | undefined;
  try {
    await source.call('SET', KEY, 'old');
    const argv = ['--to', target.address, '--from', source.address, '--ranges', String(slotOf(KEY))];
    const death = { mutation: 1, word: 'MIGRATE' };
    const victim = { pid: target.pid, signal: 'SIGSTOP' } as const;
    const result = await operator.run('cluster/reshard', [...argv, '--timeout', '3s'], { death, victim });
    expect([4, 8], result.stderr).toContain(result.code);
    await source.call('SET', KEY, 'new');
    await target.kill('SIGCONT');
    await poll('the key has arrived', ARRIVES_MS, async () => (await target.call('DBSIZE')) === 1);
    if (restarted) {
      await source.kill();
      again = await startRedis({
        cluster: true,
        requirepass: PASSWORD,
        port: source.port,
        args: ['--dir', source.dir, ...KEPT],
      });
    }
    const second = await operator.run('cluster/reshard', [...argv, '--timeout', '30s']);
    if (restarted) {
      expect(second.stderr).toContain(`different values of "${KEY}"`);
      expect(await source.call('GET', KEY)).toBe('new');
    } else {
      expect(second.code, second.stderr).toBe(0);
      expect(await target.call('GET', KEY)).toBe('new');
      expect(await source.call('DBSIZE')).toBe(0);
    }
    for (const table of await tablesOf(cluster.nodes)) expect(table.openSlots).toEqual([]);
  } finally {
    await again?.stop();
    await Promise.all([cluster.stop(), operator.remove()]);
  }
});
