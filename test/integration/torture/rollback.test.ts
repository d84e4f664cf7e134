/** Undoing is killed as well, again and again: what was begun to be undone is undone in the end. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import { listOperations } from '../../../src/operations/journal/journal.js';
import type { Death } from '../../support/operations/killed-command.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { tablesOf } from '../cluster/formed.js';
import { fill } from '../operations/move/moving.js';
import { type CommandLine, deaths, FULL } from './kills.js';
import { expectSound } from './sound.js';

const PASSWORD = 'rollback secret';
const KEYS = 12_000;
const RUN_MS = 240_000;
const HOURS_MS = 3 * 3_600_000;
/** Amid a later group of slots: groups have moved, some slots are open. */
const AMID = 330;

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

const reshard = (): CommandLine => [
  'cluster/reshard',
  ['--ranges', '0-399', '--to', (cluster.masters[1] as RedisServer).address],
];
const add = (): CommandLine => ['scale/add', [spare.address, '--weight', '0.08']];

const unfinished = async () =>
  (await listOperations(operator.paths.journals)).filter(({ result }) => result === undefined);

/** Begins the change, is killed amid it, and returns the table that the cluster had before, and the operation. */
async function begun([command, argv]: CommandLine, death: Death) {
  const [before] = await tablesOf(cluster.masters);
  expect(await operator.killed(command, argv, death)).toBe(true);
  const [operation] = await unfinished();
  return { signature: before?.signature, id: operation?.operationId ?? '' };
}

/** Nothing of the change is left: the slots are where they were, with all keys. */
async function expectUndone(name: string, signature: string | undefined): Promise<void> {
  await expectSound({ nodes: cluster.nodes, keys: KEYS, traffic, name });
  expect((await tablesOf(cluster.masters))[0]?.signature, name).toBe(signature);
}

describe('a rollback that is killed', { timeout: RUN_MS }, () => {
  it('is finished by the same rollback, and by nothing else', async () => {
    const { id, signature } = await begun(reshard(), { mutation: AMID });
    expect(await operator.killed('rollback', [id], { mutation: AMID / 2 })).toBe(true);
    const refused = await operator.run('resume', [id]);
    expect(refused.code, refused.stderr).toBe(5);
    expect(refused.stderr).toContain(`forge rollback ${id}`);
    const again = await operator.run(...reshard());
    expect(again.code, again.stderr).toBe(5);
    // What is undone is written down, and the end is not.
    expect(await operator.killed('rollback', [id], { line: 3, moment: 'after' })).toBe(true);
    await operator.succeed('rollback', [id]);
    await expectUndone('rolled back', signature);
  });
});

describe.runIf(FULL)('a rollback that is killed at any one moment', { timeout: HOURS_MS }, () => {
  it.each([
    ['moved slots', reshard, 20],
    ['a new master', add, 20],
  ] as const)('is finished by the same rollback: %s', async (_, line, least) => {
    let count = 0;
    for (const { death, kind } of deaths()) {
      const { id, signature } = await begun(line(), { mutation: AMID + 7 * (count % 13) });
      const died = await operator.killed('rollback', [id], death);
      // One that died after its last line was done.
      if (died && (await unfinished()).length > 0) await operator.succeed('rollback', [id]);
      await expectUndone(`rollback ${JSON.stringify(death)}`, signature);
      if (died) count++;
      else if (kind === 'mutation') break;
    }
    expect(count).toBeGreaterThan(least);
  });
});
