/** How much one user may do, over all workers. `Infinity`: as much as it likes. */
export interface UserLimits {
  /** Connections that are logged in as the user. */
  readonly maxConnections: number;
  readonly commandsPerSecond: number;
  /** Bytes of its commands and of their replies together. */
  readonly bytesPerSecond: number;
}

/** How many clients the workers let in, together. `Infinity`: all. */
export interface AdmissionSettings {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Connections that are accepted in a second, and at once. */
  readonly acceptRatePerSecond: number;
  readonly acceptBurst: number;
  /** Of users that have no limits of their own. */
  readonly perUser: UserLimits;
  readonly users: Readonly<Record<string, UserLimits>>;
  /** The main thread watches memory and workers, and says when it is too much (`Ledger.overload`). */
  readonly overload: boolean;
}

export const NO_USER_LIMITS: UserLimits = {
  maxConnections: Number.POSITIVE_INFINITY,
  commandsPerSecond: Number.POSITIVE_INFINITY,
  bytesPerSecond: Number.POSITIVE_INFINITY,
};

export const NO_LIMITS: AdmissionSettings = {
  maxConnections: Number.POSITIVE_INFINITY,
  maxConnectionsPerAddress: Number.POSITIVE_INFINITY,
  acceptRatePerSecond: Number.POSITIVE_INFINITY,
  acceptBurst: Number.POSITIVE_INFINITY,
  perUser: NO_USER_LIMITS,
  users: {},
  overload: false,
};

/** What the workers share to keep limits together. */
export interface SharedAdmission {
  /** `ledgerBytes` of it. */
  readonly memory: SharedArrayBuffer;
  /** The main thread's clock when this was sent: threads have clocks of their own. */
  readonly nowMs: number;
}
