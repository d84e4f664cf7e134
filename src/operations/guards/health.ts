/** Guards about the state of the cluster. */
import { isFailing } from '../../cluster/cluster-node.js';
import { countSlots, formatSlots, normalizeSlots, subtractSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { jobText, type RunningJob } from '../health/slot-jobs.js';
import type { Plan } from '../plan.js';
import type { Guard } from './guard.js';

const NAMED_MAX = 6;
const RANGES_SHOWN_MAX = 6;

function named(items: readonly string[]): string {
  const more = items.length - NAMED_MAX;
  return `${items.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** A job that does what a step of the plan is there for: that step waits for it, turns it round, or cancels it. */
function isPlanned({ id, sourceId, targetId, slots }: RunningJob, { steps }: Pick<Plan, 'steps'>): boolean {
  return steps.some(({ action }) => {
    if (action.kind === 'cancel-slot-job') return action.job === id && action.node.id === targetId;
    if (action.kind !== 'migrate-slots') return false;
    const pair = [action.source.id, action.target.id];
    return (
      pair.includes(sourceId) &&
      pair.includes(targetId) &&
      subtractSlots(slots, normalizeSlots(action.ranges)).length === 0
    );
  });
}

const howToEnd = ({ failing, cancel }: RunningJob) =>
  failing ? 'forge cluster fix' : `${cancel.command} at ${cancel.node}`;

export const openSlots: Guard = {
  name: 'open-slots',
  protects:
    'a slot is migrating or importing, or on its way by a job of the servers: another operation runs, or was interrupted',
  check(snapshot, plan, jobs = []) {
    const open = snapshot.openSlots;
    const words = open.map(({ slot, nodeId, direction }) => `${slot} ${direction} at ${snapshot.addressOf(nodeId)}`);
    const others = jobs.filter((job) => !isPlanned(job, plan));
    return [
      ...(open.length === 0
        ? []
        : [`${open.length} ${open.length === 1 ? 'slot is' : 'slots are'} open: ${named(words)}`]),
      ...others.slice(0, NAMED_MAX).map((job) => `${jobText(job)}; to end it, ${howToEnd(job)}`),
      ...(others.length > NAMED_MAX ? [`and ${others.length - NAMED_MAX} more jobs`] : []),
    ];
  },
};

export const uncoveredSlots: Guard = {
  name: 'uncovered-slots',
  protects: 'nobody serves some slots',
  check({ topology: { uncovered } }) {
    if (uncovered.length === 0) return [];
    return [`${countSlots(uncovered)} slots are served by nobody: ${formatSlots(uncovered, RANGES_SHOWN_MAX)}`];
  },
};

export const disagreement: Guard = {
  name: 'disagreement',
  protects: 'the nodes do not see the same members, roles and slots',
  check(snapshot) {
    const reasons: string[] = [];
    const [, ...others] = snapshot.views;
    if (others.length > 0) {
      const nodes = others.flatMap(({ nodeIds }) => nodeIds.map((id) => snapshot.addressOf(id)));
      reasons.push(`the nodes see ${snapshot.views.length} different clusters; another than most: ${named(nodes)}`);
    }
    const { contested } = snapshot;
    if (contested.length > 0) {
      reasons.push(`two masters each claim the slots ${formatSlots(contested, RANGES_SHOWN_MAX)}`);
    }
    const { handshakes } = snapshot.topology;
    if (handshakes.length > 0) reasons.push(`${handshakes.length} nodes are about to join`);
    return reasons;
  },
};

export const nodesDown: Guard = {
  name: 'nodes-down',
  protects: 'a member is failing or does not answer',
  check(snapshot) {
    const silent = new Set(snapshot.silent.map(({ id }) => id));
    const down = snapshot.topology.nodes.filter((node) => isFailing(node) || silent.has(node.id));
    return down.length === 0 ? [] : [`down or not answering: ${named(down.map(({ id }) => snapshot.addressOf(id)))}`];
  },
};

export const majority: Guard = {
  name: 'majority',
  protects: 'this host does not reach most masters, so that another operator may hold the lock on the rest',
  check(snapshot) {
    const masters = snapshot.topology.masters.filter(({ slots }) => slots.length > 0);
    const answering = masters.filter(({ id }) => snapshot.report(id) !== undefined);
    if (answering.length * 2 > masters.length || masters.length === 0) return [];
    return [`only ${answering.length} of ${masters.length} masters answer`];
  },
};

export const failover: Guard = {
  name: 'failover',
  protects: 'a failover is running',
  check(snapshot) {
    const running = snapshot.reports.filter(({ replication }) => replication.failoverState !== 'no-failover');
    const orphans = snapshot.topology.orphans.filter(({ id }) => snapshot.report(id) !== undefined);
    return [
      ...running.map(({ address, replication }) => `${address}: ${replication.failoverState}`),
      ...orphans.map(({ id }) => `${snapshot.addressOf(id)} is a replica whose master is not known`),
    ];
  },
};

export const loading: Guard = {
  name: 'loading',
  protects: 'a node loads its data set or receives one',
  check: (snapshot: ClusterSnapshot) =>
    [...snapshot.reports, ...snapshot.strangers].flatMap(({ address, loading: busy, replication }) => [
      ...(busy ? [`${address} loads its data set`] : []),
      ...(replication.syncing ? [`${address} receives its master's data set`] : []),
    ]),
};
