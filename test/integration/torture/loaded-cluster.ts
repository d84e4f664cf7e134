/** Three masters with keys under load, a node that may join, and an operator: what commands are killed on. */
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { parseAddressList } from '../../../src/cluster/address.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';
import { fill } from '../operations/move/moving.js';
import type { CommandLine } from './kills.js';
import { expectSound } from './sound.js';

/** A share of so much is some 400 slots: more than a dozen groups on their way. */
const WEIGHT = '0.08';

export interface LoadedCluster {
  readonly cluster: RedisCluster;
  /** No member, unless a test has made it one. */
  readonly spare: RedisServer;
  readonly operator: TestOperator;
  readonly traffic: Traffic;
  /** Makes the spare a master with some 400 slots. */
  readonly add: CommandLine;
  /** Every slot is owned, none is open, and every key is there; of all members, when others than the first. */
  sound(name: string, nodes?: readonly RedisServer[]): Promise<void>;
}

/**
 * Starts it before the tests of the file and ends it after them. A client that sees an error fails the test.
 * @returns what it is, once the tests run
 */
export function useLoadedCluster({ password, keys }: { password: string; keys: number }): () => LoadedCluster {
  let cluster: RedisCluster | undefined;
  let spare: RedisServer | undefined;
  let operator: TestOperator | undefined;
  let traffic: Traffic | undefined;
  beforeAll(async () => {
    [cluster, spare] = await Promise.all([
      startCluster({ masters: 3, requirepass: password }),
      startRedis({ cluster: true, requirepass: password }),
    ]);
    await fill(cluster.masters, keys);
    operator = await TestOperator.create({ REDIS_REQUIREPASS: password, CLUSTER_SEED: cluster.masters[1]?.address });
    traffic = await Traffic.start(parseAddressList(cluster.addresses), { password });
  });
  afterAll(async () => {
    await traffic?.stop();
    await Promise.all([cluster?.stop(), spare?.stop(), operator?.remove()]);
  });
  afterEach(() => expect(traffic?.errors).toEqual([]));
  return () => {
    if (cluster === undefined || spare === undefined || operator === undefined || traffic === undefined) {
      throw new Error('the cluster is there while tests run');
    }
    const [nodes, writers] = [cluster.nodes, traffic];
    return {
      ...{ cluster, spare, operator, traffic },
      add: ['scale/add', [spare.address, '--weight', WEIGHT]],
      sound: (name, members = nodes) => expectSound({ nodes: members, keys, traffic: writers, name }),
    };
  };
}
