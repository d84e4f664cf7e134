/** A module of the upstream servers, as HELLO lists it. */
export interface ModuleFacts {
  readonly name: string;
  readonly version: number;
  /** Null when the servers do not say it: before Redis 7.0. */
  readonly path: string | null;
  readonly args: readonly string[] | null;
}

/** Facts about the upstream servers that clients ask for. */
export interface ClusterFacts {
  /** `redis_version` in INFO; a Valkey says there which Redis it is compatible with. */
  readonly redisVersion: string;
  /** What HELLO says: `redis` or `valkey`, … */
  readonly server: string;
  /** … and its own version. */
  readonly version: string;
  readonly modules: readonly ModuleFacts[];
}

/** What clients are told until a server has said more. */
export const NO_FACTS: ClusterFacts = { redisVersion: '7.0.0', server: 'redis', version: '7.0.0', modules: [] };
