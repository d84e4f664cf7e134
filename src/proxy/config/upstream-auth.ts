import * as z from 'zod/mini';
import { duration, whole, withDefault } from './values.js';

const CHECK_INTERVAL_MS = 5000;
const CHECK_INTERVAL_MIN_MS = 100;
const USERS = 1024;
const USERS_MAX = 65_536;

/** The setting of a listener by which Redis checks its clients' logins, and their commands run with their own rights. */
export const upstreamAuthSettings = {
  upstream_auth: z.optional(
    z.strictObject({
      /** A user that Redis does not accept any more is disconnected within this time. */
      check_interval: withDefault(duration(CHECK_INTERVAL_MIN_MS, 3_600_000), CHECK_INTERVAL_MS),
      /** Users, each with one password, of one worker. */
      max_upstream_users: withDefault(whole(1, USERS_MAX), USERS),
    }),
  ),
};
