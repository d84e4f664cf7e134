/** Checks of nodes: alive, reached, connected to each other, of one version. */
import { hasFlag, isFailing } from '../../../cluster/cluster-node.js';
import { failover as failoverGuard } from '../../guards/health.js';
import { type Check, count, fail, named, type Reason, warn } from '../finding.js';

export const nodes: Check = {
  name: 'nodes',
  about: 'every node answers, and none is failing',
  next: 'Look at the process and its log; a node that is gone for good: forge cluster forget, or forge cluster replace.',
  judge({ snapshot }) {
    const reasons: Reason[] = [];
    const failures = new Map(snapshot.failures.map((failure) => [failure.id, failure.message]));
    for (const node of snapshot.topology.nodes) {
      const silent = snapshot.report(node.id) === undefined;
      if (!silent && !isFailing(node)) continue;
      const verdict = node.role === 'master' && node.slots.length > 0 ? fail : warn;
      const address = snapshot.addressOf(node.id);
      const flag = hasFlag(node, 'fail') ? 'the cluster holds it for dead' : 'it is suspected to be dead';
      const why = isFailing(node) ? flag : 'the other nodes reach it';
      const message = silent ? (failures.get(node.id) ?? 'it has no known address').replace(/\.$/, '') : 'it answers';
      const known = message.startsWith(address) ? message : `${address}: ${message}`;
      reasons.push(verdict(`the ${node.role} ${known}; ${why}`));
    }
    return reasons;
  },
};

/** A pair that has no link in both directions is told once. */
export const links: Check = {
  name: 'links',
  about: 'the nodes are connected on the cluster bus',
  next: 'Open the bus ports (port + 10000, or cluster-port) between all nodes, in both directions.',
  judge({ snapshot }) {
    const broken = new Map<string, string>();
    for (const { id, address, view } of snapshot.reports) {
      for (const node of view.nodes) {
        // A dead node has no links, and is told elsewhere.
        if (node.linked || node.id === id || snapshot.report(node.id) === undefined) continue;
        const pair = [id, node.id].sort().join(' ');
        if (!broken.has(pair)) {
          broken.set(pair, `${address} and ${snapshot.addressOf(node.id)} (bus port ${node.busPort})`);
        }
      }
    }
    if (broken.size === 0) return [];
    return [warn(`${count(broken.size, 'pair')} of nodes without a link: ${named([...broken.values()])}`)];
  },
};

export const loading: Check = {
  name: 'loading',
  about: 'no node loads its data set',
  next: 'Wait; INFO persistence tells how far it is (loading_eta_seconds).',
  judge: ({ snapshot }) =>
    snapshot.reports
      .filter((report) => report.loading)
      .map(({ address, myself }) =>
        (myself.role === 'master' ? fail : warn)(`the ${myself.role} ${address} loads its data set`),
      ),
};

export const disk: Check = {
  name: 'disk',
  about: 'every node can write its files',
  next: 'Look at the disk of its host: forge host check. When there is room again, the node goes on by itself.',
  judge: ({ snapshot }) =>
    snapshot.reports.flatMap(({ address, myself, appendFailed, snapshotFailed }) => {
      if (appendFailed) {
        const text = `the ${myself.role} ${address} cannot write its append-only file`;
        return [myself.role === 'master' ? fail(`${text}: it refuses writes`) : warn(text)];
      }
      return snapshotFailed ? [warn(`the last snapshot of the ${myself.role} ${address} failed`)] : [];
    }),
};

export const failover: Check = {
  name: 'failover',
  about: 'no failover is on its way',
  next: 'Wait until it is over.',
  judge: ({ snapshot }) => failoverGuard.check(snapshot, { steps: [] }).map(warn),
};

export const versions: Check = {
  name: 'versions',
  about: 'all nodes run the same version',
  next: 'Finish the upgrade: replicas first, then masters by planned failover (forge cluster restart).',
  judge({ snapshot }) {
    const found = new Map<string, string[]>();
    for (const { version, address } of snapshot.reports) {
      const name = version === undefined ? 'unknown' : `${version.product} ${version.text}`;
      found.set(name, [...(found.get(name) ?? []), address]);
    }
    if (found.size <= 1) return [];
    const words = [...found].sort(([, a], [, b]) => b.length - a.length);
    return [warn(`${found.size} versions: ${words.map(([name, list]) => `${name} at ${named(list)}`).join('; ')}`)];
  },
};
