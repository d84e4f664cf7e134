/** How many files and sockets a deployed node may have open. */
import type { RedisSettings } from './deploy-settings.js';

/** `redis.nofile` when nobody says one: clients, replicas, and room for more of them. */
export const NOFILE = 65_536;
/** `maxclients` of templates/redis.conf. */
const MAX_CLIENTS = 10_000;
/** What Redis keeps for itself (redis: server.h, CONFIG_MIN_RESERVED_FDS). */
const OWN_FILES = 32;

/** What a node needs for all clients that it is to have; with less it would have fewer, and only say so in its log. */
export function openFilesNeeded(settings: RedisSettings): number {
  return Number(settings['maxclients']?.[0] ?? MAX_CLIENTS) + OWN_FILES;
}
