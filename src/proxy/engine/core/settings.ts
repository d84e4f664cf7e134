/** What a worker is told about its listener and its cluster. Secrets are in memory only. */
export interface WorkerSettings {
  readonly opTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly upstreamUsername: string;
  readonly upstreamPassword: string;
  /** A client must log in. */
  readonly authRequired: boolean;
  readonly authUsername: string;
  readonly authPasswords: readonly string[];
  /** The proxy's own version, for INFO and HELLO. */
  readonly version: string;
  readonly listenPort: number;
  /** Number of this worker, from 0, and how many there are: client ids are unique over all of them. */
  readonly worker: number;
  readonly workers: number;
  readonly processId: number;
}
