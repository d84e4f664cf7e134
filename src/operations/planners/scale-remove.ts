/** Nodes leave a cluster: masters are drained first, replicas that are still needed go elsewhere first. Pure. */
import type { ClusterNode } from '../../cluster/cluster-node.js';
import { countSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { nodesDown } from '../guards/health.js';
import { createPlan, type Plan } from '../plan.js';
import { giveByWeight, NO_WEIGHTS, unevenNotes, type Weights } from './kept-weights.js';
import { type DraftStep, holdSteps, moveSteps, type Transfer, transfersFor } from './moves.js';
import { chooseNodes, listed, refOf, splitWords } from './node-choice.js';
import { placementNotes, placeOf } from './placement.js';
import { rehome } from './rehome.js';
import { giveToSmallest } from './weights.js';

/** With fewer masters a majority is lost with the first that fails. */
const MASTERS_MIN = 3;

export interface ScaleRemoveOptions {
  /** Ids or addresses, as they were typed. */
  readonly nodes: readonly string[];
  /** The replicas of removed masters are removed, too, instead of following others. */
  readonly withReplicas: boolean;
}

/** What was asked for, in a form that is the same for the same command. */
export function scaleRemoveRequest({ nodes, withReplicas }: ScaleRemoveOptions): Plan['request'] {
  return { nodes: splitWords(nodes), withReplicas };
}

/**
 * The plan by which the nodes leave.
 * @param following ids of the nodes that would follow slots that leave them
 * @param weights those of forge.yaml
 * @throws ForgeError `usage` for a node that is none; `refused` when slots would be served by nobody, or keys be lost
 */
export function planScaleRemove(
  snapshot: ClusterSnapshot,
  options: ScaleRemoveOptions,
  following: ReadonlySet<string>,
  weights: Weights = NO_WEIGHTS,
): Plan {
  const removed = removedNodes(snapshot, options);
  const ids = new Set(removed.map(({ id }) => id));
  for (const node of removed) requireRemovable(snapshot, node, ids);
  const transfers = drain(snapshot, ids, weights);
  const moving = rehome(snapshot, ids);
  const steps = stepsFor(snapshot, removed, transfers, moving.attachments, following);
  const places = snapshot.topology.nodes.map((node) => placeOf(snapshot, node));
  return createPlan(snapshot, {
    operation: 'scale remove',
    request: scaleRemoveRequest(options),
    title: `Remove ${listed(removed.map(({ id }) => snapshot.addressOf(id)))}`,
    steps,
    tolerates: onlyTheseAreDown(snapshot, ids) ? [nodesDown.name] : [],
    notes: [
      ...notesFor(snapshot, ids),
      ...moving.notes,
      ...placementNotes(snapshot, moving.attachments, places),
      ...(transfers.length === 0 ? [] : unevenNotes(snapshot, weights, ids)),
    ],
  });
}

/** Replicas first: a master that nobody follows any more is forgotten without a trace. */
function removedNodes(snapshot: ClusterSnapshot, { nodes, withReplicas }: ScaleRemoveOptions): ClusterNode[] {
  const ids = new Set(chooseNodes(snapshot, nodes));
  if (ids.size === 0) throw new ForgeError('usage', 'No node is named.', { next: 'Name the nodes that are to leave.' });
  if (withReplicas) {
    for (const id of [...ids])
      for (const { id: replica } of snapshot.topology.shardOf(id)?.replicas ?? []) ids.add(replica);
  }
  const views = [snapshot.topology, ...snapshot.reports.map(({ view }) => view)];
  const found = [...ids].flatMap((id) => views.map((view) => view.node(id)).find((node) => node !== undefined) ?? []);
  return found.sort((left, right) => Number(left.role === 'master') - Number(right.role === 'master'));
}

function requireRemovable(snapshot: ClusterSnapshot, node: ClusterNode, removed: ReadonlySet<string>): void {
  const address = snapshot.addressOf(node.id);
  const report = snapshot.report(node.id);
  const refuse = (message: string, next: string) => new ForgeError('refused', message, { host: address, next });
  if (node.role === 'master') {
    const slots = countSlots(node.slots);
    const replicas = snapshot.topology.shardOf(node.id)?.replicas ?? [];
    const alive = replicas.find(({ id }) => snapshot.report(id) !== undefined);
    if (report === undefined && slots > 0) {
      throw refuse(
        `${address} does not answer and serves ${slots} slots: their keys cannot be moved.`,
        alive === undefined
          ? 'Bring it back. Nobody has a copy of its keys; to go on without them, see forge cluster fix.'
          : `Let its replica take over first: forge cluster failover ${snapshot.addressOf(alive.id)}`,
      );
    }
    if (report !== undefined && slots === 0 && report.keys > 0) {
      throw refuse(`${address} serves no slots and holds ${report.keys} keys: they would be lost.`, 'Save them first.');
    }
    return;
  }
  // A reset empties a replica: it must not be the last that has the keys.
  const master = node.masterId === undefined ? undefined : snapshot.topology.node(node.masterId);
  if (report === undefined || master === undefined || master.slots.length === 0 || snapshot.report(master.id)) return;
  const others = (snapshot.topology.shardOf(master.id)?.replicas ?? []).filter(
    ({ id }) => !removed.has(id) && snapshot.report(id) !== undefined,
  );
  if (others.length > 0) return;
  throw refuse(
    `${address} has the last copy of the keys of ${snapshot.addressOf(master.id)}, which does not answer.`,
    `Let it take over instead: forge cluster failover ${address}`,
  );
}

/** All slots of the removed masters go to those that have the fewest, for their weight. */
function drain(snapshot: ClusterSnapshot, removed: ReadonlySet<string>, weights: Weights): Transfer[] {
  const leaving = snapshot.topology.masters.filter(({ id, slots }) => removed.has(id) && slots.length > 0);
  if (leaving.length === 0) return [];
  const staying = snapshot.topology.masters.filter(({ id }) => !removed.has(id) && snapshot.report(id) !== undefined);
  const serving = staying.filter(({ slots }) => slots.length > 0);
  const takers = serving.length > 0 ? serving : staying;
  if (takers.length === 0) {
    throw new ForgeError('refused', 'No other master is there to take the slots.', {
      host: snapshot.addressOf(leaving[0]?.id ?? ''),
      next: 'Add a master first: forge scale add.',
    });
  }
  const count = leaving.reduce((sum, { slots }) => sum + countSlots(slots), 0);
  const holders = takers.map(({ id, slots }) => ({ id, slots: countSlots(slots), weight: weights.get(id) ?? 1 }));
  const even = holders.every(({ weight }) => weight === holders[0]?.weight);
  const wanted = even ? giveToSmallest(holders, count) : giveByWeight(holders, count);
  return transfersFor([
    ...leaving.map(({ id, slots }) => ({ id, slots, wanted: 0 })),
    ...takers.map(({ id, slots }) => ({ id, slots, wanted: wanted.get(id) ?? 0 })),
  ]);
}

function onlyTheseAreDown(snapshot: ClusterSnapshot, removed: ReadonlySet<string>): boolean {
  const { silent } = snapshot;
  return silent.length > 0 && silent.every(({ id }) => removed.has(id));
}

function notesFor(snapshot: ClusterSnapshot, removed: ReadonlySet<string>): string[] {
  const left = snapshot.topology.masters.filter(({ id, slots }) => slots.length > 0 && !removed.has(id)).length;
  const before = snapshot.topology.masters.filter(({ slots }) => slots.length > 0).length;
  if (left >= MASTERS_MIN || left === before) return [];
  return [`${left} masters serve afterwards: with fewer than ${MASTERS_MIN}, no replica takes over when one fails.`];
}

function stepsFor(
  snapshot: ClusterSnapshot,
  removed: readonly ClusterNode[],
  transfers: readonly Transfer[],
  attachments: ReadonlyMap<string, string>,
  following: ReadonlySet<string>,
): DraftStep[] {
  const ids = new Set(removed.map(({ id }) => id));
  const answering = snapshot.topology.nodes.filter(({ id }) => snapshot.report(id) !== undefined).map(({ id }) => id);
  const staying = answering.filter((id) => !ids.has(id));
  const drained = [...new Set(transfers.map(({ source }) => source))];
  const hold = holdSteps(snapshot, drained, following, ['agree']);
  const moves = moveSteps(snapshot, transfers, () => hold.before.map(({ id }) => id));
  const drainedStep = wait('drained', moves, answering);
  const attach = [...attachments].map(([id, master], index) => ({
    id: `attach-${index + 1}`,
    after: drainedStep.map((step) => step.id),
    action: {
      kind: 'replicate' as const,
      node: refOf(snapshot, id),
      master: refOf(snapshot, master),
      previousMaster: previousMaster(snapshot, id),
    },
  }));
  const agree = wait('agree', [...drainedStep, ...attach], answering);
  const ready = [...agree, ...hold.after].map(({ id }) => id);
  const forget: (DraftStep & { id: string })[] = [];
  for (const [index, { id, role }] of removed.entries()) {
    const replicas = role === 'master' ? forget.map((step) => step.id) : [];
    forget.push({
      id: `forget-${index + 1}`,
      after: [...ready, ...replicas],
      action: {
        kind: 'forget',
        node: refOf(snapshot, id),
        members: answering.filter((other) => other !== id),
        reset: snapshot.report(id) !== undefined,
      },
    });
  }
  return [
    ...hold.before,
    ...moves,
    ...drainedStep,
    ...attach,
    ...agree,
    ...hold.after,
    ...forget,
    ...wait('settle', forget, staying),
  ];
}

/** All agree on what was done; nothing to wait for when nothing was. */
function wait(id: string, done: readonly { id: string }[], nodes: readonly string[]) {
  if (done.length === 0) return [];
  return [{ id, after: done.map((step) => step.id), action: { kind: 'wait-convergence' as const, nodes: [...nodes] } }];
}

function previousMaster(snapshot: ClusterSnapshot, id: string) {
  const master = snapshot.topology.node(id)?.masterId;
  return master === undefined ? null : refOf(snapshot, master);
}
