import { describe, expect, it } from 'vitest';
import { temporaryHome } from '../../../support/operations/join.js';
import { poll, type RedisServer, startRedis } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../../support/servers.js';
import { describeAtomicMoves } from './atomic-suite.js';
import { expectKeys, expectOwned, fill, idOf, moveSlots } from './moving.js';

const FORM_MS = 20_000;
const KEYS = 2_000;

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

  it('and a server without it move slots by MIGRATE, and that is said', { timeout: FETCH_TIMEOUT_MS }, async () => {
    const old = await startRedis({ cluster: true });
    const home = await temporaryHome();
    let young: RedisServer | undefined;
    try {
      young = await startRedis({ cluster: true, executable: executableOf('valkey9') });
      await old.call('CLUSTER', 'ADDSLOTSRANGE', 0, 8191);
      await young.call('CLUSTER', 'ADDSLOTSRANGE', 8192, 16_383);
      await young.call('CLUSTER', 'SET-CONFIG-EPOCH', 2);
      await old.call('CLUSTER', 'MEET', young.host, young.port);
      const servers = [old, young];
      await poll('the cluster is formed', FORM_MS, async () => {
        const infos = await Promise.all(servers.map((server) => server.call('CLUSTER', 'INFO')));
        return infos.every((info) => /cluster_state:ok[\s\S]*cluster_known_nodes:2/.test(String(info)));
      });
      await fill(servers, KEYS);
      const notes: string[] = [];
      const setting = { seeds: old.address, home, from: old, to: young, ranges: [{ start: 0, end: 2_000 }] };
      const result = await moveSlots(setting, {
        force: ['versions'],
        observer: { event: (_, event) => void (event.type === 'progress' || notes.push(event.text)) },
      });
      expect(result.status).toBe('done');
      expect(notes).toContain(`MIGRATE is taken: only ${young.address} can move slots atomically`);
      await expectOwned(servers, young, setting.ranges);
      await expectKeys(servers, KEYS);
    } finally {
      await Promise.all([old.stop(), young?.stop(), home.remove()]);
    }
  });
});
