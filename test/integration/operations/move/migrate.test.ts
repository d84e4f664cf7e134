import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { temporaryHome } from '../../../support/operations/join.js';
import { type RedisCluster, startCluster } from '../../../support/redis.js';
import { expectKeys, expectOwned, fill, type Home, moveSlots } from './moving.js';

const PASSWORD = 'moving secret';
const KEYS = 5_000;

let cluster: RedisCluster;
let home: Home;

beforeEach(async () => {
  home = await temporaryHome();
  cluster = await startCluster({ masters: 3, requirepass: PASSWORD });
});
afterEach(async () => {
  await Promise.all([cluster?.stop(), home?.remove()]);
});

const test = (options: Partial<Parameters<typeof moveSlots>[0]> = {}) => {
  const [from, to] = cluster.masters as [RedisCluster['masters'][0], RedisCluster['masters'][0]];
  return {
    seeds: cluster.addresses,
    home,
    from,
    to,
    ranges: [{ start: 0, end: 2000 }],
    password: PASSWORD,
    ...options,
  };
};

describe('moving slots by MIGRATE', () => {
  it('takes every key along, and every node knows the new owner', async () => {
    await fill(cluster.masters, KEYS);
    const setting = test();
    const result = await moveSlots(setting);
    expect(result.status).toBe('done');
    await expectOwned(cluster.nodes, setting.to, setting.ranges);
    await expectKeys(cluster.masters, KEYS);
  });
});
