/** A user, as a worker is told about it. Plain data; of passwords there are only hashes. */
export interface UserSettings {
  readonly name: string;
  readonly enabled: boolean;
  /** SHA-256 in hexadecimal; one of them must be right. */
  readonly passwords: readonly string[];
  /** In the words of Redis's ACL SETUSER, without passwords. */
  readonly rules: string;
  /** Nothing that writes, whatever the rules say. */
  readonly readOnly: boolean;
  /** Where it may come from; anywhere when there are none. */
  readonly sourceCidrs: readonly string[];
}

/** Who may do what. */
export interface AccessSettings {
  readonly users: readonly UserSettings[];
  /** Whom `AUTH password` means, and who a client is that may do without a login. */
  readonly defaultUser: string;
  /** How long the first failed login of an address and user is held; 0: not at all. */
  readonly failureDelayMs: number;
}

/** Everybody may do everything, as in a Redis without passwords. */
export const OPEN_ACCESS: AccessSettings = {
  users: [
    { name: 'default', enabled: true, passwords: [], rules: 'nopass +@all ~* &*', readOnly: false, sourceCidrs: [] },
  ],
  defaultUser: 'default',
  failureDelayMs: 0,
};
