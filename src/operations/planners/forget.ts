/** Dead nodes leave the cluster's tables. Pure. */
import { type ClusterNode, hasFlag, isFailing } from '../../cluster/cluster-node.js';
import { countSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { createPlan, type Plan, type PlanDraft } from '../plan.js';
import { agreeStep } from './failover.js';
import { chooseNodes, listed, refOf, splitWords } from './node-choice.js';

export interface ForgetRequest {
  /** Nodes by id or address. */
  readonly nodes: readonly string[];
  /** All nodes, too, that do not answer, are held for dead by the cluster, and serve no slots. */
  readonly dead: boolean;
}

/** What was asked for, in a form that is the same for the same command. */
export function forgetRequest({ nodes, dead }: ForgetRequest): Plan['request'] {
  return { nodes: splitWords(nodes), dead };
}

/**
 * The plan by which every node that answers forgets them. Nodes that only some have in their tables are found as well.
 * @throws ForgeError `usage` for an unknown node; `refused` for one that answers, that the others do not hold for dead,
 *   that serves slots, or that others replicate
 */
export function planForget(snapshot: ClusterSnapshot, request: ForgetRequest): Plan {
  const ids = new Set(chooseNodes(snapshot, request.nodes));
  if (request.dead) for (const { id } of deadNodes(snapshot)) ids.add(id);
  for (const id of ids) requireDead(snapshot, id, ids);
  const names = [...ids].map((id) => snapshot.addressOf(id));
  const steps = forgetSteps(snapshot, ids);
  return createPlan(snapshot, {
    operation: 'cluster forget',
    request: forgetRequest(request),
    title: steps.length === 0 ? 'No dead node is known' : `Forget ${listed(names)}`,
    steps,
    tolerates: toleratedWithout(snapshot, ids),
    notes:
      steps.length === 0
        ? []
        : ['should one of them come back, nobody takes it in; reset it (CLUSTER RESET) before it is added again'],
  });
}

/** Every picture of the node that somebody has. */
function picturesOf(snapshot: ClusterSnapshot, id: string): ClusterNode[] {
  return snapshot.reports.flatMap(({ view }) => view.node(id) ?? []);
}

const isHeldForDead = (node: ClusterNode) => isFailing(node) || hasFlag(node, 'noaddr');

function deadNodes(snapshot: ClusterSnapshot): ClusterNode[] {
  const isAlive = (each: string) => snapshot.report(each) !== undefined;
  const known = new Map(snapshot.reports.flatMap(({ view }) => view.nodes.map((node) => [node.id, node] as const)));
  return [...known.values()].filter(({ id }) => {
    if (snapshot.report(id) !== undefined) return false;
    const serves = picturesOf(snapshot, id).some((node) => !isHeldForDead(node) || node.slots.length > 0);
    return !serves && !followersOf(snapshot, id).some(isAlive);
  });
}

/** Who follows it, by anybody's word: forgotten, it would leave them with nobody. */
function followersOf(snapshot: ClusterSnapshot, id: string): string[] {
  const all = snapshot.reports.flatMap(({ view }) => view.nodes.filter(({ masterId }) => masterId === id));
  return [...new Set(all.map((node) => node.id))].sort();
}

function requireDead(snapshot: ClusterSnapshot, id: string, ids: ReadonlySet<string>): void {
  const address = snapshot.addressOf(id);
  const refuse = (why: string, ...next: string[]) =>
    new ForgeError('refused', `${address} ${why}.`, { host: address, next });
  if (snapshot.report(id) !== undefined) {
    throw refuse(
      'answers: forgotten, it would go on talking to the others',
      `Take it out: forge scale remove ${address}`,
    );
  }
  const pictures = picturesOf(snapshot, id);
  const alive = snapshot.reports.filter(({ view }) => {
    const node = view.node(id);
    return node?.linked === true && !isHeldForDead(node);
  });
  if (alive.length > 0) {
    throw refuse(
      `does not answer here, but ${alive.length} nodes are linked to it and do not hold it for dead`,
      'Check the network between this host and the node; or stop the node first.',
    );
  }
  const slots = countSlots(pictures.find((node) => node.slots.length > 0)?.slots ?? []);
  const followers = followersOf(snapshot, id).filter((each) => !ids.has(each));
  if (slots > 0) {
    const first = followers.find((each) => snapshot.report(each) !== undefined);
    throw refuse(
      `serves ${slots} slots: nobody would serve them`,
      first === undefined
        ? 'Bring it back. Nobody has a copy of its keys; to go on without them, see forge cluster fix.'
        : `Let a replica take over first: forge cluster failover ${snapshot.addressOf(first)} --mode force`,
    );
  }
  if (followers.length > 0) {
    const names = followers.map((each) => snapshot.addressOf(each));
    throw refuse(
      `has replicas: ${names.join(', ')}`,
      'Forget or remove them with it, or attach them to another master.',
    );
  }
}

function forgetSteps(snapshot: ClusterSnapshot, ids: ReadonlySet<string>): PlanDraft['steps'] {
  if (ids.size === 0) return [];
  const members = snapshot.reports.map(({ id }) => id);
  const isMaster = (id: string) => picturesOf(snapshot, id).some(({ role }) => role === 'master');
  // Replicas first: a master that nobody follows any more is forgotten without a trace.
  const ordered = [...ids].sort((left, right) => Number(isMaster(left)) - Number(isMaster(right)));
  const forgets = ordered.map((id) => ({
    action: { kind: 'forget' as const, node: refOf(snapshot, id), members, reset: false },
  }));
  return [...forgets, agreeStep(snapshot, ids)];
}

/** That nodes are down, and that some know dead nodes that others have forgotten, is what this is for: these nodes only. */
export function toleratedWithout(snapshot: ClusterSnapshot, ids: ReadonlySet<string>): string[] {
  const down = snapshot.topology.nodes.filter((node) => isFailing(node) || snapshot.report(node.id) === undefined);
  const pictures = snapshot.reports.map(({ view }) => new Topology(view.nodes.filter(({ id }) => !ids.has(id))));
  const agreed = new Set(pictures.map(({ signature }) => signature)).size === 1;
  return [
    ...(down.every(({ id }) => ids.has(id)) ? ['nodes-down'] : []),
    ...(agreed && snapshot.contested.length === 0 && snapshot.topology.handshakes.length === 0 ? ['disagreement'] : []),
  ];
}
