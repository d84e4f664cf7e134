/** A cluster whose nodes are hosts that can lose each other, with clients that write to the slots which will move. */
import { parseAddressList } from '../../../src/cluster/address.js';
import { initCluster } from '../../../src/cluster/init/init-cluster.js';
import { formatSlots, hasSlot, slotsFrom } from '../../../src/cluster/slots.js';
import { TestOperator } from '../../support/operations/operator.js';
import { Traffic } from '../../support/operations/traffic.js';
import { type RedisServer, startRedis } from '../../support/redis.js';
import { addressesOf, tablesOf } from '../cluster/formed.js';
import { fill, slotOf } from '../operations/move/moving.js';
import { type Host, PartitionNetwork } from './partition-network.js';

export const PASSWORD = 'partition secret';
export const KEYS = 6_000;

export interface Hosts {
  readonly forge: Host;
  readonly source: Host;
  readonly target: Host;
  readonly bystander: Host;
}

export interface PartitionTest {
  readonly network: PartitionNetwork;
  readonly hosts: Hosts;
  readonly nodes: readonly RedisServer[];
  readonly operator: TestOperator;
  readonly traffic: Traffic;
  /** Moves slots from source to target. */
  readonly reshard: readonly string[];
}

/** Runs the test with what it needs, which is ended afterwards; where no network can be made, not at all, and in CI it fails. */
export async function withPartitions(test: (parts: PartitionTest) => Promise<void>): Promise<void> {
  const network = PartitionNetwork.create();
  if (network === null) {
    if (process.env['CI']) throw new Error('no network can be made here: that takes Linux, root and ip (iproute2)');
    return;
  }
  const ends: (() => unknown)[] = [() => network.remove()];
  try {
    const hosts = { source: network.host(), target: network.host(), bystander: network.host(), forge: network.host() };
    const nodes: RedisServer[] = [];
    ends.push(() => Promise.all(nodes.map((node) => node.stop())));
    for (const host of [hosts.source, hosts.target, hosts.bystander]) {
      nodes.push(await startRedis({ cluster: true, requirepass: PASSWORD, ...network.runs(host) }));
    }
    await initCluster({ nodes: addressesOf(nodes), replicasPerMaster: 0, connect: { password: PASSWORD } });
    await fill(nodes, KEYS);
    const seeds = nodes.map(({ address }) => address).join(',');
    const operator = await TestOperator.create({ REDIS_REQUIREPASS: PASSWORD, CLUSTER_SEED: seeds });
    ends.push(() => operator.remove());
    const traffic = await Traffic.start(parseAddressList(seeds), { password: PASSWORD });
    ends.push(() => traffic.stop());
    const [from, to] = nodes as [RedisServer, RedisServer];
    const reshard = ['--from', from.address, '--to', to.address, '--ranges', await busySlots(from, traffic)];
    await test({ network, hosts, nodes, operator, traffic, reshard });
  } finally {
    network.heal();
    for (const end of ends.reverse()) await end();
  }
}

/** All slots of a master to which clients write: some 30. */
async function busySlots(master: RedisServer, traffic: Traffic): Promise<string> {
  const [table] = await tablesOf([master]);
  const owned = table?.myself?.slots ?? [];
  const busy = traffic.names.map(slotOf).filter((slot) => hasSlot(owned, slot));
  return formatSlots(slotsFrom(busy));
}
