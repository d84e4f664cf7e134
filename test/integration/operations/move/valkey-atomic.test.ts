import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { StepEvent } from '../../../../src/operations/step.js';
import { temporaryHome } from '../../../support/operations/join.js';
import { type RedisCluster, startCluster } from '../../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../../support/servers.js';
import { expectKeys, expectOwned, fill, type Home, moveSlots } from './moving.js';

const PASSWORD = 'atomic secret';
const KEYS = 20_000;

describe.runIf(SERVERS.some(([, name]) => name === 'valkey9'))('moving slots by Valkey’s atomic migration', () => {
  let cluster: RedisCluster;
  let home: Home;
  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, requirepass: PASSWORD, executable: executableOf('valkey9') });
    await fill(cluster.masters, KEYS);
  }, FETCH_TIMEOUT_MS);
  afterAll(() => cluster?.stop());
  beforeAll(async () => {
    home = await temporaryHome();
  });
  afterEach(async () => {
    await home.remove();
    home = await temporaryHome();
  });

  const pair = (from: number, to: number, ranges = [{ start: 0, end: 2000 }]) => ({
    seeds: cluster.addresses,
    home,
    from: cluster.masters[from] as RedisCluster['masters'][0],
    to: cluster.masters[to] as RedisCluster['masters'][0],
    ranges,
    password: PASSWORD,
  });

  it('takes every key along, says which way was taken, and every node knows the new owner', async () => {
    const events: StepEvent[] = [];
    const setting = pair(0, 1, [
      { start: 0, end: 1000 },
      { start: 1500, end: 2000 },
    ]);
    const result = await moveSlots(setting, { observer: { event: (_, event) => events.push(event) } });
    expect(result.status).toBe('done');
    await expectOwned(cluster.nodes, setting.to, setting.ranges);
    await expectKeys(cluster.masters, KEYS);
    expect(events).toContainEqual({ type: 'note', text: 'moving by CLUSTER MIGRATESLOTS' });
    expect(events.at(-1)).toMatchObject({ type: 'progress', slotsDone: 1502, slotsTotal: 1502, secondsLeft: 0 });
  });
});
