import type { AccessSettings } from '../access/settings.js';
import type { UpstreamAuthSettings } from '../access/settings-upstream.js';
import type { AdmissionSettings, SharedAdmission } from '../admission/settings.js';
import type { FaultSettings } from '../faults/settings.js';
import type { BreakerSettings } from '../health/breakers.js';
import type { ObserveSettings } from '../observe/settings.js';
import type { ReadPolicy, RouteTable } from '../routing/table.js';
import type { TraceSettings } from '../trace/settings.js';

/** What a worker is told about its listener. Secrets are in memory only. */
export interface WorkerSettings {
  /** Users; everybody may do everything when not given. */
  readonly access?: AccessSettings;
  /** How many clients, and how much of each user; everything when not given. */
  readonly admission?: AdmissionSettings;
  /** What workers count together; a worker that is alone needs none. */
  readonly shared?: SharedAdmission;
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
  /** Redis checks clients' logins, and their commands run with their own users' rights. */
  readonly upstreamAuth?: UpstreamAuthSettings | null;
  /** None when not given. */
  readonly faults?: readonly FaultSettings[];
  /** Nothing is recorded when not given. */
  readonly trace?: TraceSettings;
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
  /** The one before it, which is tried where a login with it is refused: passwords are not changed everywhere at once. */
  readonly upstreamPreviousPassword?: string | undefined;
  /** Connections that are one client's own for a while, per worker; `dedicatedMax` of the limits when not given. */
  readonly dedicatedMax?: number;
  /** In place of `Limits.connectRatePerSecond` and `upstreamUnknownMax`. */
  readonly connectRatePerSecond?: number;
  readonly unknownMax?: number;
  /** MASTER when not given. */
  readonly readPolicy?: ReadPolicy;
  /** Replicas are not read from before the main thread has said how far behind they are. */
  readonly lagBound?: boolean;
  /** Bounds of the cluster's own, in place of the worker's limits. */
  readonly breakers?: BreakerSettings;
  /** The main thread wants to know of failures. */
  readonly outlierDetection?: boolean;
}
