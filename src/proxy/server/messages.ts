import type { CommandSpec } from '../engine/commands/spec.js';
import type { ClusterFacts } from '../engine/core/facts.js';
import type { Limits } from '../engine/core/limits.js';
import type { NodeEntry } from '../engine/core/router.js';
import type { RefreshReason } from '../engine/core/runtime.js';
import type { ClusterSettings, WorkerSettings } from '../engine/core/settings.js';
import type { HostTable } from '../engine/routing/host-table.js';

/** An upstream cluster, as a worker gets it. */
export interface ClusterStart {
  /** It keeps its number as long as it is in the configuration; messages about it and its statistics go by it. */
  readonly number: number;
  /** Another one when another cluster has the number. */
  readonly serial: number;
  readonly settings: ClusterSettings;
  readonly slotMap: SharedArrayBuffer;
  /** Independent servers; their table comes later. */
  readonly sharded: boolean;
}

/** What a worker gets once, before anything else. */
export interface WorkerStart {
  readonly type: 'start';
  readonly settings: WorkerSettings;
  readonly limits: Limits;
  readonly listen: { readonly host: string; readonly port: number };
  readonly clusters: readonly ClusterStart[];
  /** The statistics of all workers, each by its number. */
  readonly stats: readonly SharedArrayBuffer[];
  /** Clients that a worker with this number has had before. */
  readonly firstClient: number;
  readonly logLevel: LogLevel;
}

/** The configuration is another one. */
export interface ConfigureMessage {
  readonly type: 'configure';
  readonly settings: WorkerSettings;
  readonly limits: Limits;
  readonly clusters: readonly ClusterStart[];
  readonly logLevel: LogLevel;
}

/** The nodes that the slot map's indices stand for; sent before the map changes. */
export interface NodesMessage {
  readonly type: 'nodes';
  readonly cluster: number;
  readonly nodes: readonly NodeEntry[];
  /** Null as long as no node has said them. */
  readonly facts: ClusterFacts | null;
}

/** The slot map has changed. */
export interface MapMessage {
  readonly type: 'map';
  readonly cluster: number;
}

/** Independent servers have another table, and these are the nodes; sent before the slot map changes. */
export interface TableMessage {
  readonly type: 'table';
  readonly cluster: number;
  readonly table: HostTable;
  /** One more than the highest number of a host. */
  readonly slots: number;
  readonly nodes: readonly NodeEntry[];
  /** Null as long as no node has said them. */
  readonly facts: ClusterFacts | null;
}

/** What decides whether a node is read from, by the indices of nodes. */
export interface ReadsMessage {
  readonly type: 'reads';
  readonly cluster: number;
  /** Replicas that are too far behind. */
  readonly lagging: readonly number[];
  /** Nodes in the proxy's own zone. */
  readonly local: readonly number[];
}

/** Commands that the servers have and the table lacks, to be added in this order. */
export interface CommandsMessage {
  readonly type: 'commands';
  readonly specs: readonly CommandSpec[];
}

/** Stop accepting, finish what is on its way, close. */
export interface DrainMessage {
  readonly type: 'drain';
}

/** Asks for the state of the upstream connections. */
export interface ReportMessage {
  readonly type: 'report';
  readonly id: number;
}

/** One upstream connection of one worker. */
export interface LaneReport {
  readonly cluster: number;
  readonly address: string;
  readonly proto: number;
  readonly state: 'idle' | 'connecting' | 'handshake' | 'ready';
  readonly inFlight: number;
  readonly waiting: number;
  readonly failures: number;
  readonly lastError: string;
}

/** A question or a message of a worker, for all workers. Without an `id` nobody waits for an answer. */
export interface AskedMessage {
  readonly type: 'asked';
  readonly id?: number;
  readonly kind: string;
  readonly payload: unknown;
}

/** What the workers said to a question of this one. */
export interface AnswersMessage {
  readonly type: 'answers';
  readonly id: number;
  readonly answers: readonly unknown[];
}

/** What becomes of one upstream cluster. */
export type ClusterMessage = NodesMessage | MapMessage | TableMessage | ReadsMessage;

export type ToWorker =
  | WorkerStart
  | ConfigureMessage
  | ClusterMessage
  | CommandsMessage
  | DrainMessage
  | ReportMessage
  | AskedMessage
  | AnswersMessage;

export type FromWorker =
  | { readonly type: 'loaded' }
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'listen-failed'; readonly reason: string; readonly inUse: boolean }
  | { readonly type: 'refresh'; readonly cluster: number; readonly reason: RefreshReason }
  | { readonly type: 'drained' }
  | { readonly type: 'ask'; readonly id?: number; readonly kind: string; readonly payload: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'report'; readonly id: number; readonly lanes: readonly LaneReport[] }
  | {
      readonly type: 'log';
      readonly level: LogLevel;
      readonly message: string;
      readonly fields?: Record<string, unknown>;
    };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
