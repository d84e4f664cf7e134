import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListedBackup } from '../../../../src/backup/catalogue.js';
import { forge, startForge } from '../../../support/forge.js';
import { type RedisCluster, startCluster } from '../../../support/redis.js';
import { backUp, contentOf, DEBUG, empty, makePlace, type Place } from './fixtures.js';

const KEYS = 40_000;
const FULL = process.env['FORGE_TORTURE'] === 'full';
const ROUNDS = FULL ? 20 : 1;
/** Of one restore: the last attempt is let go. */
const KILLS = 3;
const START_MS = 120_000;
const ROUND_MS = 120_000;

let place: Place;
let source: RedisCluster;
let target: RedisCluster;
let backup: ListedBackup;
let content: Map<string, string>;

beforeAll(async () => {
  place = await makePlace();
  [source, target] = await Promise.all([startCluster({ masters: 1, args: DEBUG }), startCluster({ args: DEBUG })]);
  await source.masters[0]?.call('DEBUG', 'POPULATE', KEYS, 'key', 64);
  content = await contentOf(source.masters);
  backup = await backUp(place.store, source.masters);
}, START_MS);
afterAll(async () => {
  await Promise.all([source?.stop(), target?.stop()]);
  await place?.remove();
});

const words = () => [
  ...['restore', backup.id, '--from', place.store.place, '--config', '/dev/null', '--env-file', '/dev/null'],
  ...['--seed', target.addresses, '--yes', '--json'],
];
const env = () => ({ FORGE_HOME: path.join(place.directory, 'home') });

describe('a restore over keys', () => {
  it(
    'asks for the name of the cluster, which --yes does not give',
    async () => {
      await empty(target.nodes);
      expect((await forge(words(), { env: env() })).code).toBe(0);
      const dry = await forge([...words(), '--replace', '--dry-run'], { env: env() });
      expect(JSON.parse(dry.stdout)).toMatchObject({
        status: 'planned',
        plan: { keys: KEYS, existingKeys: KEYS, existing: 'replace', counted: true },
      });
      const refused = await forge(words(), { env: env() });
      expect([refused.code, refused.stdout]).toEqual([5, expect.stringContaining('The cluster holds')]);
      for (const more of [[], ['--confirm', 'another']]) {
        const asked = await forge([...words(), '--replace', ...more], { env: env() });
        expect([asked.code, asked.stdout]).toEqual([5, expect.stringContaining('--confirm orders')]);
      }
      const done = await forge([...words(), '--replace', '--confirm', 'orders'], { env: env() });
      expect(JSON.parse(done.stdout)).toMatchObject({ status: 'restored', restored: KEYS, existing: 0 });
    },
    ROUND_MS,
  );
});

describe('a restore that is killed', () => {
  it(
    'goes on where it was, and writes over nothing that came into being meanwhile',
    async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await empty(target.nodes);
        for (let kill = 0; kill < KILLS; kill++) {
          const running = startForge(words(), { env: env() });
          const first = Date.now();
          // From the moment at which keys arrive, some more or less.
          while (running.child.exitCode === null && Date.now() - first < START_MS) {
            const sizes = await Promise.all(target.masters.map((master) => master.call('DBSIZE')));
            if (sizes.reduce<number>((sum, size) => sum + Number(size), 0) > (kill * KEYS) / (KILLS + 1)) break;
            await sleep(5);
          }
          await sleep(Math.random() * 100);
          running.child.kill('SIGKILL');
          await running.ended;
        }
        const done = await forge(words(), { env: env() });
        expect(done.code, done.stderr).toBe(0);
        expect(await contentOf(target.masters)).toEqual(content);
      }
    },
    ROUNDS * ROUND_MS,
  );
});
