/** One Envoy listener with its redis_proxy filter → our listener, and what it asks of its clusters. */
import { KeyFormatterError, parseKeyFormatter } from '../../config/key-formatter.js';
import { without } from './cluster.js';
import type { Fields } from './fields.js';
import { type SecretText, secret, typedConfig, userName, type Variables } from './values.js';

/** Where a redis_proxy filter stands. */
export interface Found {
  listener: Fields;
  chain: Fields;
  proxy: Fields;
}

const FILTER_NAMES = ['envoy.filters.network.redis_proxy', 'envoy.redis_proxy'];

/** The redis_proxy filters of a listener; what stands beside them is noted. */
export function findProxies(listener: Fields): Found[] {
  const found: Found[] = [];
  const others: Fields[] = [];
  for (const chain of [...listener.messages('filter_chains'), ...listener.messages('default_filter_chain')]) {
    for (const filter of chain.messages('filters')) {
      const name = filter.text('name') ?? '';
      const config = typedConfig(filter);
      if (config !== undefined && (config.type === 'RedisProxy' || FILTER_NAMES.includes(name)))
        found.push({ listener, chain, proxy: config.fields });
      else others.push(filter);
    }
  }
  if (found.length === 0) return found;
  for (const { notes, path } of others)
    notes.add(path, 'not carried over: of the filters, only redis_proxy is known here');
  return found;
}

export interface MirrorText {
  cluster: string;
  runtime_fraction?: number;
  exclude_read_commands?: true;
}

export interface RouteText {
  prefix?: string;
  remove_prefix?: true;
  key_formatter?: string;
  cluster: string;
  request_mirror_policy?: MirrorText[];
}

/** What the filter's `settings` say; ours belong to each cluster. */
export interface SettingsText {
  op_timeout: string | undefined;
  /** Envoy's default is false. */
  enable_hashtagging: boolean;
  /** In our words. */
  read_policy: string | undefined;
  max_upstream_unknown_connections: number | undefined;
  connection_rate_limit: { connection_rate_limit_per_sec: number } | undefined;
  /** For notes. */
  fields: Fields;
}

export interface ListenerText {
  name: string;
  address: string;
  stat_prefix?: string | undefined;
  prefix_routes?: {
    case_insensitive?: true | undefined;
    routes?: RouteText[] | undefined;
    catch_all_route?: RouteText;
  };
  cluster?: string;
  downstream_auth_username?: string | undefined;
  downstream_auth_passwords?: SecretText[] | undefined;
}

/** Everything of the listener but its name and address. */
export function readProxy(of: Fields, variables: Variables): Omit<ListenerText, 'name' | 'address'> {
  const prefix = of.text('stat_prefix');
  const clean = prefix?.replace(/[^A-Za-z0-9_-]+/g, '_');
  if (clean !== prefix) of.note('stat_prefix', `became ${clean}: letters, digits, _ and - are possible`);
  of.lose('faults', 'not carried over: faults are for rehearsals; docs/faults.md has the settings');
  of.lose('latency_in_micros', 'not carried over: it holds for the whole proxy, as statistics.latency_in_micros');
  of.lose('custom_commands', 'not needed: commands of modules are learned from the nodes');
  return { stat_prefix: clean || undefined, ...readRoutes(of), ...readLogin(of, variables) };
}

function readLogin(of: Fields, variables: Variables): Partial<ListenerText> {
  const base = 'PROXY_AUTH_PASSWORD';
  const sources = [...of.messages('downstream_auth_passwords'), ...of.messages('downstream_auth_password')];
  const passwords = sources.map((each) => secret(each, base, 'password of clients', variables));
  const external = of.has('external_auth_provider');
  if (external && passwords.length === 0) {
    // Without it, the proxy would serve everybody.
    passwords.push({ environment: variables.need(base, 'password of clients') });
  }
  of.lose('external_auth_provider', 'not carried over: clients log in with the passwords of the configuration');
  return {
    downstream_auth_username: userName(of, 'downstream_auth_username'),
    downstream_auth_passwords: passwords.length === 0 ? undefined : passwords,
  };
}

function readRoutes(of: Fields): Pick<ListenerText, 'prefix_routes' | 'cluster'> {
  const direct = of.text('cluster');
  const given = of.message('prefix_routes');
  if (given === undefined) return direct === undefined ? {} : { cluster: direct };
  const routes: RouteText[] = [];
  let rest: RouteText | undefined;
  for (const each of given.messages('routes')) {
    const route = readRoute(each);
    if (route === undefined) continue;
    if (route.prefix !== undefined) routes.push(route);
    else if (rest === undefined) rest = withoutFormat(route, each);
  }
  const catchAll = given.messages('catch_all_route')[0];
  if (catchAll !== undefined) {
    const route = readRoute(catchAll);
    if (rest !== undefined)
      catchAll.notes.add(catchAll.path, 'not carried over: the route with the empty prefix takes all');
    else if (route !== undefined) rest = withoutFormat(route, catchAll);
  }
  const older = given.text('catch_all_cluster') ?? direct;
  if (rest === undefined && older !== undefined) rest = { cluster: older };
  const caseInsensitive = given.flag('case_insensitive') === true;
  given.rest();
  const plain = rest !== undefined && rest.request_mirror_policy === undefined;
  if (routes.length === 0 && plain) return { cluster: rest?.cluster as string };
  return {
    prefix_routes: without({
      case_insensitive: caseInsensitive || undefined,
      routes: routes.length === 0 ? undefined : routes,
      ...(rest === undefined ? {} : { catch_all_route: rest }),
    }),
  };
}

/** What takes all keys leaves them as they are. */
function withoutFormat(route: RouteText, of: Fields): RouteText {
  const { prefix, remove_prefix: removes, key_formatter: formatter, ...rest } = route;
  if (prefix !== undefined && removes !== undefined)
    of.note('remove_prefix', 'not carried over: keys without a route of their own stay as they are');
  if (formatter !== undefined)
    of.note('key_formatter', 'NOT carried over: keys without a route of their own stay as they are');
  return rest;
}

/** @returns without `prefix` where it is empty; undefined without a cluster */
function readRoute(of: Fields): RouteText | undefined {
  const prefix = of.text('prefix');
  const cluster = of.text('cluster');
  const removes = of.flag('remove_prefix') === true;
  const formatter = readFormatter(of);
  const mirrors = of.messages('request_mirror_policy').flatMap(readMirror);
  of.lose('read_command_policy', 'not carried over: reads go to the cluster of the route; see read_policy');
  of.rest();
  if (!cluster) {
    of.notes.add(of.path, 'not carried over: it names no cluster');
    return undefined;
  }
  return without({
    prefix: prefix || undefined,
    cluster,
    remove_prefix: removes || undefined,
    key_formatter: formatter,
    request_mirror_policy: mirrors.length === 0 ? undefined : mirrors,
  }) as RouteText;
}

function readFormatter(of: Fields): string | undefined {
  const formatter = of.text('key_formatter');
  if (!formatter) return undefined;
  try {
    parseKeyFormatter(formatter);
    return formatter;
  } catch (error) {
    if (!(error instanceof KeyFormatterError)) throw error;
    of.note('key_formatter', `NOT carried over, keys stay as they are: ${error.message}`);
    return undefined;
  }
}

const DENOMINATORS = ['HUNDRED', 'TEN_THOUSAND', 'MILLION'];

function readMirror(of: Fields): MirrorText[] {
  const cluster = of.text('cluster');
  const fraction = of.message('runtime_fraction');
  fraction?.lose('runtime_key', 'not carried over: the default value holds');
  const value = fraction?.message('default_value');
  let percent: number | undefined;
  if (value !== undefined) {
    const denominator = DENOMINATORS.indexOf(value.word('denominator', DENOMINATORS) ?? 'HUNDRED');
    const numerator = value.number('numerator') ?? 0;
    percent = Math.min(100, Math.max(0, (numerator * 100) / 100 ** Math.max(1, denominator + 1)));
    value.rest();
  }
  fraction?.rest();
  const writesOnly = of.flag('exclude_read_commands') === true;
  of.rest();
  if (!cluster) {
    of.notes.add(of.path, 'not carried over: it names no cluster');
    return [];
  }
  return [
    without({
      cluster,
      runtime_fraction: percent === 100 ? undefined : percent,
      exclude_read_commands: writesOnly || undefined,
    }) as MirrorText,
  ];
}

const READ_POLICIES = [
  'MASTER',
  'PREFER_MASTER',
  'REPLICA',
  'PREFER_REPLICA',
  'ANY',
  'LOCAL_ZONE_AFFINITY',
  'LOCAL_ZONE_AFFINITY_REPLICAS_AND_PRIMARY',
];

/** Envoy's other words for the same. */
const POLICY_SYNONYMS: Readonly<Record<string, string>> = {
  PRIMARY: 'MASTER',
  PREFER_PRIMARY: 'PREFER_MASTER',
  AZ_AFFINITY: 'LOCAL_ZONE_AFFINITY',
  AZ_AFFINITY_REPLICAS_AND_PRIMARY: 'LOCAL_ZONE_AFFINITY_REPLICAS_AND_PRIMARY',
};

/** The filter's `settings`. */
export function readSettings(of: Fields): SettingsText {
  const settings = of.message('settings') ?? of.message('conn_pool_settings');
  if (settings === undefined) {
    return {
      op_timeout: undefined,
      enable_hashtagging: false,
      read_policy: undefined,
      max_upstream_unknown_connections: undefined,
      connection_rate_limit: undefined,
      fields: of,
    };
  }
  const word = settings.word('read_policy', READ_POLICIES);
  const policy = word === undefined ? undefined : Object.hasOwn(POLICY_SYNONYMS, word) ? POLICY_SYNONYMS[word] : word;
  const known = policy !== undefined && READ_POLICIES.includes(policy);
  if (policy !== undefined && !known) settings.note('read_policy', 'not carried over: reads go to the master');
  if (settings.flag('enable_redirection') === false)
    settings.note('enable_redirection', 'not carried over: redirections are always followed');
  const rate = settings.message('connection_rate_limit');
  const perSecond = rate?.whole('connection_rate_limit_per_sec', 1, 100_000);
  rate?.rest();
  for (const field of ['max_buffer_size_before_flush', 'buffer_flush_timeout'])
    settings.lose(field, 'not needed: what arrives together is written together, without waiting');
  settings.lose(
    'enable_command_stats',
    'not carried over: it holds for the whole proxy, as statistics.enable_command_stats',
  );
  settings.lose('dns_cache_config', 'not carried over: the names in redirections are looked up by the system');
  const text: SettingsText = {
    op_timeout: settings.duration('op_timeout', 10, 3_600_000),
    enable_hashtagging: settings.flag('enable_hashtagging') ?? false,
    read_policy: known ? policy : undefined,
    max_upstream_unknown_connections: settings.whole('max_upstream_unknown_connections', 0, 4096),
    connection_rate_limit: perSecond === undefined ? undefined : { connection_rate_limit_per_sec: perSecond },
    fields: settings,
  };
  settings.rest();
  return text;
}
