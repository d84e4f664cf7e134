/** A rolling restart: in every shard the replicas first, then a planned failover, then the master that was. Pure. */
import { countSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { Shard } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { createPlan, type Plan, type PlanDraft } from '../plan.js';
import { agreeStep, bestReplica, syncStep } from './failover.js';
import { chooseNodes, listed, refOf, splitWords } from './node-choice.js';

export interface RestartRequest {
  /** Nodes by id or address; all when none is named. */
  readonly nodes: readonly string[];
  /** The operator's command with its placeholders; without it, a supervisor starts the node after SHUTDOWN. */
  readonly command?: readonly string[];
  /** Until the command is ended, milliseconds: of one that has bounds of its own. The bound of each wait when not given. */
  readonly commandMs?: number;
  /** The command starts the node after SHUTDOWN, instead of ending it as well. */
  readonly starts?: boolean;
  /** The former masters get their role back. */
  readonly failBack: boolean;
  /** Masters without a replica are restarted, and their slots are away meanwhile. */
  readonly allowOutage: boolean;
}

/** What was asked for, in a form that is the same for the same command. */
export function restartRequest(request: RestartRequest): Plan['request'] {
  const { nodes, command, starts = false, failBack, allowOutage } = request;
  return {
    nodes: splitWords(nodes),
    command: command === undefined ? null : [...command],
    starts,
    failBack,
    allowOutage,
  };
}

type Steps = PlanDraft['steps'][number][];

/**
 * One shard after the other, one node after the other; after each the replicas have their data and all nodes agree.
 * @throws ForgeError `usage` for unknown nodes; `refused` for a master that serves slots and has no replica that could
 *   take over, unless an outage is allowed and its data is kept; `unreachable` for a node that does not answer
 */
export function planRestart(snapshot: ClusterSnapshot, request: RestartRequest): Plan {
  const { topology } = snapshot;
  const named = request.nodes.length > 0;
  const chosen = new Set(named ? chooseNodes(snapshot, request.nodes) : topology.nodes.map(({ id }) => id));
  requireAnswers(snapshot, chosen);
  requireReplicas(snapshot, chosen, request);
  const notes: string[] = [];
  const steps = topology.shards.flatMap((shard) => shardSteps(snapshot, shard, chosen, request, notes));
  // Their master is not known: a guard refuses; who overrides it gets them restarted as well.
  const orphans = topology.orphans.filter(({ id }) => chosen.has(id));
  steps.push(...orphans.map(({ id }) => restartStep(snapshot, id, request)));
  if (orphans.length > 0) steps.push(agreeStep(snapshot));
  const names = [...chosen].map((id) => snapshot.addressOf(id));
  return createPlan(snapshot, {
    operation: 'cluster restart',
    request: restartRequest(request),
    title: named ? `Restart ${listed(names)}` : `Restart all ${names.length} nodes`,
    steps,
    notes,
  });
}

function requireAnswers(snapshot: ClusterSnapshot, chosen: ReadonlySet<string>): void {
  const silent = [...chosen].filter((id) => snapshot.report(id) === undefined).map((id) => snapshot.addressOf(id));
  const [first] = silent;
  if (first === undefined) return;
  throw new ForgeError('unreachable', `${silent.join(', ')} does not answer: it cannot be restarted in order.`, {
    host: first,
    next: 'Start it, or take it out with forge cluster forget; then restart the cluster.',
  });
}

const replicaFor = (snapshot: ClusterSnapshot, shard: Shard, chosen: ReadonlySet<string>) =>
  // A restarted one first: it may run what is to be rolled out.
  bestReplica(snapshot, shard, { preferred: chosen });

const shutsDown = ({ command, starts = false }: RestartRequest) => command === undefined || starts;

/** All of them in one error. */
function requireReplicas(snapshot: ClusterSnapshot, chosen: ReadonlySet<string>, request: RestartRequest): void {
  const alone = snapshot.topology.shards.filter(
    (shard) =>
      chosen.has(shard.master.id) && shard.master.slots.length > 0 && replicaFor(snapshot, shard, chosen) === undefined,
  );
  const names = (shards: readonly Shard[]) => shards.map(({ master }) => snapshot.addressOf(master.id)).join(', ');
  if (alone.length > 0 && !request.allowOutage) {
    throw new ForgeError('refused', `No replica could take over from ${names(alone)}: the slots would be away.`, {
      host: names(alone.slice(0, 1)),
      next: [
        'Add a replica first: forge scale add HOST:PORT --role replica --replica-of ADDRESS',
        'Or accept that these slots are not served while their master restarts: --allow-outage',
      ],
    });
  }
  // SHUTDOWN SAVE keeps the data of such a server; how a command ends it is not known.
  const forgetful = alone.filter(
    ({ master }) => !shutsDown(request) && snapshot.report(master.id)?.appendOnly !== true,
  );
  if (forgetful.length > 0) {
    throw new ForgeError(
      'refused',
      `${names(forgetful)} has no append-only file: its data may be lost over the command.`,
      {
        host: names(forgetful.slice(0, 1)),
        next: 'Switch appendonly on, add a replica, or use --start-command instead: SHUTDOWN SAVE keeps its data.',
      },
    );
  }
}

function shardSteps(
  snapshot: ClusterSnapshot,
  shard: Shard,
  chosen: ReadonlySet<string>,
  request: RestartRequest,
  notes: string[],
): Steps {
  const { master } = shard;
  const replicas = shard.replicas.map(({ id }) => id);
  const steps: Steps = [];
  for (const id of replicas) {
    if (chosen.has(id)) steps.push(restartStep(snapshot, id, request), syncStep(snapshot, [id]));
  }
  if (chosen.has(master.id)) {
    const promoted = master.slots.length === 0 ? undefined : replicaFor(snapshot, shard, chosen);
    if (promoted === undefined) steps.push(...aloneSteps(snapshot, shard, request, notes));
    else steps.push(...handoverSteps(snapshot, shard, promoted, request));
  }
  if (steps.length > 0) steps.push(agreeStep(snapshot));
  return steps;
}

/** The former master is restarted when another serves and all other replicas follow that one. */
function handoverSteps(snapshot: ClusterSnapshot, shard: Shard, promoted: string, request: RestartRequest): Steps {
  const former = shard.master.id;
  const others = shard.replicas
    .map(({ id }) => id)
    .filter((id) => id !== promoted && snapshot.report(id) !== undefined);
  const steps: Steps = [failoverStep(snapshot, promoted, former)];
  if (others.length > 0) steps.push(syncStep(snapshot, others));
  steps.push(restartStep(snapshot, former, request), syncStep(snapshot, [former]));
  if (!request.failBack) return steps;
  return [...steps, failoverStep(snapshot, former, promoted), syncStep(snapshot, [promoted, ...others])];
}

/** A master without slots is missed by nobody; one with slots and no replica was allowed to be. */
function aloneSteps(snapshot: ClusterSnapshot, shard: Shard, request: RestartRequest, notes: string[]): Steps {
  const { id, slots } = shard.master;
  const serves = slots.length > 0;
  if (serves) {
    notes.push(
      `${countSlots(slots)} slots are not served while ${snapshot.addressOf(id)}, which has no replica, restarts`,
    );
  }
  const save = serves && snapshot.report(id)?.appendOnly !== true;
  const followers = shard.replicas.map((replica) => replica.id).filter((each) => snapshot.report(each) !== undefined);
  return [
    restartStep(snapshot, id, request, { mayServe: serves, save }),
    ...(followers.length > 0 ? [syncStep(snapshot, followers)] : []),
  ];
}

function failoverStep(snapshot: ClusterSnapshot, promote: string, demote: string): Steps[number] {
  return {
    action: { kind: 'failover', promote: refOf(snapshot, promote), demote: refOf(snapshot, demote), mode: 'planned' },
  };
}

function restartStep(
  snapshot: ClusterSnapshot,
  id: string,
  request: RestartRequest,
  { mayServe, save } = { mayServe: false, save: false },
): Steps[number] {
  return {
    action: {
      kind: 'restart-node',
      node: refOf(snapshot, id),
      runId: snapshot.report(id)?.runId ?? '',
      mayServe,
      shutdown: shutsDown(request),
      save: save && shutsDown(request),
      command: request.command === undefined ? null : [...request.command],
      ...(request.commandMs === undefined ? {} : { commandMs: request.commandMs }),
    },
  };
}
