/** The finished state of a new cluster, and what a set of views still lacks of it. Pure. */
import type { ClusterNode } from '../cluster-node.js';
import type { NodeView } from '../node-view.js';
import { SLOT_COUNT, type SlotSet, sameSlots } from '../slots.js';
import type { InitPlan } from './plan.js';

/** One node as it shall be. */
export interface TargetNode {
  readonly id: string;
  readonly label: string;
  /** The id of the master that it replicates; undefined for a master. */
  readonly masterId?: string;
  readonly slots: SlotSet;
  /** Replicas that this master shall have. */
  readonly replicas: number;
  /** Configuration epoch before the join: different for every node, so that nothing collides. */
  readonly epoch: number;
}

/** The target of a plan; `idOf` gives the node id of each label. Masters first. */
export function targetOf(plan: InitPlan, idOf: (label: string) => string): TargetNode[] {
  const masters = plan.shards.map(({ master, slots, replicas }, index) => ({
    id: idOf(master),
    label: master,
    slots,
    replicas: replicas.length,
    epoch: index + 1,
  }));
  const replicas = plan.shards.flatMap(({ master, replicas }) =>
    replicas.map((label) => ({ id: idOf(label), label, masterId: idOf(master), slots: [], replicas: 0 })),
  );
  return [...masters, ...replicas.map((node, index) => ({ ...node, epoch: masters.length + index + 1 }))];
}

/** The views of all nodes by node id; a node that did not answer has none. */
export type Views = ReadonlyMap<string, NodeView>;

/** Whether `node`, as somebody describes it, has the role and the slots that it shall have. */
function isAsPlanned(node: ClusterNode, target: TargetNode): boolean {
  return (
    node.role === (target.masterId === undefined ? 'master' : 'replica') &&
    node.masterId === target.masterId &&
    sameSlots(node.slots, target.slots)
  );
}

/** A pair of nodes: `viewer` lacks something about `subject`. */
export interface Gap {
  readonly viewer: TargetNode;
  readonly subject: TargetNode;
}

/** Pairs where the viewer does not know the subject, or has no bus connection to it. */
export function unknownPairs(target: readonly TargetNode[], views: Views): Gap[] {
  return gaps(target, views, (node) => node === undefined || !node.linked);
}

/** Pairs where the viewer knows the subject with another role, master or slots than planned. */
export function stalePairs(target: readonly TargetNode[], views: Views): Gap[] {
  return gaps(target, views, (node, subject) => node !== undefined && !isAsPlanned(node, subject));
}

function gaps(
  target: readonly TargetNode[],
  views: Views,
  lacks: (node: ClusterNode | undefined, subject: TargetNode) => boolean,
): Gap[] {
  return target.flatMap((viewer) => {
    const topology = views.get(viewer.id)?.topology;
    if (topology === undefined) return [];
    return target.flatMap((subject) => (lacks(topology.node(subject.id), subject) ? [{ viewer, subject }] : []));
  });
}

/** Replicas that do not yet call themselves replicas of their master. */
export function unattached(target: readonly TargetNode[], views: Views): TargetNode[] {
  return target.filter((node) => {
    if (node.masterId === undefined) return false;
    const myself = views.get(node.id)?.topology.node(node.id);
    return myself?.masterId !== node.masterId;
  });
}

/** Nodes whose own judgement is not yet `cluster_state:ok` with every slot served, or that are still shaking hands. */
export function unsettled(target: readonly TargetNode[], views: Views): TargetNode[] {
  return target.filter((node) => {
    const view = views.get(node.id);
    if (view === undefined) return true;
    const { topology, cluster } = view;
    const epochs = topology.shards
      .filter(({ master }) => master.slots.length > 0)
      .map(({ master }) => master.configEpoch);
    return (
      cluster.state !== 'ok' ||
      cluster.slotsOk !== SLOT_COUNT ||
      topology.nodes.length !== target.length ||
      topology.handshakes.length > 0 ||
      new Set(epochs).size !== epochs.length
    );
  });
}

/** Replicas without the whole data set, and masters that do not stream to all their replicas. */
export function unsynced(target: readonly TargetNode[], views: Views): TargetNode[] {
  return target.filter((node) => {
    const replication = views.get(node.id)?.replication;
    if (replication === undefined) return true;
    return node.masterId === undefined ? replication.onlineReplicas < node.replicas : !replication.synced;
  });
}

/** The stages of forming a cluster; each holds only when all before it do. */
export const STAGES = [
  /** Everybody knows everybody, and has a connection. */
  'joined',
  /** Every replica calls itself one. */
  'attached',
  /** Everybody knows everybody's role and slots. */
  'known',
  /** Everybody says `cluster_state:ok`. */
  'agreed',
  /** Every replica has its master's data. */
  'synced',
] as const;
export type Stage = (typeof STAGES)[number];

/** Whether the views show the stage, and all before it, as reached. */
export function hasReached(stage: Stage, target: readonly TargetNode[], views: Views): boolean {
  if (views.size < target.length || unknownPairs(target, views).length > 0) return false;
  if (stage === 'joined') return true;
  if (unattached(target, views).length > 0) return false;
  if (stage === 'attached') return true;
  if (stalePairs(target, views).length > 0) return false;
  if (stage === 'known') return true;
  if (unsettled(target, views).length > 0) return false;
  return stage === 'agreed' || unsynced(target, views).length === 0;
}
