import { describe } from 'vitest';
import { canHaveNewerServers, redisWithAtomicMigration } from '../../../../scripts/newer-servers.js';
import { describeAtomicMoves } from './atomic-suite.js';

/** Names a redis-server of 8.4 or newer, where none is to be fetched. */
const named = process.env['FORGE_TEST_REDIS_ATOMIC'];

describe.runIf(named !== undefined || process.env['CI'] || canHaveNewerServers())('Redis 8.4 and newer', () => {
  describeAtomicMoves({
    name: 'CLUSTER MIGRATION',
    note: 'moving by CLUSTER MIGRATION',
    byMasterauth: false,
    executable: () => named ?? redisWithAtomicMigration(),
    begin: async (_, to, start, end) => {
      await to.call('CLUSTER', 'MIGRATION', 'IMPORT', start, end);
    },
    running: async (node) => {
      const tasks = (await node.call('CLUSTER', 'MIGRATION', 'STATUS', 'ALL')) as string[][];
      const value = (task: string[], name: string) => task[task.indexOf(name) + 1] ?? '';
      const ended = (task: string[]) =>
        ['completed', 'canceled'].includes(value(task, 'state')) ||
        (value(task, 'operation') === 'migrate' && value(task, 'state') === 'failed');
      return tasks.filter((task) => !ended(task)).length;
    },
  });
});
