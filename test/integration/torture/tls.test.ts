import { describe, expect, it } from 'vitest';
import { unfinishedOperations } from '../../../src/operations/journal/journal.js';
import type { Death } from '../../support/operations/killed-command.js';
import type { RedisServer } from '../../support/redis.js';
import { executableOf, FETCH_TIMEOUT_MS, SERVERS } from '../../support/servers.js';
import { halfMove, importing, migrating, stable } from '../operations/fix/broken.js';
import { fill, idOf, slotOf } from '../operations/move/moving.js';
import { type CommandLine, FULL } from './kills.js';
import { expectSound } from './sound.js';
import { NAMINGS, type SecureCluster, startSecureCluster } from './tls-cluster.js';

const KEYS = 4_000;
const LIFE_MS = 240_000;
/** The others are in the long sweep: a life of a cluster takes its time. */
const cases = (FULL ? SERVERS : SERVERS.slice(0, 1)).flatMap(([title, server]) =>
  (FULL ? NAMINGS : NAMINGS.slice(0, 1)).map(([name, naming]) => ({ title, server, name, naming })),
);

/** It dies, is found by `forge resume` (or undone), and comes to its end. */
async function dies(
  cluster: SecureCluster,
  [command, argv]: CommandLine,
  death: Death,
  then = 'resume',
): Promise<void> {
  const { operator } = cluster;
  expect(await operator.killed(command, argv, death), `${command} was done before it could be killed`).toBe(true);
  const members = await Promise.all(cluster.nodes.map(idOf));
  const [operation] = await unfinishedOperations(operator.paths.journals, members);
  await operator.succeed(then, [operation?.operationId ?? '']);
}

/** Slots of the first two masters, in each way that an interrupted move leaves them. */
async function breakSlots({ masters, auth }: SecureCluster): Promise<void> {
  const [one, two] = masters as [RedisServer, RedisServer];
  const names = new Map<number, string[]>();
  for (let i = 0; i < KEYS; i++) {
    const slot = slotOf(`key:${i}`);
    if (slot < 4_000) names.set(slot, [...(names.get(slot) ?? []), `key:${i}`]);
  }
  const some = [...names].filter(([, keys]) => keys.length > 1).slice(0, 3) as [number, string[]][];
  const half = ([, keys]: [number, string[]]) => keys.slice(0, 1);
  for (const each of some) await halfMove(one, two, each[0], half(each), { auth });
  await stable(one, some[1]?.[0] as number);
  await stable(two, some[2]?.[0] as number);
  await migrating(one, 4_001, two);
  await importing(two, 4_002, one);
}

describe.each(cases)('a cluster of $title, $name, over TLS, as an ACL user', ({ server, naming }) => {
  it('comes through every command, killed and gone on with', { timeout: LIFE_MS + FETCH_TIMEOUT_MS }, async () => {
    const cluster = await startSecureCluster({
      naming,
      executable: executableOf(server),
      masters: 3,
      replicasPerMaster: 1,
      spares: 2,
    });
    const { operator, masters, replicas, nodes } = cluster;
    const [one] = masters as [RedisServer];
    const [added, fresh] = cluster.spares as [RedisServer, RedisServer];
    let traffic: Awaited<ReturnType<typeof cluster.startTraffic>> | undefined;
    try {
      await fill(masters, KEYS);
      traffic = await cluster.startTraffic();
      const sound = (name: string, members = nodes) => expectSound({ nodes: members, keys: KEYS, traffic, name });
      const add: CommandLine = ['scale/add', [added.address, '--weight', '0.1', '--method', 'migrate']];
      await dies(cluster, add, { mutation: 5, word: 'MIGRATE' });
      await sound('added', [...nodes, added]);
      const weigh: CommandLine = ['cluster/rebalance', ['--weight', `${one.address}=1.1`, '--threshold', '0']];
      await dies(cluster, weigh, { line: 4, moment: 'after' }, 'rollback');
      await sound('undone', [...nodes, added]);
      await breakSlots(cluster);
      await dies(cluster, ['cluster/fix', []], { mutation: 3 });
      await sound('repaired', [...nodes, added]);
      await dies(cluster, ['scale/remove', [added.address]], { line: 5, moment: 'after' });
      await sound('removed');
      await operator.succeed('cluster/failover', [replicas[0]?.address ?? '']);
      await dies(cluster, ['cluster/replace', [one.address, fresh.address]], { line: 4, moment: 'after' });
      await dies(cluster, ['cluster/failover', [fresh.address]], { line: 3, moment: 'after' });
      await sound('replaced', nodes.with(0, fresh));
      expect(await cluster.denied()).toEqual([]);
      expect(traffic.errors).toEqual([]);
    } finally {
      await traffic?.stop();
      await cluster.stop();
    }
  });
});
