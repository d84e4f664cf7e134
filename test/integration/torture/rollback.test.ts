/** Undoing is killed as well, again and again: what was begun to be undone is undone in the end. */
import { describe, expect, it } from 'vitest';
import { listOperations } from '../../../src/operations/journal/journal.js';
import type { Death } from '../../support/operations/killed-command.js';
import type { RedisServer } from '../../support/redis.js';
import { tablesOf } from '../cluster/formed.js';
import { type CommandLine, deaths, expectDeaths, FULL, progress } from './kills.js';
import { useLoadedCluster } from './loaded-cluster.js';

const RUN_MS = 240_000;
const HOURS_MS = 3 * 3_600_000;
/** Amid a later group of slots: groups have moved, some slots are open. */
const AMID = 330;
/** There are not more changes to take back than were made; a prime. */
const STEP = 61;

const loaded = useLoadedCluster({ password: 'rollback secret', keys: 12_000 });

const reshard = (): CommandLine => [
  'cluster/reshard',
  ['--ranges', '0-399', '--to', (loaded().cluster.masters[1] as RedisServer).address],
];
const add = () => loaded().add;

const unfinished = async () =>
  (await listOperations(loaded().operator.paths.journals)).filter(({ result }) => result === undefined);

/** Begins the change, is killed amid it, and returns the table that the cluster had before, and the operation. */
async function begun([command, argv]: CommandLine, death: Death) {
  const { cluster, operator } = loaded();
  const [before] = await tablesOf(cluster.masters);
  expect(await operator.killed(command, argv, death)).toBe(true);
  const [operation] = await unfinished();
  return { signature: before?.signature, id: operation?.operationId ?? '' };
}

/** Nothing of the change is left: the slots are where they were, with all keys. */
async function expectUndone(name: string, signature: string | undefined): Promise<void> {
  const { cluster, sound } = loaded();
  await sound(name);
  expect((await tablesOf(cluster.masters))[0]?.signature, name).toBe(signature);
}

describe('a rollback that is killed', { timeout: RUN_MS }, () => {
  it('is finished by the same rollback, and by nothing else', async () => {
    const { operator } = loaded();
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
    ['moved slots', reshard, 15],
    ['a new master', add, 15],
  ] as const)('is finished by the same rollback: %s', async (_, line, least) => {
    const { operator } = loaded();
    let count = 0;
    const outlived = new Set<'line' | 'mutation'>();
    for (const { death, kind } of deaths(STEP)) {
      if (outlived.size === 2) break;
      if (outlived.has(kind)) continue;
      const name = `rollback ${JSON.stringify(death)}`;
      progress(name, count + 1);
      const { id, signature } = await begun(line(), { mutation: AMID + 7 * (count % 13) });
      const died = await operator.killed('rollback', [id], death);
      // One that died after its last line was done.
      if (died && (await unfinished()).length > 0) await operator.succeed('rollback', [id]);
      await expectUndone(name, signature);
      if (died) count++;
      else outlived.add(kind);
    }
    expectDeaths(count, least);
  });
});
