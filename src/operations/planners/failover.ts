/** Who becomes the master of which shard. Pure. */
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { Shard } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { createPlan, type Plan, type PlanDraft } from '../plan.js';
import type { FailoverMode } from '../steps/failover.js';
import { chooseNodes, listed, refOf, splitWords } from './node-choice.js';

export interface FailoverRequest {
  /** Nodes that are to be masters, by id or address. */
  readonly promote: readonly string[];
  /** Masters that are to hand their role to a replica of theirs. */
  readonly from: readonly string[];
  readonly mode: FailoverMode;
}

/** What was asked for, in a form that is the same for the same command. */
export function failoverRequest({ promote, from, mode }: FailoverRequest): Plan['request'] {
  return { promote: splitWords(promote), from: splitWords(from), mode };
}

interface Change {
  readonly shard: Shard;
  readonly promoteId: string;
}

type Steps = PlanDraft['steps'][number][];

/**
 * The plan that gives each shard the master that was asked for. What is so already takes no step.
 * @throws ForgeError `usage` for unknown nodes and for two that are meant for one shard; `refused` where there is nobody
 *   to promote, or the master is dead and the mode is `planned`
 */
export function planFailover(snapshot: ClusterSnapshot, request: FailoverRequest): Plan {
  const notes: string[] = [];
  const changes = [...promotions(snapshot, request, notes), ...handovers(snapshot, request, notes)];
  const twice = changes.find(({ shard }, index) => changes.findIndex((other) => other.shard === shard) !== index);
  if (twice !== undefined) {
    const { master } = twice.shard;
    throw new ForgeError('usage', `The shard of ${snapshot.addressOf(master.id)} is named twice.`, {
      next: 'Name one node of each shard.',
    });
  }
  for (const change of changes) requireSense(snapshot, change, request.mode);
  if (request.mode !== 'planned' && changes.length > 0) {
    notes.push('writes that the master has not sent to the replica yet are lost');
    const alive = changes.filter(({ shard }) => snapshot.report(shard.master.id) !== undefined);
    const living = alive.map(({ shard }) => snapshot.addressOf(shard.master.id));
    if (living.length > 0) notes.push(`${listed(living)} answers: a planned failover would lose nothing`);
  }
  notes.push(...changes.flatMap((change) => versionNotes(snapshot, change)));
  const names = changes.map(({ promoteId }) => snapshot.addressOf(promoteId));
  return createPlan(snapshot, {
    operation: 'cluster failover',
    request: failoverRequest(request),
    title: changes.length === 0 ? 'The masters are as they should be' : `Make ${listed(names)} master`,
    steps: stepsOf(snapshot, changes, request.mode),
    // A dead master is what the other modes are for.
    tolerates: request.mode === 'planned' ? [] : ['nodes-down'],
    notes,
  });
}

function promotions(snapshot: ClusterSnapshot, { promote }: FailoverRequest, notes: string[]): Change[] {
  return chooseNodes(snapshot, promote).flatMap((id) => {
    const shard = snapshot.topology.shardOf(id);
    const address = snapshot.addressOf(id);
    if (shard === undefined) {
      throw new ForgeError('refused', `${address} is a replica whose master is not known.`, {
        host: address,
        next: 'Look at the cluster with forge cluster check.',
      });
    }
    if (shard.master.id !== id) return [{ shard, promoteId: id }];
    notes.push(`${address} is a master already; to take the role away from it: --from ${address}`);
    return [];
  });
}

function handovers(snapshot: ClusterSnapshot, { from, mode }: FailoverRequest, notes: string[]): Change[] {
  return chooseNodes(snapshot, from).flatMap((id) => {
    const shard = snapshot.topology.shardOf(id);
    const address = snapshot.addressOf(id);
    if (shard?.master.id !== id) {
      notes.push(`${address} is no master already`);
      return [];
    }
    requireMaster(snapshot, shard, mode);
    const promoteId = bestReplica(snapshot, shard, { byOffset: mode !== 'planned' });
    if (promoteId !== undefined) return [{ shard, promoteId }];
    throw nobodyFit(snapshot, shard);
  });
}

function nobodyFit(snapshot: ClusterSnapshot, { master, replicas }: Shard): ForgeError {
  const address = snapshot.addressOf(master.id);
  const names = replicas.map(({ id }) => snapshot.addressOf(id)).join(', ');
  return new ForgeError('refused', `${address} has no replica that could take its role.`, {
    host: address,
    next:
      names === ''
        ? `Add one first: forge scale add HOST:PORT --role replica --replica-of ${address}`
        : `These do not answer, or have not its data: ${names}. Look at them with forge cluster status.`,
  });
}

export interface BestReplicaOptions {
  /** The one with most of the master's stream first: when the master is dead, the others lack what it has. */
  readonly byOffset?: boolean;
  /** Preferred, where they can be had. */
  readonly preferred?: ReadonlySet<string>;
}

/**
 * The replica that is fit to be promoted: it answers and, unless its master is dead, has its data. Among equals, the one
 * with the lowest id, so that the same cluster gives the same plan.
 */
export function bestReplica(
  snapshot: ClusterSnapshot,
  shard: Shard,
  { byOffset = false, preferred = new Set() }: BestReplicaOptions = {},
): string | undefined {
  const fit = shard.replicas.flatMap(({ id }) => {
    const report = snapshot.report(id);
    if (report === undefined || report.loading || report.replication.syncing) return [];
    return byOffset || report.replication.linkUp ? [report] : [];
  });
  const rank = (id: string) => (preferred.has(id) ? 0 : 1);
  fit.sort(
    (left, right) =>
      rank(left.id) - rank(right.id) ||
      (byOffset ? right.replication.offset - left.replication.offset : 0) ||
      (left.id < right.id ? -1 : 1),
  );
  return fit[0]?.id;
}

function requireSense(snapshot: ClusterSnapshot, { shard, promoteId }: Change, mode: FailoverMode): void {
  const address = snapshot.addressOf(promoteId);
  const master = snapshot.addressOf(shard.master.id);
  if (shard.master.slots.length === 0) {
    throw new ForgeError(
      'refused',
      `${master}, the master of ${address}, serves no slots: nobody votes for its replica.`,
      {
        host: address,
        next: 'Give the master slots first: forge cluster rebalance',
      },
    );
  }
  if (snapshot.report(promoteId) === undefined) {
    throw new ForgeError('unreachable', `${address} does not answer: it cannot become the master.`, { host: address });
  }
  requireMaster(snapshot, shard, mode);
}

function requireMaster(snapshot: ClusterSnapshot, { master }: Shard, mode: FailoverMode): void {
  if (mode !== 'planned' || snapshot.report(master.id) !== undefined) return;
  const address = snapshot.addressOf(master.id);
  throw new ForgeError('refused', `The master ${address} does not answer: no failover can be planned with it.`, {
    host: address,
    next: [
      'The cluster promotes a replica by itself when a majority of the masters holds the master for dead.',
      'Where it does not: --mode force (a majority of the masters must vote), or --mode takeover (nobody is asked). Writes that the replica did not receive are lost.',
    ],
  });
}

/** The former master has to read what the new one sends. */
function versionNotes(snapshot: ClusterSnapshot, { shard, promoteId }: Change): string[] {
  const [young, old] = [snapshot.report(promoteId)?.version, snapshot.report(shard.master.id)?.version];
  if (young === undefined || old === undefined || young.text === old.text) return [];
  const name = (id: string, version: typeof young) => `${snapshot.addressOf(id)} (${version.product} ${version.text})`;
  return [
    `${name(shard.master.id, old)} becomes a replica of ${name(promoteId, young)}: an older server may not read what a newer one sends`,
  ];
}

function stepsOf(snapshot: ClusterSnapshot, changes: readonly Change[], mode: FailoverMode): Steps {
  if (changes.length === 0) return [];
  // One after the other: two that ask for votes at once may get none.
  const steps: Steps = changes.map(({ shard, promoteId }) => ({
    action: {
      kind: 'failover',
      promote: refOf(snapshot, promoteId),
      demote: refOf(snapshot, shard.master.id),
      mode,
    },
  }));
  const others = changes.flatMap(({ shard, promoteId }) =>
    [shard.master, ...shard.replicas].map(({ id }) => id).filter((id) => id !== promoteId),
  );
  const followers = others.filter((id) => snapshot.report(id) !== undefined);
  if (followers.length > 0) steps.push(syncStep(snapshot, followers));
  // Where slots stay without a master, the nodes say so for ever: that is not waited for.
  const changed = new Set(changes.map(({ shard }) => shard));
  const served = snapshot.topology.shards.every(
    (shard) => changed.has(shard) || shard.master.slots.length === 0 || snapshot.report(shard.master.id) !== undefined,
  );
  if (served) steps.push(agreeStep(snapshot));
  return steps;
}

export function syncStep(snapshot: ClusterSnapshot, ids: readonly string[]): Steps[number] {
  return { action: { kind: 'wait-sync', nodes: ids.map((id) => refOf(snapshot, id)) } };
}

/** All that answered agree. */
export function agreeStep(snapshot: ClusterSnapshot, without: ReadonlySet<string> = new Set()): Steps[number] {
  const nodes = snapshot.topology.nodes
    .map(({ id }) => id)
    .filter((id) => snapshot.report(id) !== undefined && !without.has(id));
  return { action: { kind: 'wait-convergence', nodes } };
}
