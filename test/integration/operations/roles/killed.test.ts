/** Changes of roles under load, killed again and again; FORGE_TORTURE=full kills them at every line of their journals. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../../src/cluster/address.js';
import { TestOperator } from '../../../support/operations/operator.js';
import { Traffic } from '../../../support/operations/traffic.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../../support/redis.js';
import { type CommandLine, expectDeaths, FULL, storm, sweep } from '../../torture/kills.js';
import { expectSound } from '../../torture/sound.js';
import { fill } from '../move/moving.js';
import { rolesOf } from './roles.js';

const PASSWORD = 'killed secret';
const KEYS = 2_000;
const HOURS_MS = 2 * 3_600_000;
/** Roles are changed by few commands: each of them is a moment of its own. */
const EVERY_CHANGE = 1;

let cluster: RedisCluster;
let spare: RedisServer;
let operator: TestOperator;
let traffic: Traffic;
beforeAll(async () => {
  const options = { cluster: true, requirepass: PASSWORD, args: ['--repl-diskless-sync-delay', '0'] };
  [cluster, spare] = await Promise.all([
    startCluster({
      masters: 3,
      replicasPerMaster: 1,
      requirepass: PASSWORD,
      executable: path.join(import.meta.dirname, 'supervise.sh'),
    }),
    startRedis(options),
  ]);
  await fill(cluster.masters, KEYS);
  operator = await TestOperator.create({ REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: cluster.masters[1]?.address });
  traffic = await Traffic.start(parseAddressList(cluster.addresses), { password: PASSWORD });
});
afterAll(async () => {
  await traffic?.stop();
  await Promise.all([cluster?.stop(), spare?.stop(), operator?.remove()]);
});

const first = () => cluster.masters[0] as RedisServer;
const second = () => cluster.masters[1] as RedisServer;
const replica = () => cluster.replicas[0] as RedisServer;
const sound = (name: string, nodes = cluster.nodes) => expectSound({ nodes, keys: KEYS, traffic, name });
const soundAsEver = (name: string) => sound(name);
const replace = (old: RedisServer, by: RedisServer): CommandLine => ['cluster/replace', [old.address, by.address]];
const restart = (node: RedisServer): CommandLine => ['cluster/restart', [node.address, '--fail-back']];

describe.runIf(FULL)('a command that is killed again and again', () => {
  it('replaces a master in the end, and clients see no error', async () => {
    expect(await storm(operator, second(), replace(first(), spare))).toBeGreaterThan(2);
    const members = [spare, ...cluster.nodes.filter((node) => node !== first())];
    await sound('replaced', members);
    expect((await rolesOf(members)).masters).toContain(spare.address);
    await storm(operator, second(), replace(spare, first()));
    await sound('replaced again');
    expect(traffic.errors).toEqual([]);
  });
});

describe.runIf(FULL)('at every moment', () => {
  it('restarts a master and gives it its role back, and clients see no error', async () => {
    expect(await storm(operator, second(), restart(first()))).toBeGreaterThan(2);
    await sound('restarted');
    expect((await rolesOf(cluster.nodes)).masters).toContain(first().address);
    expect(traffic.errors).toEqual([]);
  });

  it('a failover is finished', { timeout: HOURS_MS }, async () => {
    const back: CommandLine = ['cluster/failover', ['--from', replica().address]];
    expectDeaths(
      await sweep(operator, [['cluster/failover', [replica().address]], back], soundAsEver, EVERY_CHANGE),
      10,
    );
    expect(traffic.errors).toEqual([]);
  });

  it('a restart is finished', { timeout: HOURS_MS }, async () => {
    expectDeaths(await sweep(operator, [restart(first()), restart(replica())], soundAsEver, EVERY_CHANGE), 30);
    expect(traffic.errors).toEqual([]);
  });

  it('a replacement is finished', { timeout: HOURS_MS }, async () => {
    const members = () => [spare, ...cluster.nodes.filter((node) => node !== first())];
    const pair = [replace(first(), spare), replace(spare, first())] as const;
    const look = (name: string, line: CommandLine) => sound(name, line === pair[0] ? members() : cluster.nodes);
    expectDeaths(await sweep(operator, pair, look, EVERY_CHANGE), 30);
    expect(traffic.errors).toEqual([]);
  });
});
