/** One Envoy cluster → one of ours. */
import { isPrime, MAGLEV_TABLE_SIZE_MAX, RING_SIZE_MAX } from '../../config/cluster.js';
import type { Fields } from './fields.js';
import { readHealth } from './health.js';
import {
  type SecretText,
  secret,
  socketAddress,
  typedConfig,
  unwrapTyped,
  userName,
  type Variables,
} from './values.js';

/** A cluster in our words, as it is written; the settings follow from the filter. */
export interface ClusterText {
  name: string;
  type: 'redis_cluster' | 'sharded';
  endpoints: (string | { address: string; load_balancing_weight?: number; hostname?: string })[];
  discovery?: 'STRICT_DNS';
  [setting: string]: unknown;
}

interface Server {
  address: string;
  hostname: string | undefined;
  weight: number | undefined;
}

const WEIGHT_MAX = 128;
const HOUR_MS = 3_600_000;
const CONNECT_MS_MAX = 600_000;
/** Envoy's own default; ours is shorter. */
const CONNECT_TIMEOUT = '5s';
const FILTER_NAMES = ['envoy.filters.network.redis_proxy', 'envoy.redis_proxy'];
const TYPES = ['STATIC', 'STRICT_DNS', 'LOGICAL_DNS', 'EDS', 'ORIGINAL_DST'];
const POLICIES = [
  'ROUND_ROBIN',
  'LEAST_REQUEST',
  'RING_HASH',
  'RANDOM',
  'ORIGINAL_DST_LB',
  'MAGLEV',
  'CLUSTER_PROVIDED',
];

/** What is lost with a field, told once for each that is set. */
const LOST: Readonly<Record<string, string>> = {
  transport_socket: 'not carried over: connections to the nodes are NOT encrypted',
  tls_context: 'not carried over: connections to the nodes are NOT encrypted',
  transport_socket_matches: 'not carried over: connections to the nodes are NOT encrypted',
};

/**
 * Reads a cluster.
 * @returns the cluster, or why it cannot be one of ours
 */
export function readCluster(of: Fields, name: string, variables: Variables, single: boolean): ClusterText | string {
  of.ignore('name');
  const kind = of.message('cluster_type');
  const discovery = of.word('type', TYPES) ?? 'STATIC';
  const kindName = kind?.text('name') ?? '';
  const redisCluster = kindName === 'envoy.clusters.redis';
  const refresh = kind === undefined ? undefined : typedConfig(kind)?.fields;
  kind?.rest();
  if (kind !== undefined && !redisCluster)
    return 'its cluster_type is none that is known here (envoy.clusters.redis, or type STATIC, STRICT_DNS or LOGICAL_DNS)';
  if (!redisCluster && (discovery === 'EDS' || !TYPES.includes(discovery) || discovery === 'ORIGINAL_DST'))
    return `its type is ${TYPES.includes(discovery) ? discovery : 'unknown'}: its endpoints do not stand in the file`;
  const servers = readServers(of);
  if (servers.length === 0) return 'it names no endpoint (load_assignment)';

  const cluster: ClusterText = { name, type: redisCluster ? 'redis_cluster' : 'sharded', endpoints: [] };
  if (redisCluster) {
    cluster.endpoints = servers.map((each) => each.address);
    of.ignore('lb_policy', 'dns_refresh_rate', 'load_balancing_policy', 'dns_lookup_family');
  } else {
    readSharding(of, cluster, servers, discovery);
  }
  Object.assign(cluster, readLogin(of, name, variables, single));
  cluster.connect_timeout = of.duration('connect_timeout', 10, CONNECT_MS_MAX) ?? CONNECT_TIMEOUT;
  if (refresh !== undefined) readRefresh(refresh, cluster);
  Object.assign(cluster, readHealth(of, cluster.type === 'sharded'));
  for (const [field, message] of Object.entries(LOST)) of.lose(field, message);
  return without(cluster);
}

function readRefresh(of: Fields, cluster: ClusterText): void {
  cluster.cluster_refresh_rate = of.duration('cluster_refresh_rate', 100, HOUR_MS);
  cluster.cluster_refresh_timeout = of.duration('cluster_refresh_timeout', 10, CONNECT_MS_MAX);
  cluster.redirect_refresh_interval = of.duration('redirect_refresh_interval', 10, CONNECT_MS_MAX);
  for (const field of ['redirect_refresh_threshold', 'failure_refresh_threshold', 'host_degraded_refresh_threshold'])
    of.lose(field, 'not carried over: the first redirection or lost connection calls for the topology');
  of.rest();
}

/** The servers of `load_assignment`, or of `hosts` before version 1.18. */
function readServers(of: Fields): Server[] {
  const servers: Server[] = [];
  const add = (server: Server, where: Fields) => {
    if (servers.some((each) => each.address === server.address))
      where.notes.add(where.path, 'not carried over: this address is there already');
    else servers.push(server);
  };
  for (const host of of.messages('hosts')) {
    const address = socketAddress(host);
    if (address !== undefined) add({ address, hostname: undefined, weight: undefined }, host);
  }
  const assignment = of.message('load_assignment');
  assignment?.ignore('cluster_name');
  for (const group of assignment?.messages('endpoints') ?? []) {
    const priority = group.number('priority') ?? 0;
    if (priority > 0) {
      group.note('priority', 'its endpoints are not carried over: there are no priorities here');
      group.ignore('lb_endpoints', 'locality', 'load_balancing_weight');
    }
    for (const entry of priority > 0 ? [] : group.messages('lb_endpoints')) {
      const endpoint = entry.message('endpoint');
      const address = endpoint === undefined ? undefined : endpointAddress(endpoint);
      const weight = entry.whole('load_balancing_weight', 1, 0xffff_ffff);
      if (address !== undefined) add({ address, hostname: endpoint?.text('hostname'), weight }, entry);
      endpoint?.rest();
      entry.rest();
    }
    group.rest();
  }
  assignment?.rest();
  return servers;
}

function endpointAddress(endpoint: Fields): string | undefined {
  const outer = endpoint.message('address');
  const address = outer === undefined ? undefined : socketAddress(outer);
  if (address === undefined) endpoint.note('address', 'this endpoint is not carried over: host and port are needed');
  return address;
}

function readSharding(of: Fields, cluster: ClusterText, servers: Server[], discovery: string): void {
  if (discovery === 'STRICT_DNS') {
    cluster.discovery = 'STRICT_DNS';
    cluster.dns_refresh_rate = of.duration('dns_refresh_rate', 100, HOUR_MS);
  } else {
    of.ignore('dns_refresh_rate');
    if (discovery === 'LOGICAL_DNS')
      of.note('type', 'LOGICAL_DNS became discovery: STATIC, which looks the name up whenever it connects');
  }
  const byHostname = readPolicy(of, cluster, servers.length);
  const most = Math.max(...servers.map((each) => each.weight ?? 1));
  if (most > WEIGHT_MAX)
    of.note('load_assignment', `the weights were scaled down: the greatest possible is ${WEIGHT_MAX}`);
  const scale = most > WEIGHT_MAX ? WEIGHT_MAX / most : 1;
  cluster.endpoints = servers.map(({ address, hostname, weight }) => {
    const scaled = Math.max(1, Math.round((weight ?? 1) * scale));
    const hashed = byHostname ? hostname || address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '') : undefined;
    if (scaled === 1 && hashed === undefined) return address;
    return without({ address, load_balancing_weight: scaled === 1 ? undefined : scaled, hostname: hashed });
  });
}

/** The way of hashing. @returns true when servers are hashed by their names */
function readPolicy(of: Fields, cluster: ClusterText, servers: number): boolean {
  const common = of.message('common_lb_config');
  const hashing = common?.message('consistent_hashing_lb_config');
  let byHostname = hashing?.flag('use_hostname_for_hashing') ?? false;
  hashing?.rest();
  common?.rest();
  let policy = of.word('lb_policy', POLICIES);
  let settings = of.message('ring_hash_lb_config');
  let table = of.message('maglev_lb_config');
  const newer = of.message('load_balancing_policy')?.messages('policies')[0]?.message('typed_extension_config');
  if (newer !== undefined) {
    const value = newer.take('typed_config');
    const { fields, type } = unwrapTyped(value, newer.at('typed_config'), newer);
    newer.ignore('name');
    newer.rest();
    policy = { Maglev: 'MAGLEV', RingHash: 'RING_HASH' }[type] ?? type;
    const nested = fields.message('consistent_hashing_lb_config');
    byHostname ||= nested?.flag('use_hostname_for_hashing') ?? false;
    nested?.rest();
    byHostname ||= fields.flag('use_hostname_for_hashing') ?? false;
    if (policy === 'MAGLEV') table = fields;
    else if (policy === 'RING_HASH') settings = fields;
    else fields.rest();
  }
  cluster.lb_policy = policy === 'RING_HASH' ? 'RING_HASH' : 'MAGLEV';
  if (policy !== 'RING_HASH' && policy !== 'MAGLEV' && servers > 1)
    of.note('lb_policy', 'became MAGLEV: every key has one server here');
  if (cluster.lb_policy === 'MAGLEV') {
    const size = table?.whole('table_size', 2, MAGLEV_TABLE_SIZE_MAX);
    if (size !== undefined && !isPrime(size)) table?.note('table_size', 'not carried over: not a prime');
    else if (size !== undefined && size < servers) table?.note('table_size', 'not carried over: too small');
    else if (size !== undefined) cluster.maglev_lb_config = { table_size: size };
  } else if (settings !== undefined) {
    const hash = settings.word('hash_function', ['XX_HASH', 'MURMUR_HASH_2']);
    const known = hash === 'XX_HASH' || hash === 'MURMUR_HASH_2';
    if (hash !== undefined && !known) settings.note('hash_function', 'became XX_HASH');
    const least = settings.whole('minimum_ring_size', 1, RING_SIZE_MAX);
    const most = settings.whole('maximum_ring_size', Math.max(1, least ?? 1024), RING_SIZE_MAX);
    cluster.ring_hash_lb_config = without({
      minimum_ring_size: least,
      maximum_ring_size: most,
      hash_function: known ? hash : undefined,
    });
  }
  for (const each of [settings, table]) each?.rest();
  return byHostname;
}

/** Login at the nodes. */
function readLogin(
  of: Fields,
  name: string,
  variables: Variables,
  single: boolean,
): { auth_username?: string | undefined; auth_password?: SecretText | undefined } {
  const field = ['typed_extension_protocol_options', 'extension_protocol_options'].find((each) => of.has(each));
  if (field === undefined) return {};
  const byName = of.message(field) as Fields;
  const key = FILTER_NAMES.find((each) => byName.has(each));
  const options = key === undefined ? undefined : unwrapTyped(byName.take(key), byName.at(key), byName).fields;
  byName.rest();
  if (options === undefined) return {};
  const username = userName(options, 'auth_username');
  const source = options.message('auth_password');
  options.lose('aws_iam', 'not carried over: tokens of AWS IAM are not supported');
  options.lose('credentials', 'not carried over: one login holds for all nodes of a cluster');
  options.rest();
  const base = single ? 'REDIS_REQUIREPASS' : `REDIS_REQUIREPASS_${name}`;
  return {
    auth_username: username,
    auth_password: source === undefined ? undefined : secret(source, base, `password of cluster ${name}`, variables),
  };
}

/** The object without what is not set. */
export function without<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}
