import type { Allocate, Bytes } from '../bytes.js';
import type { Recorded } from '../trace/settings.js';
import type { Sink } from './output.js';

/** A connection as the engine sees it. The server binds it to a socket, a test to whatever it likes. */
export interface Transport extends Sink {
  /** Stops and starts the delivery of received bytes. */
  pause(): void;
  resume(): void;
  /** Closes after what was written has been sent. */
  end(): void;
  /** Closes at once. */
  terminate(): void;
}

/** What happens to a connection that the engine asked for. Exactly one of `opened` and `failed` comes first. */
export interface TransportEvents {
  opened(transport: Transport): void;
  failed(reason: string): void;
  received(bytes: Bytes): void;
  drained(): void;
  closed(reason: string): void;
}

/** Everything that the engine needs from the world. */
export interface Runtime {
  readonly allocate: Allocate;
  /** Milliseconds that never go back. */
  now(): number;
  /** Resident memory of the process. */
  residentBytes?(): number;
  /** 32 bytes. */
  sha256(bytes: Bytes): Uint8Array;
  /** Runs the callback when all sockets that are ready now have been served. */
  defer(callback: () => void): void;
  /** Opens a connection to a node of the cluster with that number; the events come later, never within the call. */
  connect(host: string, port: number, events: TransportEvents, cluster: number): void;
  /** Asks for a fresh topology of the cluster with that number, because of what was just seen. */
  requestRefresh(cluster: number, reason: RefreshReason): void;
  /** Says which hosts of the cluster with that number have failed, for outlier detection. */
  hostsFailed?(cluster: number, hosts: readonly HostFailures[]): void;
  /**
   * Puts a question to all workers, this one among them (`Relay.answer`), and brings their answers, in no order; fewer
   * than there are workers when one does not answer within a second. Questions and answers are plain data. The callback
   * comes later, never within the call. What one worker asks and tells arrives everywhere in the same order.
   */
  ask(kind: string, payload: unknown, callback: (answers: unknown[]) => void): void;
  /** Tells all workers something, this one among them; nobody knows when it has arrived. */
  tell(kind: string, payload: unknown): void;
  /** Takes what was recorded; `Recorder.taken` is called when it is ready for more. */
  recorded?(batch: Recorded): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void;
}

/** Failures of a host that a worker has seen since the host last answered it anything. */
export interface HostFailures {
  /** `host:port` */
  readonly address: string;
  readonly consecutive: number;
}

export type RefreshReason =
  | 'moved'
  | 'connection_lost'
  | 'connect_failed'
  | 'cluster_down'
  | 'unassigned_slot'
  | 'silent';
