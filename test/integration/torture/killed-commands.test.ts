import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import { unfinishedOperations } from '../../../src/operations/journal/journal.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { fill, idOf } from '../operations/move/moving.js';
import { expectSound } from './sound.js';

const PASSWORD = 'torture secret';
const KEYS = 12_000;
/** A share of so much is some 400 slots: more than a dozen groups on their way. */
const WEIGHT = '0.08';
const MOMENTS = ['before', 'torn', 'after'] as const;
const RUNS_MAX = 60;

let cluster: RedisCluster;
let spare: RedisServer;
let operator: TestOperator;
let traffic: Traffic;

beforeAll(async () => {
  [cluster, spare] = await Promise.all([
    startCluster({ masters: 3, requirepass: PASSWORD }),
    startRedis({ cluster: true, requirepass: PASSWORD }),
  ]);
  await fill(cluster.masters, KEYS);
  operator = await TestOperator.create({ REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: cluster.masters[1]?.address });
  traffic = await Traffic.start(parseAddressList(cluster.addresses), { password: PASSWORD });
});
afterAll(async () => {
  await traffic?.stop();
  await Promise.all([cluster?.stop(), spare?.stop(), operator?.remove()]);
});
afterEach(() => expect(traffic.errors).toEqual([]));

const add = () => ['scale/add', [spare.address, '--weight', WEIGHT]] as const;
const remove = () => ['scale/remove', [spare.address]] as const;

describe('a command that is killed again and again', () => {
  it('adds a master in the end, and takes it out again, and no client ever notices', async () => {
    await storm(...add());
    await expectSound({ nodes: [...cluster.nodes, spare], keys: KEYS, traffic, name: 'added' });
    await storm(...remove());
    await expectSound({ nodes: cluster.nodes, keys: KEYS, traffic, name: 'removed' });
    expect(String(await spare.call('CLUSTER', 'INFO'))).toContain('cluster_known_nodes:1');
  });
});

/** Each run dies at the third line that it writes: what it was doing is begun, and perhaps done. Returns the runs it took. */
async function storm(command: string, argv: readonly string[]): Promise<number> {
  const members = [await idOf(cluster.masters[0] as RedisServer)];
  for (let runs = 1; ; runs++) {
    expect(runs).toBeLessThan(RUNS_MAX);
    const moment = MOMENTS[runs % MOMENTS.length] as (typeof MOMENTS)[number];
    if (!(await operator.killed(command, argv, { line: 3, moment }))) return runs;
    if ((await unfinishedOperations(operator.paths.journals, members)).length === 0) return runs;
  }
}
