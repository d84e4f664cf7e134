/**
 * Which nodes may be made into a cluster. Pure: it judges what was read from them.
 *
 * A node is fit when it is empty and alone, or in a state that an interrupted run of the same plan leaves behind:
 * whatever it has (slots, acquaintances, a master) is what the plan gives it.
 */
import { type ClusterNode, nodeAddress } from '../cluster-node.js';
import type { ServerVersion } from '../parse-info.js';
import { countSlots, formatSlots, subtractSlots } from '../slots.js';
import type { Member } from './member.js';
import type { InitPlan } from './plan.js';
import type { Problem } from './problems.js';
import type { TargetNode } from './target.js';

const RANGES_SHOWN = 4;

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

/** Equal for addresses that are surely the same host: all loopback addresses are. */
export function hostIdentity(ip: string): string {
  return LOOPBACK.test(ip) ? 'loopback' : ip;
}

/** What makes a node unfit for any cluster of these nodes, whatever the plan. */
export function findUnfit(members: readonly Member[], options: { replicas: boolean }): Problem[] {
  const refused = (node: string, text: string, next?: string): Problem => ({
    node,
    kind: 'refused',
    text,
    next: next === undefined ? [] : [next],
  });
  const problems: Problem[] = [];
  for (const { label, facts } of members) {
    if (facts.loading) problems.push({ node: label, kind: 'unreachable', text: 'is still loading its data' });
  }
  for (const [first, ...others] of groupBy(members, ({ id }) => id)) {
    for (const { label } of others) {
      problems.push({
        node: label,
        kind: 'usage',
        text: `is the same node as ${first?.label} (both have the id ${first?.id})`,
        next: ['Give every node once.'],
      });
    }
  }
  const [reference, ...rest] = members.filter(({ facts }) => facts.version !== undefined);
  for (const { label, facts } of rest) {
    if (reference !== undefined && !areCompatible(reference.facts.version, facts.version)) {
      problems.push(
        refused(
          label,
          `runs ${versionText(facts.version)}, while ${reference.label} runs ${versionText(reference.facts.version)}`,
          'Run the same major version on all nodes.',
        ),
      );
    }
  }
  const loopback = members.filter(({ ip }) => LOOPBACK.test(ip));
  if (loopback.length > 0 && loopback.length < members.length) {
    for (const { label, ip } of loopback) {
      problems.push(
        refused(
          label,
          `is a loopback address (${ip}), which nodes on other hosts cannot reach`,
          'Give every node by an address that all other nodes can reach.',
        ),
      );
    }
  }
  if (options.replicas) {
    for (const { label, masterPasswordMissing } of members) {
      if (!masterPasswordMissing) continue;
      problems.push(
        refused(
          label,
          'asks for a password but has no masterauth: as a replica it could not log in to its master',
          'Set masterauth to the password on every node.',
        ),
      );
    }
  }
  return problems;
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.get(key)?.push(item)) groups.set(key, [item]);
  }
  return [...groups.values()];
}

function areCompatible(left: ServerVersion | undefined, right: ServerVersion | undefined): boolean {
  return left === undefined || right === undefined || (left.product === right.product && left.major === right.major);
}

function versionText(version: ServerVersion | undefined): string {
  return version === undefined ? 'an unknown version' : `${version.product} ${version.text}`;
}

/** What speaks against making this plan of these nodes. Empty for new nodes, and for its own half-done state. */
export function findConflicts(members: readonly Member[], plan: InitPlan, target: readonly TargetNode[]): Problem[] {
  const labelOf = new Map(members.map(({ id, label }) => [id, label]));
  const targetOf = new Map(target.map((node) => [node.id, node]));
  const problems = members.flatMap((member) => {
    const wanted = targetOf.get(member.id);
    if (wanted === undefined) return [];
    return conflictsOf(member, wanted, labelOf).map((text): Problem => ({ node: member.label, kind: 'refused', text }));
  });
  if (problems.length === 0) return [];
  const next = [
    'To use such a node, empty it first: FLUSHALL, then CLUSTER RESET HARD. That deletes its data.',
    `To finish an interrupted run, give the same nodes in the same order, and --replicas-per-master ${plan.replicasPerMaster} if that was it.`,
  ];
  return problems.map((problem) => ({ ...problem, next }));
}

function conflictsOf(member: Member, wanted: TargetNode, labelOf: ReadonlyMap<string, string>): string[] {
  const { topology } = member.view;
  const myself = topology.myself;
  const strangers = topology.nodes.filter(({ id }) => !labelOf.has(id));
  // A stranger in its table explains whatever else it has.
  if (strangers.length > 0) return [`belongs to another cluster: it knows ${describeStrangers(strangers)}`];
  const conflicts: string[] = [];
  const surplus = subtractSlots(myself?.slots ?? [], wanted.slots);
  if (surplus.length > 0) {
    const all = countSlots(myself?.slots ?? []);
    conflicts.push(
      `already serves ${all} slots (${formatSlots(myself?.slots ?? [], RANGES_SHOWN)}), which is not what the plan gives it`,
    );
  }
  if (myself?.role === 'replica' && myself.masterId !== wanted.masterId) {
    const master = labelOf.get(myself.masterId ?? '') ?? 'an unknown node';
    const planned = wanted.masterId === undefined ? 'a master' : `a replica of ${labelOf.get(wanted.masterId)}`;
    conflicts.push(`is a replica of ${master}, and the plan makes it ${planned}`);
  }
  if (topology.openSlots.some(({ nodeId }) => nodeId === member.id)) conflicts.push('has slots in migration');
  if (member.facts.keys > 0 && !mayHoldKeys(member, wanted)) {
    conflicts.push(`holds ${member.facts.keys} ${member.facts.keys === 1 ? 'key' : 'keys'}`);
  }
  return conflicts;
}

/** In a cluster that is formed but for its replicas, clients may have written already: to masters, and so to replicas. */
function mayHoldKeys(member: Member, wanted: TargetNode): boolean {
  const { topology } = member.view;
  const joined = topology.nodes.length > 1;
  const myself = topology.myself;
  if (wanted.masterId !== undefined) return joined && myself?.masterId === wanted.masterId;
  return joined && countSlots(myself?.slots ?? []) === countSlots(wanted.slots);
}

function describeStrangers(strangers: readonly ClusterNode[]): string {
  const shown = strangers
    .slice(0, 2)
    .map((node) => `${node.port === 0 ? 'a node' : nodeAddress(node)} (${node.id.slice(0, 8)}…)`);
  const more = strangers.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Whether an earlier run left its mark on one of the nodes. */
export function isBegun(members: readonly Member[]): boolean {
  return members.some(({ view: { topology } }) => {
    const myself = topology.myself;
    return topology.nodes.length > 1 || myself?.role === 'replica' || (myself?.slots.length ?? 0) > 0;
  });
}
