/** Redis checks clients' logins, and their commands run with their own users' rights. Read at the moment of use. */
export interface UpstreamAuthSettings {
  /** Every user is checked again this often. */
  readonly checkIntervalMs: number;
  /** Users, each with one password, of one worker. */
  readonly usersMax: number;
}
