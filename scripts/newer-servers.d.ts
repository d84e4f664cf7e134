export interface NewerServers {
  root: string;
  redis8: string;
  redis8Cli: string;
  valkey9: string;
  valkey9Cli: string;
}

export function newerServers(options?: { cache?: string; log?: (line: string) => void }): NewerServers;
export function canHaveNewerServers(options?: { cache?: string }): boolean;
/** Path of a redis-server with CLUSTER MIGRATION (8.4 or newer), fetched first when it is missing. */
export function redisWithAtomicMigration(options?: { cache?: string; log?: (line: string) => void }): string;
