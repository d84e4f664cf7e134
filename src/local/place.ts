/** Where a local cluster runs: what is different between processes of this machine and containers. */
import type { InstanceRef, InstanceSpec, InstanceState, Runtime, StopOutcome } from '../runtime/runtime.js';
import type { ClusterPaths } from './paths.js';
import type { PlannedPort } from './port-plan.js';
import type { Secrets } from './secrets.js';
import type { ClusterState } from './state.js';
import type { StepReporter } from './step.js';

export type ProxyPorts = NonNullable<ClusterState['proxy']>;

export interface LocalPlace {
  readonly runtime: Runtime;
  /** Nodes that are started at the same time. */
  readonly startsAtOnce: number;
  readonly proxy: ProxyPlace;
  /** Where the nodes' data is, in words. */
  readonly data: string;
  /**
   * Whether a cluster could run here at all. Before anything of it is written.
   * @throws ForgeError `missing` without a server or an engine
   */
  check(): Promise<void>;
  /** Sees to what nodes and proxy need around them. @throws ForgeError `refused` when its ports are busy */
  open(report: StepReporter, signal?: AbortSignal): Promise<void>;
  /** Takes away what `open` made, once nodes and proxy are stopped. */
  close(): Promise<void>;
  /** Removes everything of the cluster that is not in its folder: data, too. All of it is stopped. */
  clear(): Promise<void>;
  /** How the runtime knows the node on this port. */
  node(port: number): InstanceRef;
  /** @throws ForgeError `missing` without a server */
  nodeSpec(port: number, secrets: Secrets): Promise<InstanceSpec>;
  /** @throws ForgeError `refused` when one of the ports, which nothing of this cluster holds now, is busy */
  refuseBusy(ports: readonly PlannedPort[], otherwise: string): Promise<void>;
  /** How to see everything that the node says: a sentence. */
  logOf(port: number): string;
  /** The last lines of a node's own log, where that is apart from its output. */
  nodeLog(port: number, lines: number): Promise<string[]>;
}

export interface ProxyPlace {
  /** How to see everything that it says: a sentence. */
  readonly log: string;
  inspect(): Promise<InstanceState>;
  /** Starts it and waits until it answers. @throws ForgeError of the kind of its failure; then nothing of it is left */
  start(ports: ProxyPorts, signal?: AbortSignal): Promise<void>;
  stop(graceMs: number): Promise<StopOutcome>;
}

/** What a place is made for. */
export interface PlaceOptions {
  paths: ClusterPaths;
  /** Its ports may still be unknown while it is only checked. */
  state: Pick<ClusterState, 'runtime' | 'nodePorts' | 'replicas' | 'sharded' | 'proxy'>;
  signal?: AbortSignal;
}

/** The place of a cluster. Nothing is asked of an engine before it is used. */
export async function openPlace(options: PlaceOptions): Promise<LocalPlace> {
  // Only what is needed is loaded: most clusters are processes.
  if (options.state.runtime === 'process') return (await import('./process-place.js')).processPlace(options);
  return (await import('./docker/place.js')).dockerPlace(options);
}
