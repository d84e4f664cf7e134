/**
 * Forming a new cluster: look, plan, and then the steps that make it so. Knows no terminal.
 *
 * Every step looks at what is already so and does the rest, so that a run after an interruption at any instant finishes
 * the job, and nothing needs to be written down outside the nodes.
 */
import { ForgeError } from '../../errors.js';
import { formatAddress, type NodeAddress } from '../address.js';
import { mapBounded } from '../bounded.js';
import { nodeAddress } from '../cluster-node.js';
import { formatSlots, type SlotSet } from '../slots.js';
import type { Topology } from '../topology.js';
import { findConflicts, findUnfit, hostIdentity, isBegun } from './admission.js';
import { assign } from './assign.js';
import { Convergence } from './converge.js';
import { createExplain } from './explain.js';
import { agreedTopology, hasShapeOf, otherShape } from './finished.js';
import { createGate } from './gate.js';
import { type ConnectSettings, inspectNodes } from './inspect.js';
import { leftovers, repairLeftovers, usualNodeTimeout } from './leftover.js';
import type { InitObserver, Member, Mutate } from './member.js';
import { type InitPlan, type PlanNode, planInit } from './plan.js';
import { throwProblems } from './problems.js';
import { resumable } from './resumable.js';
import { hasReached, type Stage, type TargetNode, targetOf } from './target.js';
import { NODE_TIMEOUT, SYNC_DELAY, TemporarySetting } from './temporary-setting.js';

/** Bound of each wait: for the join, for the agreement, for the first synchronisation. */
export const WAIT_MS = 30_000;
const PARALLEL_MAX = 64;

export interface InitOptions {
  readonly nodes: readonly NodeAddress[];
  /** 1 when not given. */
  readonly replicasPerMaster?: number;
  /** The slots of each master, as a cluster had them before; evenly divided when not given. */
  readonly assignment?: readonly SlotSet[];
  /** Credentials, TLS, and the bounds of a connection and a command. */
  readonly connect?: Omit<ConnectSettings, 'signal'>;
  /** Bound of each wait in milliseconds; 30 s when not given. */
  readonly waitMs?: number;
  readonly observer?: InitObserver;
  readonly signal?: AbortSignal;
}

/** `new`: nothing is done yet. `begun`: an earlier run was interrupted. `finished`: these nodes are this cluster. */
export type InitState = 'new' | 'begun' | 'finished';

export interface InitStep {
  readonly name: 'assign' | 'join' | 'attach' | 'agree' | 'sync' | 'verify';
  readonly title: string;
  run(): Promise<void>;
}

export interface FormedShard {
  readonly master: FormedNode;
  readonly slots: string;
  readonly replicas: readonly FormedNode[];
}

export interface FormedNode {
  readonly address: string;
  readonly id: string;
}

/** What `openInit` found, ready to be shown, confirmed, applied, and closed. */
export class InitSession {
  readonly plan: InitPlan;
  readonly state: InitState;
  /** The plan's notes and what was noticed at the nodes. */
  readonly notes: readonly string[];
  readonly nodes: readonly PlanNode[];
  readonly #options: InitOptions;
  readonly #members: readonly Member[];
  readonly #target: readonly TargetNode[];
  #topology: Topology | undefined;

  constructor(options: InitOptions, members: readonly Member[]) {
    this.#options = options;
    this.#members = members;
    this.nodes = members.map(planNode);
    this.plan = planInit(this.nodes, options.replicasPerMaster ?? 1, options.assignment);
    const idOf = new Map(members.map(({ label, id }) => [label, id]));
    this.#target = targetOf(this.plan, (label) => idOf.get(label) ?? '');
    throwProblems(findUnfit(members, { replicas: members.length > this.plan.shards.length }), members.length);
    this.#topology = agreedTopology(members);
    this.state = this.#judge();
    this.notes = [...this.plan.notes, ...noticed(members)];
  }

  #judge(): InitState {
    const finished = this.#topology !== undefined && hasShapeOf(this.#topology, this.plan);
    if (finished) return leftovers(this.#members).length > 0 ? 'begun' : 'finished';
    const conflicts = findConflicts(this.#members, this.plan, this.#target);
    // A run that was killed before it attached the replicas leaves a healthy cluster, too; it has no conflicts.
    if (conflicts.length > 0 && this.#topology !== undefined) throw otherShape(this.#topology);
    this.#topology = undefined;
    throwProblems(conflicts, this.#members.length);
    return isBegun(this.#members) ? 'begun' : 'new';
  }

  /** The steps in their order; empty when nothing is to be done. `apply` runs them all. */
  steps(): InitStep[] {
    if (this.state === 'finished') return [];
    const { observer = {}, signal, waitMs = WAIT_MS } = this.#options;
    const members = this.#members;
    const target = this.#target;
    const mutate = createGate(observer, signal);
    // Everything but a setting was finished by the run that was interrupted.
    if (this.#topology !== undefined) {
      return [{ name: 'verify', title: 'Put a setting back', run: () => this.#repair(mutate) }];
    }
    const convergence = new Convergence({ members, target, mutate, signal });
    const explain = createExplain(members, target);
    const reach = (stage: Stage) => convergence.reach(stage, waitMs, explain);
    const syncDelay = new TemporarySetting(SYNC_DELAY, observer);
    const nodeTimeout = new TemporarySetting(NODE_TIMEOUT, observer);
    const targetById = new Map(target.map((node) => [node.id, node]));
    const led = members.filter(({ id }) => (targetById.get(id)?.replicas ?? 0) > 0);
    const steps: InitStep[] = [
      {
        name: 'assign',
        title: 'Assign the slots',
        run: async () => {
          await this.#requireUnchanged(convergence);
          await repairLeftovers(members, mutate);
          await mapBounded(members, PARALLEL_MAX, (member) =>
            assign(member, targetById.get(member.id) as TargetNode, mutate),
          );
        },
      },
      {
        name: 'join',
        title: 'Join the nodes',
        run: async () => {
          await syncDelay.begin(led);
          await reach('joined');
        },
      },
      { name: 'attach', title: 'Attach the replicas', run: () => reach('attached') },
      {
        name: 'agree',
        title: 'Wait until all nodes agree',
        run: async () => {
          await reach('known');
          const waiting = led.filter(({ id }) => convergence.views.get(id)?.cluster.state !== 'ok');
          const replicas = members.filter((member) => targetById.get(member.id)?.masterId !== undefined);
          const usual = usualNodeTimeout(replicas);
          await nodeTimeout.begin(waiting, (original) => original === usual);
          await reach('agreed');
          await nodeTimeout.end();
        },
      },
      {
        name: 'sync',
        title: 'Synchronise the replicas',
        run: async () => {
          await reach('synced');
          await syncDelay.end();
        },
      },
      { name: 'verify', title: 'Verify the cluster', run: () => this.#verify(convergence) },
    ];
    return steps.map((step) => ({ ...step, run: () => resumable(step, [nodeTimeout, syncDelay]) }));
  }

  /** Runs all steps. Throws what a step throws; running it again then goes on where it stopped. */
  async apply(): Promise<void> {
    for (const step of this.steps()) await step.run();
  }

  /** The cluster as it is, once it is finished. */
  get shards(): FormedShard[] {
    const labelOf = new Map(this.#members.map(({ id, label }) => [id, label]));
    const formed = (node: { id: string; ip: string; port: number }) => ({
      address: labelOf.get(node.id) ?? nodeAddress(node),
      id: node.id,
    });
    return (this.#topology?.shards ?? []).map(({ master, replicas }) => ({
      master: formed(master),
      slots: formatSlots(master.slots),
      replicas: replicas.map(formed),
    }));
  }

  close(): void {
    for (const { connection } of this.#members) connection.close();
  }

  /** Between the look and the yes of the operator, minutes may have passed. */
  async #requireUnchanged(convergence: Convergence): Promise<void> {
    await convergence.look();
    const changed = this.#members.filter(
      ({ id, view }) => convergence.views.get(id)?.topology.signature !== view.topology.signature,
    );
    // What an interrupted run set going still goes on: nodes that were met get to know each other.
    if (changed.length === 0 || this.state === 'begun') return;
    throw new ForgeError(
      'refused',
      `Changed since the plan was made: ${changed.map(({ label }) => label).join(', ')}.`,
      {
        host: changed[0]?.label,
        next: 'Run the command again to plan anew.',
      },
    );
  }

  async #repair(mutate: Mutate): Promise<void> {
    await repairLeftovers(this.#members, mutate);
  }

  async #verify(convergence: Convergence): Promise<void> {
    const views = await convergence.look();
    if (!hasReached('synced', this.#target, views)) {
      throw new ForgeError('verification', 'The cluster was formed, but changed again while it was verified.', {
        next: 'Look at CLUSTER NODES of each node, then run the same command again.',
      });
    }
    this.#topology = views.get(this.#members[0]?.id ?? '')?.topology;
  }
}

function planNode({ label, ip, address }: Member): PlanNode {
  return { label, host: hostIdentity(ip), ...(address.zone === undefined ? {} : { zone: address.zone }) };
}

/** Worth knowing, and no reason to stop. */
function noticed(members: readonly Member[]): string[] {
  const notes: string[] = [];
  const open = members.filter(({ connection }) => connection.passwordUnused).map(({ label }) => label);
  if (open.length > 0) notes.push(`A password was given, but these ask for none: ${open.join(', ')}.`);
  const versions = [...new Set(members.map(({ facts }) => facts.version?.text ?? 'unknown'))].sort();
  if (versions.length > 1) notes.push(`The nodes run different versions: ${versions.join(', ')}.`);
  return notes;
}

/**
 * Reaches all nodes, plans, and checks that the nodes fit the plan. Changes nothing. Close the session.
 * @throws ForgeError `usage` (too few nodes, a node twice), `unreachable`, `denied`, `timeout`, or `refused` with every
 *   node that holds keys, belongs to another cluster, or is otherwise unfit
 */
export async function openInit(options: InitOptions): Promise<InitSession> {
  // The arithmetic, repetitions and zones need no network; the hosts are looked at once their addresses are known.
  planInit(
    options.nodes.map((address) => ({ label: formatAddress(address), host: address.host, zone: address.zone })),
    options.replicasPerMaster ?? 1,
    options.assignment,
  );
  const members = await inspectNodes(options.nodes, { ...options.connect, signal: options.signal });
  try {
    return new InitSession(options, members);
  } catch (error) {
    for (const { connection } of members) connection.close();
    throw error;
  }
}
