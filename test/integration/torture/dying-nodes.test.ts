import { expect, it } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import type { Victim } from '../../support/operations/killed-command.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { fill } from '../operations/move/moving.js';
import { FULL } from './kills.js';
import { expectSound } from './sound.js';

const PASSWORD = 'dying secret';
const KEYS = 6_000;
/** What is acknowledged survives the process: the file is written before the answer is. */
const KEPT = ['--appendonly', 'yes'];
const RUN_MS = 90_000;
/** A node that hangs is found out by the bound of a MIGRATE, and forge gives up after its --timeout. */
const GIVES_UP_MS = 60_000;

const ROLES = ['source', 'target', 'bystander'] as const;
const SIGNALS = ['SIGKILL', 'SIGSTOP'] as const;
/** Of the changes of the move: the first mark, amid the first keys, amid the last marks of a group. */
const MOMENTS = FULL ? [1, 2, 33, 65, 66, 70, 90, 110, 150, 201, 301, 401, 501, 601] : [75];

interface Case {
  readonly role: (typeof ROLES)[number];
  readonly signal: Victim['signal'];
  readonly mutation: number;
}

/** Without the full sweep: who dies at once. Those who hang are found out by bounds of 15 s each. */
const SOME: readonly (readonly [Case['role'], Victim['signal']])[] = [
  ['source', 'SIGKILL'],
  ['target', 'SIGKILL'],
  ['bystander', 'SIGKILL'],
];
const ALL = ROLES.flatMap((role) => SIGNALS.map((signal) => [role, signal] as const));
const cases: Case[] = MOMENTS.flatMap((mutation) =>
  (FULL ? ALL : SOME).map(([role, signal]) => ({ role, signal, mutation })),
);

it.concurrent.each(cases)(
  'a move goes on after its $role got $signal at change $mutation, and nothing is lost',
  { timeout: RUN_MS * 2 },
  async ({ role, signal, mutation }: Case) => {
    const cluster = await startCluster({ masters: 3, requirepass: PASSWORD, args: KEPT });
    const [source, target, bystander] = cluster.masters as [RedisServer, RedisServer, RedisServer];
    const server = { source, target, bystander }[role];
    const operator = await TestOperator.create({
      REDIS_REQUIREPASS: PASSWORD,
      CLUSTER_SEED: cluster.addresses,
    });
    let again: RedisServer | undefined;
    let traffic: Traffic | undefined;
    try {
      await fill(cluster.masters, KEYS);
      traffic = await Traffic.start(parseAddressList(cluster.addresses), { password: PASSWORD });
      const argv = ['--to', target.address, '--from', source.address, '--ranges', '0-199', '--timeout', '3s'];
      const started = performance.now();
      const result = await operator.run('cluster/reshard', argv, {
        death: { mutation, afterMs: 1 },
        victim: { pid: server.pid, signal },
      });
      expect(performance.now() - started).toBeLessThan(GIVES_UP_MS);
      expect(result.signal, result.stderr).toBeNull();
      // A move of two living masters may succeed without the third; whoever gives up says how to go on.
      if (result.code !== 0) {
        expect([4, 7, 8, 9], result.stderr).toContain(result.code);
        expect(result.stderr).toMatch(/forge resume \d{8}-\d{6}-/);
        expect(result.stderr).toContain(role === 'bystander' ? '' : server.address);
      } else expect(role).toBe('bystander');
      if (signal === 'SIGSTOP') await server.kill('SIGCONT');
      else again = await startRedis(comeback(server));
      const nodes = cluster.nodes.map((node) => (node === server ? (again ?? node) : node));
      await operator.succeed('cluster/reshard', argv.with(-1, '30s'));
      await expectSound({ nodes, keys: KEYS, traffic, name: `${role} ${signal} ${mutation}` });
    } finally {
      await traffic?.stop();
      await again?.stop();
      await Promise.all([cluster.stop(), operator.remove()]);
    }
  },
);

/** The same node: its port, its table, its data. */
const comeback = ({ port, dir }: RedisServer) => ({
  cluster: true,
  requirepass: PASSWORD,
  port,
  args: ['--dir', dir, ...KEPT],
});
