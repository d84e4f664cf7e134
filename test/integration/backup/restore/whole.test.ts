import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forge } from '../../../support/forge.js';
import { type RedisCluster, startCluster } from '../../../support/redis.js';
import { addGroup, contentOf, DEBUG, empty, everything, LIBRARY, makePlace, type Place, write } from './fixtures.js';

const START_MS = 120_000;
const PASSWORD_HASH = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

let place: Place;
let source: RedisCluster;
let target: RedisCluster;

beforeAll(async () => {
  place = await makePlace();
  [source, target] = await Promise.all([
    startCluster({ args: [...DEBUG, '--appendonly', 'yes'] }),
    startCluster({ masters: 4, args: DEBUG }),
  ]);
  await write(source.masters, everything());
  await addGroup(source.masters);
  for (const master of source.masters) {
    await master.call('FUNCTION', 'LOAD', LIBRARY);
    await master.call('ACL', 'SETUSER', 'app', 'on', `#${PASSWORD_HASH}`, '~app:*', '+@read');
  }
}, START_MS);
afterAll(async () => {
  await Promise.all([source?.stop(), target?.stop()]);
  await place?.remove();
});

describe.each(['network', 'files'])('a backup of forge by the %s', (kind) => {
  it(
    'is given back by forge, with its users only when that is asked for',
    async () => {
      await empty(target.nodes);
      for (const node of target.nodes) await node.call('ACL', 'DELUSER', 'app');
      const run = async (seed: string, ...words: string[]) => {
        const common = [
          '--config',
          '/dev/null',
          '--env-file',
          '/dev/null',
          '--cluster',
          kind,
          '--seed',
          seed,
          '--json',
        ];
        const result = await forge([...words, ...common], { env: { FORGE_HOME: path.join(place.directory, 'home') } });
        expect(result.code, result.stdout + result.stderr).toBe(0);
        return JSON.parse(result.stdout);
      };
      const to = path.join(place.directory, 'store');
      await run(source.addresses, 'backup', '--to', to, '--source', kind);
      const content = await contentOf(source.masters);
      const result = await run(target.addresses, 'restore', '--from', to, '--yes');
      expect(result).toMatchObject({ restored: content.size, users: [], functions: { loaded: ['orders'] } });
      expect(await contentOf(target.masters)).toEqual(content);
      expect(await target.nodes[0]?.call('ACL', 'LIST')).toHaveLength(1);
      const again = await run(target.addresses, 'restore', '--from', to, '--keep-existing', '--acl', '--yes');
      expect(again).toMatchObject({ restored: 0, existing: content.size, users: ['app'] });
      for (const node of target.nodes) {
        expect(String(await node.call('ACL', 'LIST'))).toMatch(new RegExp(`user app on .*#${PASSWORD_HASH} .*~app:`));
      }
    },
    START_MS,
  );
});
