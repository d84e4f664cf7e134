import type { CommandSpec } from '../engine/commands/spec.js';
import type { ClusterFacts } from '../engine/core/facts.js';
import type { Limits } from '../engine/core/limits.js';
import type { NodeEntry } from '../engine/core/router.js';
import type { HostFailures, RefreshReason } from '../engine/core/runtime.js';
import type { ClusterSettings, WorkerSettings } from '../engine/core/settings.js';
import type { HostTable } from '../engine/routing/host-table.js';
import type { Recorded } from '../engine/trace/settings.js';
import type { DrainTimes } from './draining.js';
import type { ClientTls, ServerTls } from './tls/material.js';

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
  /** Null: its nodes are spoken to without TLS. */
  readonly tls: ClientTls | null;
}

/** Where a worker accepts clients. */
export interface WorkerAddress {
  /** Of a port; empty and 0 for a Unix socket. */
  readonly host: string;
  readonly port: number;
  /** Of a Unix socket. */
  readonly path?: string;
  /** A listening socket of the worker's own; it closes it. */
  readonly fd?: number;
}

/** How a worker speaks TLS with clients. */
export interface ListenerTls {
  /** Of each address, in their order; null: without TLS. */
  readonly downstream: readonly (ServerTls | null)[];
  readonly handshakeTimeoutMs: number;
}

/** What a worker gets once, before anything else. */
export interface WorkerStart {
  readonly type: 'start';
  readonly settings: WorkerSettings;
  readonly limits: Limits;
  readonly addresses: readonly WorkerAddress[];
  readonly tls: ListenerTls;
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
  readonly tls: ListenerTls;
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

/** Which nodes are not to be used, by their indices; all others are well. See `Health.know`. */
export interface HealthMessage {
  readonly type: 'health';
  readonly cluster: number;
  readonly out: readonly number[];
  readonly silent: readonly number[];
  /** Connections that have said nothing for so long to a command are given up when their node falls silent. */
  readonly silentMs: number;
}

/** Commands that the servers have and the table lacks, to be added in this order. */
export interface CommandsMessage {
  readonly type: 'commands';
  readonly specs: readonly CommandSpec[];
}

/** Accept nobody any more; clients that are there stay. Answered with `accepts-nobody`. */
export interface StopAcceptingMessage {
  readonly type: 'stop-accepting';
}

/** Accept clients again, or anew, on these addresses; the others (null) stay as they are. */
export interface AcceptMessage {
  readonly type: 'accept';
  readonly addresses: readonly (WorkerAddress | null)[];
  readonly tls: ListenerTls;
}

/** Accept nobody, finish what is on its way, let the clients go. Answered with `drained` when all have left. */
export interface DrainMessage {
  readonly type: 'drain';
  readonly times: DrainTimes;
  readonly places: HandoverPaths;
}

/** Where the process that takes over waits for clients. */
export interface HandoverPaths {
  /** Empty when it does not. */
  readonly clients: string;
  /** So many of its workers wait for subscribers, each at a place of its own (`heirPath`). */
  readonly heirs: number;
}

export const NOWHERE: HandoverPaths = { clients: '', heirs: 0 };

/** Where one worker waits for the subscribers of some workers of the process before; they spread over all. */
export function heirPath({ clients, heirs }: HandoverPaths, worker: number): string {
  return heirs === 0 ? '' : `${clients}.${worker % heirs}`;
}

/** Take up the clients that another process passes on. */
export interface AdoptMessage {
  readonly type: 'adopt';
  /** Where they come; the worker closes it. Null: no more come. */
  readonly fd: number | null;
  /** Where workers of it pass their subscribers on; in the same way. Below 0: they do not. */
  readonly heirs: number;
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

/** The main thread has what the worker recorded; it may send more. */
export interface RecordedTakenMessage {
  readonly type: 'recorded-taken';
}

/** What becomes of one upstream cluster. */
export type ClusterMessage = NodesMessage | MapMessage | TableMessage | ReadsMessage | HealthMessage;

export type ToWorker =
  | WorkerStart
  | ConfigureMessage
  | ClusterMessage
  | CommandsMessage
  | StopAcceptingMessage
  | AcceptMessage
  | DrainMessage
  | AdoptMessage
  | ReportMessage
  | AskedMessage
  | AnswersMessage
  | RecordedTakenMessage;

export type FromWorker =
  | { readonly type: 'loaded' }
  | {
      readonly type: 'listening';
      readonly port: number;
      /** Of the epoll instance that watches its connections; -1 when there is none. */
      readonly descriptor: number;
    }
  | { readonly type: 'listen-failed'; readonly reason: string; readonly inUse: boolean }
  | { readonly type: 'refresh'; readonly cluster: number; readonly reason: RefreshReason }
  | { readonly type: 'hosts-failed'; readonly cluster: number; readonly hosts: readonly HostFailures[] }
  | { readonly type: 'recorded'; readonly batch: Recorded }
  | { readonly type: 'accepts-nobody' }
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
