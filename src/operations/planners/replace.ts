/** A new node takes the place of an old one: its data, its role, and then its seat. Pure. */
import { formatAddress, type NodeAddress } from '../../cluster/address.js';
import { isFailing } from '../../cluster/cluster-node.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { Shard } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { createPlan, type Plan, type PlanDraft } from '../plan.js';
import { syncStep } from './failover.js';
import { joiningNodes } from './joining.js';
import { chooseNode, refOf } from './node-choice.js';
import { placementNotes, placeOf } from './placement.js';

export interface ReplaceRequest {
  /** A member, by id or address. */
  readonly old: string;
  /** Empty, in cluster mode, and no member yet. */
  readonly new: NodeAddress;
}

type Steps = PlanDraft['steps'][number][];

/** What was asked for, in a form that is the same for the same command. */
export function replaceRequest(request: ReplaceRequest): Plan['request'] {
  return { old: request.old, new: formatAddress(request.new) };
}

/**
 * The new node joins, follows the old one's master (or the old one), becomes the master where the old one was, and the
 * old one is forgotten everywhere and, where it answers, reset.
 * @throws ForgeError `usage` for an unknown node or twice the same; `refused` when the new one is a member already, or
 *   the old one is a dead master: its data has to be saved first
 */
export function planReplace(snapshot: ClusterSnapshot, request: ReplaceRequest): Plan {
  const [joining] = joiningNodes(snapshot, [request.new]);
  if (joining === undefined) throw new ForgeError('usage', 'No new node is named.');
  const draft = { operation: 'cluster replace', request: replaceRequest(request) };
  const old = oldOne(snapshot, request.old);
  if (joining.member !== undefined) {
    if (old === undefined)
      return createPlan(snapshot, {
        ...draft,
        title: `${joining.address} is a member, ${request.old} is none`,
        steps: [],
      });
    throw joining.id === old
      ? new ForgeError('usage', `${request.old} and ${joining.address} are the same node.`, {
          next: 'Name another new node.',
        })
      : new ForgeError('refused', `${joining.address} is a member of the cluster already.`, {
          host: joining.address,
          next: `To hand a role over between members: forge cluster failover. To take it out first: forge scale remove ${joining.address}`,
        });
  }
  // Throws in the words of an unknown node.
  const oldId = old ?? chooseNode(snapshot, request.old);
  const shard = shardOf(snapshot, oldId);
  const answers = snapshot.report(oldId) !== undefined;
  return createPlan(snapshot, {
    ...draft,
    title: `Replace ${snapshot.addressOf(oldId)} by ${joining.address}`,
    steps: stepsOf(snapshot, shard, oldId, joining.id),
    tolerates: answers ? [] : onlyDown(snapshot, oldId),
    notes: notesOf(snapshot, shard, oldId, joining),
  });
}

/** Undefined when the cluster does not know it: it may have been replaced already. */
function oldOne(snapshot: ClusterSnapshot, word: string): string | undefined {
  try {
    return chooseNode(snapshot, word);
  } catch {
    return undefined;
  }
}

function onlyDown(snapshot: ClusterSnapshot, id: string): string[] {
  const down = snapshot.topology.nodes.filter((node) => isFailing(node) || snapshot.report(node.id) === undefined);
  return down.every((node) => node.id === id) ? ['nodes-down'] : [];
}

function shardOf(snapshot: ClusterSnapshot, id: string): Shard {
  const shard = snapshot.topology.shardOf(id);
  const address = snapshot.addressOf(id);
  const refuse = (why: string, next: string) =>
    new ForgeError('refused', `${address} ${why}.`, { host: address, next });
  if (shard === undefined)
    throw refuse('is a replica whose master is not known', 'Look at it with forge cluster check.');
  if (shard.master.id !== id) {
    if (snapshot.report(shard.master.id) !== undefined) return shard;
    throw refuse(
      `replicates ${snapshot.addressOf(shard.master.id)}, which does not answer: there is nothing to copy from`,
      `Let it take over first: forge cluster failover ${address} --mode force`,
    );
  }
  if (snapshot.report(id) !== undefined) {
    if (shard.master.slots.length > 0 || shard.replicas.length === 0) return shard;
    throw refuse('serves no slots and has replicas', 'Give it slots, or attach its replicas elsewhere first.');
  }
  if (shard.master.slots.length > 0) {
    throw refuse(
      'is a master that does not answer: its data cannot be copied from it',
      shard.replicas.length > 0
        ? `Let a replica take over first: forge cluster failover --from ${address} --mode force`
        : 'Bring it back. Nobody has a copy of its keys; to go on without them, see forge cluster fix.',
    );
  }
  throw refuse(
    'does not answer and serves no slots: whose place the new node is to take cannot be told',
    `Add the new one with forge scale add --replica-of MASTER, and forget the old one: forge cluster forget ${id}`,
  );
}

function stepsOf(snapshot: ClusterSnapshot, shard: Shard, oldId: string, newId: string): Steps {
  const [node, old] = [refOf(snapshot, newId), refOf(snapshot, oldId)];
  const answering = snapshot.reports.map(({ id }) => id);
  const staying = answering.filter((id) => id !== oldId);
  const via = refOf(snapshot, shard.master.id);
  const serves = shard.master.slots.length > 0;
  const steps: Steps = [
    { action: { kind: 'meet', node, via } },
    { action: { kind: 'wait-convergence', nodes: [...answering, newId] } },
  ];
  if (serves) {
    steps.push({ action: { kind: 'replicate', node, master: via, previousMaster: null } });
    steps.push(syncStep(snapshot, [newId]));
  }
  if (serves && shard.master.id === oldId) {
    // Who does not know it as a replica gives it no vote.
    steps.push({ action: { kind: 'wait-convergence', nodes: [...answering, newId] } });
    steps.push({ action: { kind: 'failover', promote: node, demote: old, mode: 'planned' } });
    // Then the old one is not needed any more: whoever follows the new one has its own copy.
    const followers = shard.replicas.map(({ id }) => id).filter((id) => snapshot.report(id) !== undefined);
    if (followers.length > 0) steps.push(syncStep(snapshot, followers));
    steps.push({ action: { kind: 'wait-convergence', nodes: [...answering, newId] } });
  }
  const reset = snapshot.report(oldId) !== undefined;
  steps.push({ action: { kind: 'forget', node: old, members: [...staying, newId], reset } });
  steps.push({ action: { kind: 'wait-convergence', nodes: [...staying, newId] } });
  return steps;
}

function notesOf(
  snapshot: ClusterSnapshot,
  shard: Shard,
  oldId: string,
  { id, place }: ReturnType<typeof joiningNodes>[number],
): string[] {
  const placed = (node: (typeof shard.replicas)[number]) => placeOf(snapshot, node);
  const others = [shard.master, ...shard.replicas].filter((node) => node.id !== oldId);
  const leads = shard.master.id === oldId;
  const chosen = leads ? others.map((node) => [node.id, id] as const) : [[id, shard.master.id] as const];
  return placementNotes(snapshot, new Map(chosen), [...others.map(placed), place]);
}
