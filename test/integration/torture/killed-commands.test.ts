import { describe, expect, it } from 'vitest';
import type { RedisServer } from '../../support/redis.js';
import { breakSlots, type CommandLine, deaths, expectDeaths, FULL, progress, storm, sweep } from './kills.js';
import { useLoadedCluster } from './loaded-cluster.js';

/** Some thirty processes, one after the other, on a machine that does other things as well. */
const STORM_MS = 240_000;
/** A dozen slots are repaired by few changes of nodes. */
const FIX_STEP = 5;

const loaded = useLoadedCluster({ password: 'torture secret', keys: 12_000 });

const remove = (): CommandLine => ['scale/remove', [loaded().spare.address]];
const first = () => loaded().cluster.masters[0] as RedisServer;
const second = () => loaded().cluster.masters[1] as RedisServer;
const weigh = (): CommandLine => ['cluster/rebalance', ['--weight', `${first().address}=1.05`, '--threshold', '0']];
const even = (): CommandLine => ['cluster/rebalance', ['--threshold', '0']];
const fix = (): CommandLine => ['cluster/fix', []];

describe('a command that is killed again and again', { timeout: STORM_MS }, () => {
  it('adds a master in the end, and takes it out again', async () => {
    const { cluster, spare, operator, add, sound } = loaded();
    await storm(operator, first(), add);
    await sound('added', [...cluster.nodes, spare]);
    await storm(operator, first(), remove());
    await sound('removed');
    expect(String(await spare.call('CLUSTER', 'INFO'))).toContain('cluster_known_nodes:1');
  });

  it('brings masters to their shares in the end', async () => {
    const { operator, sound } = loaded();
    await storm(operator, first(), weigh());
    await sound('weighed');
    await operator.succeed(...even());
    await sound('even');
  });

  it('finishes slots that the target has taken over and the source has not heard of', async () => {
    const { operator, sound } = loaded();
    const three = (target: RedisServer): CommandLine => [
      'cluster/reshard',
      ['--ranges', '99-101', '--to', target.address],
    ];
    // The target is told of three slots, then the source: there it dies.
    expect(await operator.killed(...three(second()), { mutation: 4, word: 'NODE' })).toBe(true);
    await operator.succeed(...three(second()));
    await sound('half told');
    await operator.succeed(...three(first()));
    await sound('and back');
  });

  it('repairs slots in the end', async () => {
    const { operator, traffic, sound } = loaded();
    await breakSlots(first(), second(), traffic.names);
    await storm(operator, first(), fix());
    await sound('fixed');
  });
});

describe.runIf(FULL)('a command that is killed at any one moment', () => {
  const HOURS_MS = 3 * 3_600_000;

  it('is finished by the same command: adding and removing a master', { timeout: HOURS_MS }, async () => {
    const { cluster, spare, operator, add, sound } = loaded();
    const pair = [add, remove()] as const;
    const count = await sweep(operator, pair, (name, line) =>
      sound(name, line === pair[0] ? [...cluster.nodes, spare] : cluster.nodes),
    );
    expectDeaths(count, 60);
  });

  it('is finished by the same command: rebalancing', { timeout: HOURS_MS }, async () => {
    const { operator, sound } = loaded();
    expectDeaths(await sweep(operator, [weigh(), even()], (name) => sound(name)), 30);
  });

  it('is finished by the same command: repairing', { timeout: HOURS_MS }, async () => {
    const { operator, traffic, sound } = loaded();
    let count = 0;
    const outlived = new Set<'line' | 'mutation'>();
    for (const { death, kind } of deaths(FIX_STEP)) {
      if (outlived.size === 2) break;
      if (outlived.has(kind)) continue;
      const name = `fix ${JSON.stringify(death)}`;
      progress(name, count + 1);
      await breakSlots(first(), second(), traffic.names);
      if (await operator.killed(...fix(), death)) count++;
      else outlived.add(kind);
      await operator.succeed(...fix());
      await sound(name);
    }
    expectDeaths(count, 30);
  });
});
