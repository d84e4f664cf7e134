/** `forge status`: what runs of a local cluster, and how it is. Changes nothing and takes no lock. */
import { countSlots, normalizeSlots, SLOT_COUNT, type SlotRange } from '../cluster/slots.js';
import { ForgeError } from '../errors.js';
import { readiness } from '../proxy/control/admin.js';
import type { InstancePhase, InstanceState } from '../runtime/runtime.js';
import { LOOPBACK } from './nodes.js';
import { clusterPaths } from './paths.js';
import { type LocalPlace, openPlace, type ProxyPorts } from './place.js';
import { loadSecrets, type Secrets, secretFile } from './secrets.js';
import { type ClusterState, listClusters, loadState } from './state.js';
import { type NodeView, nodeFault, viewNode } from './view.js';

export interface NodeStatus {
  host: string;
  port: number;
  phase: InstancePhase;
  pid: number | null;
  supervised: boolean;
  restarts: number;
  /** Null when it cannot be asked. */
  role: 'master' | 'replica' | null;
  id: string | null;
  /** The id of a replica's master. */
  masterId: string | null;
  slots: readonly SlotRange[];
  /** Resident memory of the process. */
  memoryBytes: number | null;
  /** What is wrong with it; null when nothing is. */
  fault: string | null;
}

export interface ProxyStatus {
  host: string;
  port: number;
  admin: { host: string; port: number };
  phase: InstancePhase;
  pid: number | null;
  supervised: boolean;
  restarts: number;
  memoryBytes: number | null;
  /** What /ready says; null when it does not answer. */
  ready: string | null;
  fault: string | null;
}

/**
 * - `up`: everything runs and is healthy
 * - `degraded`: something is down or not in order
 * - `stopped`: nothing runs
 */
export type Health = 'up' | 'degraded' | 'stopped';

export interface ClusterStatus {
  name: string;
  directory: string;
  health: Health;
  /** Independent servers among which the proxy hashes keys: no slots, no replicas. */
  sharded: boolean;
  masters: number;
  replicas: number;
  /** Of 16,384: those that a reachable master serves. */
  slotsServed: number;
  nodes: NodeStatus[];
  proxy: ProxyStatus | null;
  endpoint: { host: string; port: number } | null;
  passwordFile: string;
}

/** @throws ForgeError `refused` when there is no such cluster */
export async function clusterStatus(home: string, name: string, signal?: AbortSignal): Promise<ClusterStatus> {
  const paths = clusterPaths(home, name);
  const state = await loadState(paths);
  if (state === undefined) {
    const others = await listClusters(home);
    throw new ForgeError('unreachable', `There is no local cluster "${name}".`, {
      next: [`Start it: forge up${name === 'local' ? '' : ` --name ${name}`}`, ...otherNames(others)],
    });
  }
  const place = await openPlace({ paths, state, signal });
  const secrets = await loadSecrets(paths);
  const [nodes, proxy] = await Promise.all([
    Promise.all(state.nodePorts.map((port) => nodeStatus(place, state, secrets, port, signal))),
    state.proxy === null ? null : proxyStatus(place, state.proxy, signal),
  ]);
  return {
    name,
    directory: paths.directory,
    health: health(nodes, proxy),
    sharded: state.sharded === true,
    masters: state.masters,
    replicas: state.replicas,
    // For a moment after a failover two masters may hold themselves for the owner: a slot counts once.
    slotsServed: countSlots(normalizeSlots(nodes.flatMap((node) => node.slots))),
    nodes,
    proxy,
    endpoint: proxy && { host: proxy.host, port: proxy.port },
    passwordFile: secretFile(paths, proxy === null ? 'app' : 'endpoint'),
  };
}

/** The status of every local cluster under this home. */
export async function allStatuses(home: string, signal?: AbortSignal): Promise<ClusterStatus[]> {
  return await Promise.all((await listClusters(home)).map((name) => clusterStatus(home, name, signal)));
}

/** Pure. */
export function health(
  nodes: readonly Pick<NodeStatus, 'phase' | 'fault'>[],
  proxy: Pick<ProxyStatus, 'phase' | 'fault'> | null,
): Health {
  const parts = proxy === null ? nodes : [...nodes, proxy];
  if (parts.every(({ fault }) => fault === null)) return 'up';
  return parts.some(({ phase }) => phase === 'running' || phase === 'waiting') ? 'degraded' : 'stopped';
}

/** What a phase that is not `running` means, in words. Pure. */
export function phaseFault({ phase, lastExit }: Pick<InstanceState, 'phase' | 'lastExit'>): string | undefined {
  const end = lastExit === undefined ? '' : lastExit > 128 ? ` (signal ${lastExit - 128})` : ` (code ${lastExit})`;
  if (phase === 'running') return undefined;
  if (phase === 'waiting') return `it crashed${end} and is about to be restarted`;
  if (phase === 'failed') return `it crashed${end} too often and was given up`;
  if (phase === 'exited') return 'it was shut down from outside';
  if (phase === 'lost') return 'it was ended together with its supervisor (a reboot?)';
  return 'it is not running';
}

async function nodeStatus(
  place: LocalPlace,
  state: ClusterState,
  secrets: Secrets,
  port: number,
  signal?: AbortSignal,
): Promise<NodeStatus> {
  const instance = await place.runtime.inspect(place.node(port));
  const view: NodeView =
    instance.phase === 'running' ? await viewNode(port, secrets.admin, signal) : { reachable: false };
  const { myself } = view;
  const nodes = state.nodePorts.length;
  return {
    host: LOOPBACK,
    port,
    ...processStatus(instance),
    role: view.independent ? 'master' : (myself?.role ?? null),
    id: myself?.id ?? null,
    masterId: myself?.masterId ?? null,
    slots: myself?.role === 'master' ? myself.slots : [],
    fault: phaseFault(instance) ?? nodeFault(view, nodes) ?? unsupervised(instance) ?? null,
  };
}

async function proxyStatus(place: LocalPlace, ports: ProxyPorts, signal?: AbortSignal): Promise<ProxyStatus> {
  const instance = await place.proxy.inspect();
  const admin = { host: LOOPBACK, port: ports.adminPort };
  let ready: string | null = null;
  let fault = phaseFault(instance) ?? unsupervised(instance) ?? null;
  if (instance.phase === 'running') {
    try {
      const answer = await readiness(admin, signal);
      ready = answer.state;
      if (!answer.ready) fault = `it is not ready: ${answer.state}`;
    } catch (error) {
      if (!(error instanceof ForgeError)) throw error;
      fault = error.message;
    }
  }
  return { host: LOOPBACK, port: ports.port, admin, ...processStatus(instance), ready, fault };
}

function processStatus({ phase, pid, supervised, restarts, memoryBytes }: InstanceState) {
  return { phase, pid: pid ?? null, supervised, restarts, memoryBytes: memoryBytes ?? null };
}

function unsupervised({ phase, supervised }: InstanceState): string | undefined {
  return phase === 'running' && !supervised ? 'its supervisor is gone: nobody would restart it' : undefined;
}

function otherNames(names: readonly string[]): string[] {
  return names.length === 0
    ? []
    : [`There ${names.length === 1 ? 'is' : 'are'}: ${names.join(', ')} (forge status --all)`];
}

/** Whether every slot is served. Pure. */
export function isCovered(status: Pick<ClusterStatus, 'slotsServed'>): boolean {
  return status.slotsServed === SLOT_COUNT;
}
