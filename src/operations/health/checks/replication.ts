/** Checks of replication: there, connected, near its master, and not beside it. */
import type { ClusterNode } from '../../../cluster/cluster-node.js';
import { isFailing } from '../../../cluster/cluster-node.js';
import type { ClusterSnapshot } from '../../../cluster/snapshot/snapshot.js';
import { type Check, count, fail, named, type Reason, warn } from '../finding.js';

const MIB = 1024 * 1024;

const answers = (snapshot: ClusterSnapshot, node: ClusterNode) =>
  snapshot.report(node.id) !== undefined && !isFailing(node);

export const replication: Check = {
  name: 'replication',
  about: 'every replica is connected to its master and near it',
  next: 'Check masterauth, masteruser and tls-replication of the replica, the network, and the logs of both.',
  judge({ snapshot, limits }) {
    const reasons: Reason[] = [];
    for (const { master, replicas } of snapshot.topology.shards) {
      const from = snapshot.addressOf(master.id);
      for (const node of replicas) {
        const report = snapshot.report(node.id);
        if (report === undefined) continue;
        const { address, replication: link } = report;
        const lag = snapshot.lagBytes(node.id) ?? 0;
        if (link.syncing) reasons.push(warn(`${address} receives the whole data set of ${from}`));
        else if (!link.linkUp) reasons.push(warn(`${address} has no connection to its master ${from}`));
        else if (lag > limits.lagBytes) reasons.push(warn(`${address} is ${mib(lag)} behind ${from}`));
      }
      for (const { ip, port, online, lagSeconds } of snapshot.report(master.id)?.replication.replicas ?? []) {
        if (!online || lagSeconds <= limits.lagSeconds) continue;
        reasons.push(warn(`${from} has not heard of its replica ${ip}:${port} for ${lagSeconds} s`));
      }
    }
    return reasons;
  },
};

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;
}

export const redundancy: Check = {
  name: 'redundancy',
  about: 'every master has a replica that could take over',
  next: 'forge scale add HOST:PORT --role replica --replica-of MASTER',
  judge({ snapshot }) {
    const serving = snapshot.topology.shards.filter(({ master }) => master.slots.length > 0);
    const alone = serving.filter(({ replicas }) => !replicas.some((node) => answers(snapshot, node)));
    if (alone.length === 0) return [];
    const addresses = alone.map(({ master }) => snapshot.addressOf(master.id));
    return [warn(`${count(alone.length, 'master')} without a live replica: ${named(addresses)}`)];
  },
};

export const idle: Check = {
  name: 'idle-masters',
  about: 'every master serves slots',
  next: 'forge cluster rebalance gives it slots; forge scale remove takes it away.',
  judge({ snapshot }) {
    // One that is down has lost its slots to a replica: `nodes` tells of it, and slots would not help it.
    const empty = snapshot.topology.shards.filter(
      ({ master }) => master.slots.length === 0 && answers(snapshot, master),
    );
    if (empty.length === 0) return [];
    const addresses = empty.map(({ master }) => snapshot.addressOf(master.id));
    return [warn(`${count(empty.length, 'master')} without slots: ${named(addresses)}`)];
  },
};

const LOOPBACK = /^(127\.|::1$|localhost$)/;

/** Hosts are compared by the address that the cluster knows; on one machine for trials, nobody expects more than one. */
export const placement: Check = {
  name: 'placement',
  about: 'no host and no zone takes a shard, or most masters, with it',
  next: 'Put replicas on other hosts and zones: forge scale add … --replica-of, then forge scale remove.',
  judge({ snapshot }) {
    const { shards, nodes } = snapshot.topology;
    const reasons: Reason[] = [];
    const serving = shards.filter(({ master }) => master.slots.length > 0);
    for (const [what, of] of [
      ['host', (node: ClusterNode) => node.ip],
      ['zone', (node: ClusterNode) => node.zone ?? ''],
    ] as const) {
      const places = new Set(nodes.map(of));
      if (places.has('') || (what === 'host' && [...places].every((place) => LOOPBACK.test(place)))) continue;
      if (places.size === 1) {
        if (nodes.length > 1) reasons.push(warn(`all nodes are in one ${what}: ${[...places][0]}`));
        continue;
      }
      const together = serving.filter(
        ({ master, replicas }) => replicas.length > 0 && replicas.every((node) => of(node) === of(master)),
      );
      if (together.length > 0) {
        const addresses = together.map(({ master }) => snapshot.addressOf(master.id));
        reasons.push(warn(`masters with all their replicas in their own ${what}: ${named(addresses)}`));
      }
      for (const place of places) {
        const masters = serving.filter(({ master }) => of(master) === place).length;
        if (serving.length < 3 || masters * 2 < serving.length) continue;
        reasons.push(
          warn(`the ${what} ${place} has ${masters} of ${serving.length} masters: losing it stops failovers`),
        );
      }
    }
    return reasons;
  },
};

export const memory: Check = {
  name: 'memory',
  about: 'no node is full',
  next: 'Raise maxmemory, remove keys, or add a master: forge scale add.',
  judge({ snapshot, limits }) {
    return snapshot.reports.flatMap(({ address, myself, memory: { usedBytes, maxBytes, policy } }) => {
      if (maxBytes === 0) return [];
      const part = usedBytes / maxBytes;
      const text = `${address} uses ${Math.floor(part * 100)} % of its ${mib(maxBytes)} (${policy})`;
      // A replica takes what its master sends; a master that may not evict refuses writes.
      if (part >= 1 && policy === 'noeviction' && myself.role === 'master') return [fail(`${text}: it refuses writes`)];
      return part > limits.memory ? [warn(text)] : [];
    });
  },
};
