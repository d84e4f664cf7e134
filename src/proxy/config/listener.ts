import * as z from 'zod/mini';
import { accessSettings } from './access.js';
import { faults } from './faults.js';
import { percent } from './fraction.js';
import { KeyFormatterError, parseKeyFormatter } from './key-formatter.js';
import { listenerLimits } from './limits.js';
import { additionalAddresses, formatListenAddress, listenAddress } from './listen-address.js';
import { readPolicy } from './read-policy.js';
import { downstreamTls } from './tls.js';
import { upstreamAuthSettings } from './upstream-auth.js';
import { distinct, duration, name, secret, whole, withDefault } from './values.js';

/** Routes of one listener. */
const ROUTES_MAX = 1024;
/** Clusters that one route is mirrored to. */
const MIRRORS_MAX = 16;
/** Envoy's bound for a prefix, in bytes. */
const PREFIX_BYTES_MAX = 1000;
const KEY_FORMATTER_BYTES_MAX = 1000;
const ADMIN_COMMANDS_MAX = 256;
const PASSWORDS_MAX = 16;
const KIB = 1024;
const MIB = 1024 * KIB;

const bytesMax = (most: number) =>
  z.refine<string>((text) => new TextEncoder().encode(text).length <= most, `at most ${most} bytes`);

const mirrors = withDefault(
  z
    .array(
      z.strictObject({
        /** Gets the same commands; its replies are dropped. */
        cluster: name,
        /** Percent of the commands. */
        runtime_fraction: withDefault(percent, 100),
        exclude_read_commands: withDefault(z.boolean(), false),
      }),
    )
    .check(z.maxLength(MIRRORS_MAX)),
  [],
);

const route = z.strictObject({
  prefix: z
    .string()
    .check(z.minLength(1, 'empty; keys that match no prefix go by catch_all_route'), bytesMax(PREFIX_BYTES_MAX)),
  /** The upstream sees the key without the prefix. */
  remove_prefix: withDefault(z.boolean(), false),
  /** How the upstream sees the key (after `remove_prefix`): a text with `%KEY%`. */
  key_formatter: z.optional(
    z.string().check(
      bytesMax(KEY_FORMATTER_BYTES_MAX),
      z.superRefine((text, context) => {
        try {
          parseKeyFormatter(text);
        } catch (error) {
          if (!(error instanceof KeyFormatterError)) throw error;
          context.addIssue({ code: 'custom', message: error.message });
        }
      }),
    ),
  ),
  cluster: name,
  request_mirror_policy: mirrors,
  /** In place of the cluster's own. */
  read_policy: z.optional(readPolicy),
});

const catchAll = z.strictObject({
  cluster: name,
  request_mirror_policy: mirrors,
  read_policy: z.optional(readPolicy),
});

/** Prefixes as they are compared: Envoy folds the letters of ASCII. */
export function foldPrefix(prefix: string, caseInsensitive: boolean): string {
  return caseInsensitive ? prefix.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : prefix;
}

const prefixRoutes = z
  .strictObject({
    case_insensitive: withDefault(z.boolean(), false),
    catch_all_route: z.optional(catchAll),
    routes: withDefault(z.array(route).check(z.maxLength(ROUTES_MAX)), []),
  })
  .check(
    z.superRefine(({ routes, case_insensitive }, context) => {
      const seen = new Map<string, number>();
      routes.forEach(({ prefix }, index) => {
        const folded = foldPrefix(prefix, case_insensitive);
        const first = seen.get(folded);
        if (first === undefined) seen.set(folded, index);
        else
          context.addIssue({
            code: 'custom',
            path: ['routes', index, 'prefix'],
            message: `routes[${first}] has this prefix already`,
          });
      });
    }),
  );

/** A command as `admin_commands` names it: `shutdown`, `cluster|info`, `ft.create`. */
const COMMAND = /^[a-z0-9][a-z0-9._-]*(?:\|[a-z0-9][a-z0-9._-]*)?$/;

const bufferLimit = (fallback: number) => withDefault(whole(16 * KIB, 1024 * MIB), fallback);

export const listener = z
  .strictObject({
    name: withDefault(name, 'redis'),
    /** Where clients connect, with TLS when `tls_context` is given. */
    address: listenAddress,
    tls_context: z.optional(downstreamTls),
    /** More of them; all that the listener says otherwise holds for them, too. */
    additional_addresses: additionalAddresses,
    /** How long a client may take for TLS's handshake. */
    transport_socket_connect_timeout: z.optional(duration(100, 3_600_000)),
    /** Part of the statistics' names. */
    stat_prefix: withDefault(z.string().check(z.regex(/^[A-Za-z0-9_-]+$/, 'letters, digits, _ and -')), 'egress_redis'),
    /** Name of the cluster that serves what no route of `prefix_routes` serves. */
    cluster: z.optional(name),
    prefix_routes: z.optional(prefixRoutes),
    downstream_auth_username: z.optional(name),
    downstream_auth_passwords: withDefault(z.array(secret).check(z.maxLength(PASSWORDS_MAX)), []),
    ...accessSettings,
    ...upstreamAuthSettings,
    /** Commands that are otherwise refused because they administer a node. */
    admin_commands: withDefault(
      distinct(
        z
          .string()
          .check(z.regex(COMMAND, "a command's name in small letters, such as debug, or a part of one, cluster|info")),
        0,
        ADMIN_COMMANDS_MAX,
      ),
      [],
    ),
    faults,
    /** How many clients, and how much of each. */
    limits: listenerLimits,
    /** Unsent bytes of a subscriber above which it is disconnected. */
    pubsub_output_buffer_limit: bufferLimit(32 * MIB),
    /** Unsent bytes of a client in MONITOR above which it is disconnected. */
    monitor_output_buffer_limit: bufferLimit(32 * MIB),
  })
  .check(
    z.superRefine(
      (
        {
          cluster,
          prefix_routes: routes,
          users,
          downstream_auth_username,
          downstream_auth_passwords,
          upstream_auth,
          address,
          additional_addresses: more = [],
        },
        context,
      ) => {
        const issue = (path: (string | number)[], message: string) =>
          context.addIssue({ code: 'custom', path, message });
        const simple = downstream_auth_username ?? 'default';
        if (downstream_auth_passwords.length > 0 && users.some(({ name }) => name === simple)) {
          issue(['downstream_auth_passwords'], `'users' has a '${simple}' already; give its passwords there`);
        }
        if (upstream_auth !== undefined && (users.length > 0 || downstream_auth_passwords.length > 0)) {
          issue(
            ['upstream_auth'],
            "with it Redis's users are the only ones: leave 'users' and 'downstream_auth_passwords' out",
          );
        }
        const seen = new Set([formatListenAddress(address)]);
        more.forEach(({ address: each }, index) => {
          const text = formatListenAddress(each);
          // Port 0 is another one each time.
          if (seen.has(text) && (each.port !== 0 || each.path !== undefined))
            issue(['additional_addresses', index, 'address'], `the listener has ${text} already`);
          seen.add(text);
        });
        if (routes === undefined) {
          if (cluster === undefined) issue([], "missing: 'cluster' for all keys, or 'prefix_routes'");
        } else if (cluster !== undefined && routes.catch_all_route !== undefined) {
          issue(['cluster'], 'this and prefix_routes.catch_all_route say the same; give one of them');
        } else if (cluster === undefined && routes.catch_all_route === undefined && routes.routes.length === 0) {
          issue(['prefix_routes'], "leads nowhere: it needs 'routes', or 'catch_all_route'");
        }
      },
    ),
  );

export type ListenerConfig = z.infer<typeof listener>;
