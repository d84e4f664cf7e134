/** Hosts that lose each other in the middle of a move, without a word: nothing is refused, nothing is answered. */
import { expect, it } from 'vitest';
import type { TestOperator } from '../../support/operations/operator.js';
import { poll } from '../../support/redis.js';
import { FULL } from './kills.js';
import { type Hosts, KEYS, withPartitions } from './partition-cluster.js';
import { bothWays, type OneWay } from './partition-network.js';
import { expectSound } from './sound.js';

const RUN_MS = 180_000;
/** Some 40 keys: so they are on their way when something is cut, and connections are open. */
const SLOWLY = ['--keys-per-second', '30'];
/** Exit code. */
const LOCKED = 6;
const LOCK_MS = 60_000;
/** What is silent is found out by the bound of a MIGRATE or of an answer, and forge gives up after its --timeout. */
const GIVES_UP_MS = 60_000;
/** Amid the marks, amid the keys, amid the end of groups. */
const MOMENTS = FULL ? [1, 30, 58, 62, 70, 80, 90, 110] : [70];

const CUTS: Record<string, (hosts: Hosts) => OneWay[]> = {
  'source and target': ({ source, target }) => bothWays(source, target),
  // Keys arrive, and the source does not hear of it: both have them.
  'source and the answers of the target': ({ source, target }) => [[target, source]],
  'target and what the source sends': ({ source, target }) => [[source, target]],
  'forge and source': ({ forge, source }) => bothWays(forge, source),
  'forge and target': ({ forge, target }) => bothWays(forge, target),
  'forge and the answers of the target': ({ forge, target }) => [[target, forge]],
  'forge and all nodes': ({ forge, ...nodes }) => Object.values(nodes).flatMap((node) => bothWays(forge, node)),
  'target and the other nodes': ({ target, source, bystander }) =>
    [source, bystander].flatMap((node) => bothWays(target, node)),
  'source and the other nodes': ({ target, source, bystander }) =>
    [target, bystander].flatMap((node) => bothWays(source, node)),
  'target and everybody': ({ target, ...others }) => Object.values(others).flatMap((host) => bothWays(target, host)),
  'source and everybody': ({ source, ...others }) => Object.values(others).flatMap((host) => bothWays(source, host)),
};
const CI_CUTS = ['source and the answers of the target'];

const cases = MOMENTS.flatMap((mutation) =>
  (FULL ? Object.keys(CUTS) : CI_CUTS).map((between) => ({ between, mutation })),
);

it.concurrent.each(cases)(
  'nothing is lost when $between lose each other at change $mutation of a move, and it goes on when they are back',
  { timeout: RUN_MS },
  ({ between, mutation }) =>
    withPartitions(async ({ network, hosts, nodes, operator, traffic, reshard }) => {
      const cutter = await network.cutter((CUTS[between] as (typeof CUTS)[string])(hosts));
      const started = performance.now();
      const result = await operator.run('cluster/reshard', [...reshard, ...SLOWLY, '--timeout', '3s'], {
        death: { mutation },
        victim: { pid: cutter.pid, signal: 'SIGTERM' },
        wrapper: hosts.forge.enter,
      });
      expect(performance.now() - started).toBeLessThan(GIVES_UP_MS);
      expect(result.signal, result.stderr).toBeNull();
      if (result.code !== 0) {
        expect([4, 7, 8, 9], result.stderr).toContain(result.code);
        expect(result.stderr).toMatch(/forge resume \d{8}-\d{6}-/);
      }
      expect(await cutter.done).toBe(0);
      network.heal();
      await goOn(operator, reshard);
      await expectSound({ nodes, keys: KEYS, traffic, name: `${between} ${mutation}: ${result.stderr}` });
    }),
);

/** A node that was cut off has not heard that the first run has ended: its lock lasts until it expires. */
async function goOn(operator: TestOperator, reshard: readonly string[]): Promise<void> {
  const result = await poll('the lock expires', LOCK_MS, async () => {
    const again = await operator.run('cluster/reshard', [...reshard, '--timeout', '30s']);
    return again.code !== LOCKED && again;
  });
  expect(result.code, result.stderr).toBe(0);
}
