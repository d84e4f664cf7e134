/** A master without slots becomes a replica, and a replica throws its keys away: also those that were on their way to it. */
import { expect, it } from 'vitest';
import { listOperations } from '../../../src/operations/journal/journal.js';
import { TestOperator } from '../../support/operations/operator.js';
import { startCluster, startRedis } from '../../support/redis.js';
import { fill } from '../operations/move/moving.js';
import { FULL } from './kills.js';
import { expectSound } from './sound.js';

const KEYS = 12_000;
const RUN_MS = 90_000;
/** Of the batches that go to the new master, from several sources at once. */
const BATCHES = FULL ? [1, 2, 3, 6, 9, 14, 20, 30, 45, 60] : [9];

it.each(BATCHES)(
  'adding that was killed at batch %i is undone without losing a key',
  { timeout: RUN_MS },
  async (mutation) => {
    const cluster = await startCluster({ masters: 3 });
    const spare = await startRedis({ cluster: true });
    const operator = await TestOperator.create({ CLUSTER_SEED: cluster.addresses });
    try {
      await fill(cluster.masters, KEYS);
      const argv = [spare.address, '--weight', '0.08', '--method', 'migrate'];
      expect(await operator.killed('scale/add', argv, { mutation, word: 'MIGRATE', afterMs: 2 })).toBe(true);
      const [operation] = await listOperations(operator.paths.journals);
      await operator.succeed('rollback', [operation?.operationId ?? '']);
      await expectSound({ nodes: cluster.nodes, keys: KEYS, name: `undone after batch ${mutation}` });
    } finally {
      await Promise.all([cluster.stop(), spare.stop(), operator.remove()]);
    }
  },
);
