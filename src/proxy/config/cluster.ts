import * as z from 'zod/mini';
import { circuitBreakers, healthChecks, outlierDetection, unhealthyHosts } from './health.js';
import { readPolicy } from './read-policy.js';
import { upstreamTls } from './tls.js';
import {
  type Address,
  address,
  distinct,
  duration,
  formatAddress,
  name,
  oneOf,
  readAddress,
  secret,
  whole,
  withDefault,
} from './values.js';

/** Entries of a Maglev table: Envoy's bound and default, both prime. */
export const MAGLEV_TABLE_SIZE_MAX = 5_000_011;
export const MAGLEV_TABLE_SIZE = 65_537;
/** Entries of a ring: Envoy's bound and default. */
export const RING_SIZE_MAX = 8_388_608;
export const RING_SIZE_MIN = 1024;
const ENDPOINTS_MAX = 1024;
const WEIGHT_MAX = 128;
const SENTINELS_MAX = 64;
const ZONES_MAX = 4096;

/** One server: where it is, and in `sharded` mode how much it gets and by which name it is hashed. */
export interface Endpoint extends Address {
  load_balancing_weight?: number | undefined;
  hostname?: string | undefined;
}

/** `host:port`, or that with a weight and a name. */
const endpoint = z.pipe(
  z.pipe(
    z.transform((value: unknown) => (typeof value === 'string' ? { address: value } : value)),
    z.strictObject(
      {
        address,
        load_balancing_weight: z.optional(whole(1, WEIGHT_MAX)),
        /** Hashed in place of the address, so that the address may change and the keys stay. */
        hostname: z.optional(name),
      },
      {
        error: (issue) =>
          issue.code === 'invalid_type' ? 'host:port, or { address, load_balancing_weight, hostname }' : undefined,
      },
    ),
  ),
  z.transform(({ address: { host, port }, ...rest }): Endpoint => ({ host, port, ...rest })),
);

const sentinel = z.strictObject({
  /** Any Sentinels; the others are found from them. */
  endpoints: distinct(address, 1, SENTINELS_MAX),
  /** Names of the masters, as Sentinel knows them; each is one shard. */
  masters: distinct(name, 1, ENDPOINTS_MAX),
  auth_username: z.optional(name),
  auth_password: z.optional(secret),
  /** How the Sentinels are spoken to; as the servers are (`tls_context` of the cluster) when not given. */
  tls_context: z.optional(upstreamTls),
  /** Without TLS, although the servers have it. */
  plaintext: z.optional(z.boolean()),
});

const settings = z.prefault(
  z
    .strictObject({
      /** How long a command may take in all, waiting and retries counted in. */
      op_timeout: withDefault(duration(10, 3_600_000), 5000),
      /** Only what is between { and } of a key is hashed. */
      enable_hashtagging: withDefault(z.boolean(), true),
      /** Where commands that only read may go. */
      read_policy: withDefault(readPolicy, 'MASTER'),
      /** The zone that this proxy is in. */
      zone: z.optional(name),
      /** The zones of the nodes, where they do not say it themselves: `host:port` → zone. */
      zones: withDefault(
        z.record(z.string(), name).check(
          z.refine((map) => Object.keys(map).length <= ZONES_MAX, `at most ${ZONES_MAX} nodes`),
          z.superRefine((map, context) => {
            for (const key of Object.keys(map)) {
              if (readAddress(key) === null)
                context.addIssue({ code: 'custom', path: [key], message: 'not host:port or [ipv6]:port' });
            }
          }),
        ),
        {},
      ),
      /** Replicas whose replication is further behind than this many bytes are not read from. */
      max_replica_lag_bytes: z.optional(z.int().check(z.minimum(0))),
      /** Connections of one worker for blocking commands and transactions with WATCH. */
      max_dedicated_connections: withDefault(whole(1, 65_536), 4096),
      /** Hosts of one worker that only redirections have named. */
      max_upstream_unknown_connections: withDefault(whole(0, 4096), 64),
      connection_rate_limit: z.prefault(
        z.strictObject({
          /** Attempts to connect of one worker; twice as many may come at once. */
          connection_rate_limit_per_sec: withDefault(whole(1, 100_000), 50),
        }),
        {},
      ),
    })
    .check(
      z.refine((each) => !each.read_policy.startsWith('LOCAL_ZONE') || each.zone !== undefined, {
        path: ['read_policy'],
        message: "needs 'zone': the zone that this proxy is in",
      }),
    ),
  {},
);

/** Settings that only `type: sharded` has. */
const SHARDED_ONLY = [
  'discovery',
  'sentinel',
  'dns_refresh_rate',
  'lb_policy',
  'maglev_lb_config',
  'ring_hash_lb_config',
  'unhealthy_hosts',
] as const;

const shape = z.strictObject({
  name,
  /** A Redis Cluster, or independent servers among which keys are hashed. */
  type: withDefault(oneOf(['redis_cluster', 'sharded']), 'redis_cluster'),
  /** Nodes of the Redis Cluster, of which some are enough; or all servers of a sharded one. */
  endpoints: withDefault(z.array(endpoint).check(z.maxLength(ENDPOINTS_MAX)), []),
  /** STATIC where not given. */
  discovery: z.optional(oneOf(['STATIC', 'STRICT_DNS', 'SENTINEL'])),
  dns_refresh_rate: z.optional(duration(100, 3_600_000)),
  sentinel: z.optional(sentinel),
  /** MAGLEV where not given. */
  lb_policy: z.optional(oneOf(['MAGLEV', 'RING_HASH'])),
  maglev_lb_config: z.optional(
    z.strictObject({
      table_size: withDefault(
        whole(2, MAGLEV_TABLE_SIZE_MAX).check(
          z.refine((size) => size > MAGLEV_TABLE_SIZE_MAX || isPrime(size), 'must be prime'),
        ),
        MAGLEV_TABLE_SIZE,
      ),
    }),
  ),
  ring_hash_lb_config: z.optional(
    z
      .strictObject({
        minimum_ring_size: withDefault(whole(1, RING_SIZE_MAX), RING_SIZE_MIN),
        maximum_ring_size: withDefault(whole(1, RING_SIZE_MAX), RING_SIZE_MAX),
        /** Of the hosts; keys are hashed with MurmurHash2 either way. */
        hash_function: withDefault(oneOf(['XX_HASH', 'MURMUR_HASH_2']), 'XX_HASH'),
      })
      .check(
        z.refine((ring) => ring.minimum_ring_size <= ring.maximum_ring_size, {
          path: ['minimum_ring_size'],
          message: 'more than maximum_ring_size',
        }),
      ),
  ),
  auth_username: z.optional(name),
  auth_password: z.optional(secret),
  /** The nodes are spoken to in TLS. */
  tls_context: z.optional(upstreamTls),
  connect_timeout: withDefault(duration(10, 600_000), 1000),
  /** How often the topology is read when nothing calls for it. */
  cluster_refresh_rate: withDefault(duration(100, 3_600_000), 5000),
  cluster_refresh_timeout: withDefault(duration(10, 600_000), 3000),
  /** Least time between two reads of the topology, whatever calls for them. */
  redirect_refresh_interval: withDefault(duration(10, 600_000), 100),
  health_checks: healthChecks,
  outlier_detection: outlierDetection,
  unhealthy_hosts: unhealthyHosts,
  circuit_breakers: circuitBreakers,
  settings,
});

export type ClusterConfig = z.infer<typeof shape>;

/** For checks of settings against each other: a setting that is wrong itself has no value of its kind. */
const ONCE_RIGHT = { when: ({ issues }: z.core.ParsePayload) => issues.length === 0 };

export const cluster = shape.check(
  z.superRefine((config, context) => {
    const issue = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
    checkEndpoints(config, issue);
    if (config.type === 'sharded') checkSharded(config, issue);
    else checkRedisCluster(config, issue);
  }, ONCE_RIGHT),
);

type Report = (path: (string | number)[], message: string) => void;

/** True when the servers are found by asking Sentinel. */
const bySentinel = (config: ClusterConfig) => config.type === 'sharded' && config.discovery === 'SENTINEL';

function checkEndpoints(config: ClusterConfig, issue: Report): void {
  if (bySentinel(config)) {
    if (config.endpoints.length > 0) issue(['endpoints'], "with discovery: SENTINEL, 'sentinel' names the servers");
    return;
  }
  if (config.endpoints.length === 0) issue(['endpoints'], 'at least one host:port');
}

function checkRedisCluster(config: ClusterConfig, issue: Report): void {
  for (const setting of SHARDED_ONLY) {
    if (config[setting] !== undefined) issue([setting], 'only a cluster of type: sharded has this');
  }
  config.endpoints.forEach((each, index) => {
    if (each.load_balancing_weight !== undefined || each.hostname !== undefined)
      issue(['endpoints', index], 'only a cluster of type: sharded has weights and hostnames');
  });
  if (!config.settings.enable_hashtagging)
    issue(['settings', 'enable_hashtagging'], 'a Redis Cluster itself hashes by tags; it cannot be off here');
}

function checkSharded(config: ClusterConfig, issue: Report): void {
  const { discovery = 'STATIC', lb_policy: policy = 'MAGLEV' } = config;
  if (discovery === 'SENTINEL' && config.sentinel === undefined)
    issue(['discovery'], "SENTINEL needs 'sentinel: { endpoints, masters }'");
  if (discovery !== 'SENTINEL' && config.sentinel !== undefined) issue(['sentinel'], 'needs discovery: SENTINEL');
  if (discovery !== 'STRICT_DNS' && config.dns_refresh_rate !== undefined)
    issue(['dns_refresh_rate'], 'needs discovery: STRICT_DNS');
  if (policy !== 'MAGLEV' && config.maglev_lb_config !== undefined)
    issue(['maglev_lb_config'], 'needs lb_policy: MAGLEV');
  if (policy !== 'RING_HASH' && config.ring_hash_lb_config !== undefined)
    issue(['ring_hash_lb_config'], 'needs lb_policy: RING_HASH');
  if (!hasReplicas(config) && config.settings.read_policy !== 'MASTER')
    issue(['settings', 'read_policy'], READ_POLICY_WITHOUT_REPLICAS);
  const seen = new Set<string>();
  config.endpoints.forEach((each, index) => {
    const key = formatAddress(each);
    if (seen.has(key)) issue(['endpoints', index], 'is in the list already');
    seen.add(key);
  });
  const servers = discovery === 'SENTINEL' ? (config.sentinel?.masters.length ?? 0) : config.endpoints.length;
  const room = config.maglev_lb_config?.table_size ?? MAGLEV_TABLE_SIZE;
  if (policy === 'MAGLEV' && servers > room)
    issue(['maglev_lb_config', 'table_size'], `less than the ${servers} servers, which need an entry each`);
}

export const READ_POLICY_WITHOUT_REPLICAS =
  'only MASTER: no replicas are known of sharded servers without discovery: SENTINEL';

/** Whether the proxy learns of replicas: from a Redis Cluster, or from Sentinel. */
export function hasReplicas(config: ClusterConfig): boolean {
  return config.type === 'redis_cluster' || config.discovery === 'SENTINEL';
}

export function isPrime(number: number): boolean {
  if (number < 4) return number > 1;
  if (number % 2 === 0) return false;
  for (let factor = 3; factor * factor <= number; factor += 2) if (number % factor === 0) return false;
  return true;
}
