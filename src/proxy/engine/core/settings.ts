import type { ObserveSettings } from '../observe/settings.js';
import type { ReadPolicy, RouteTable } from '../routing/table.js';

/** What a worker is told about its listener. Secrets are in memory only. */
export interface WorkerSettings {
  /** A client must log in. */
  readonly authRequired: boolean;
  readonly authUsername: string;
  readonly authPasswords: readonly string[];
  /** Commands that are refused otherwise and allowed here: `debug`, `cluster|failover`. */
  readonly adminCommands: readonly string[];
  /** The proxy's own version, for INFO and HELLO. */
  readonly version: string;
  readonly listenPort: number;
  /** Number of this worker, from 0, and how many there are: client ids are unique over all of them. */
  readonly worker: number;
  readonly workers: number;
  readonly processId: number;
  /** Everything to the first cluster when not given. */
  readonly routes?: RouteTable;
  /** Only the times when not given. */
  readonly observe?: ObserveSettings;
}

/** What a worker is told about one upstream cluster. */
export interface ClusterSettings {
  readonly name: string;
  readonly opTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly upstreamUsername: string;
  readonly upstreamPassword: string;
  /** Connections that are one client's own for a while, per worker; `dedicatedMax` of the limits when not given. */
  readonly dedicatedMax?: number;
  /** In place of `Limits.connectRatePerSecond` and `upstreamUnknownMax`. */
  readonly connectRatePerSecond?: number;
  readonly unknownMax?: number;
  /** MASTER when not given. */
  readonly readPolicy?: ReadPolicy;
  /** Replicas are not read from before the main thread has said how far behind they are. */
  readonly lagBound?: boolean;
}
