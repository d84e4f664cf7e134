import { describe } from 'vitest';
import { executableOf, SERVERS } from '../../../support/servers.js';
import { describeAtomicMoves } from './atomic-suite.js';
import { idOf } from './moving.js';

describe.runIf(SERVERS.some(([, name]) => name === 'valkey9'))('Valkey 9', () => {
  describeAtomicMoves({
    name: 'CLUSTER MIGRATESLOTS',
    note: 'moving by CLUSTER MIGRATESLOTS',
    byMasterauth: true,
    executable: () => executableOf('valkey9'),
    begin: async (from, to, start, end) => {
      await from.call('CLUSTER', 'MIGRATESLOTS', 'SLOTSRANGE', start, end, 'NODE', await idOf(to));
    },
    running: async (node) => {
      const jobs = (await node.call('CLUSTER', 'GETSLOTMIGRATIONS')) as string[][];
      const state = (job: string[]) => job[job.indexOf('state') + 1] ?? '';
      return jobs.filter((job) => !['success', 'failed', 'cancelled'].includes(state(job))).length;
    },
  });
});
