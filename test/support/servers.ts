/** The kinds of server that tests compare with: the installed one, and newer ones where they can be had. */
import { canHaveNewerServers, newerServers } from '../../scripts/newer-servers.js';

/** The longest that fetching the newer ones takes, once. */
export const FETCH_TIMEOUT_MS = 10 * 60_000;

const INSTALLED_AND_NEWER = [
  ['the installed redis-server', 'installed'],
  ['Redis 8', 'redis8'],
  ['Valkey 9', 'valkey9'],
] as const;

/** A name for tests, and what `executableOf` takes. In CI one that is missing is a failure. */
export const SERVERS =
  process.env['CI'] || canHaveNewerServers() ? INSTALLED_AND_NEWER : INSTALLED_AND_NEWER.slice(0, 1);

/** All variants of what takes long: FORGE_TORTURE=full. Without it, a selection. */
export const FULL = process.env['FORGE_TORTURE'] === 'full';

/** For what takes long with each: the oldest and the newest of another kind. */
export const SOME_SERVERS = SERVERS.filter(([, name]) => FULL || name !== 'redis8');
/** For what takes longer: the oldest. */
export const ONE_SERVER = FULL ? SERVERS : SERVERS.slice(0, 1);

/** Fetches it first when it is missing. */
export function executableOf(server: (typeof INSTALLED_AND_NEWER)[number][1]): string {
  return server === 'installed' ? 'redis-server' : newerServers()[server];
}
