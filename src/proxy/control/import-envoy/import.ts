/**
 * An Envoy configuration with redis_proxy → ours. Pure: text to text. What cannot be carried over is told, never
 * dropped in silence; passwords that stand in the file are never copied.
 */
import { parseDocument } from 'yaml';
import { ForgeError } from '../../../errors.js';
import { CONFIG_BYTES_MAX, ConfigError, parseConfig } from '../../config/load.js';
import { type ClusterText, readCluster, without } from './cluster.js';
import { Fields, type ImportNote, isObject, Notes } from './fields.js';
import {
  type Found,
  findProxies,
  type ListenerText,
  type RouteText,
  readProxy,
  readSettings,
  type SettingsText,
} from './listener.js';
import { render } from './render.js';
import { address, type NeededVariable, Variables } from './values.js';

export interface Imported {
  /** Name of the listener that was taken. */
  readonly listener: string;
  /** Our configuration, with a comment for each note. */
  readonly yaml: string;
  readonly notes: readonly ImportNote[];
  /** Environment variables that must be set before the proxy starts, in place of passwords in the file. */
  readonly environment: readonly NeededVariable[];
}

export interface ImportOptions {
  /** The Envoy listener to take, where several have a redis_proxy; the first by default. */
  readonly listener?: string | undefined;
}

/**
 * Turns an Envoy bootstrap, or its `static_resources` alone, into a configuration of the proxy.
 * @param source the file's name, for messages
 * @throws ForgeError `configuration` where the text is no Envoy configuration, or nothing can serve its listener
 */
export function importEnvoy(text: string, source: string, options: ImportOptions = {}): Imported {
  const notes = new Notes();
  const variables = new Variables();
  const root = new Fields(readText(text, source), '', notes);
  const resources = root.has('static_resources') ? (root.message('static_resources') as Fields) : root;
  const clusters = clustersByName(resources);
  const { listener, chain, proxy } = choose(resources, source, options.listener);

  const place = address(listener, 'address');
  if (place === undefined) throw wrong(source, `${listener.path}: its address is not a host and a port`);
  const name = listener.text('name') || 'redis';
  const text1: ListenerText = { name, address: place, ...readProxy(proxy, variables) };
  const settings = readSettings(proxy);
  for (const field of ['transport_socket', 'tls_context'])
    chain.lose(field, 'not carried over: connections of clients are NOT encrypted');
  chain.ignore('name');
  for (const each of [proxy, chain, listener]) each.rest();

  const used = usedClusters(text1);
  const made = new Map<string, ClusterText>();
  const zone = root.message('node')?.message('locality')?.text('zone');
  for (const wanted of used) {
    const of = clusters.get(wanted);
    const cluster =
      of === undefined ? 'no cluster of that name is in the file' : readCluster(of, wanted, variables, used.size === 1);
    if (typeof cluster !== 'string') {
      made.set(wanted, { ...cluster, settings: clusterSettings(cluster, settings, zone, of as Fields) });
      of?.rest();
    } else if (!dropMirrors(text1, wanted, cluster, notes)) {
      throw wrong(source, `cluster '${wanted}' cannot be carried over: ${cluster}`);
    }
  }
  if (used.size === 0) throw wrong(source, `${proxy.path}: it names no cluster`);
  for (const [other, fields] of clusters)
    if (!used.has(other)) notes.add(fields.path, 'not carried over: the listener does not use it');

  const admin = root.message('admin');
  const adminAddress = admin === undefined ? undefined : address(admin, 'address');
  admin?.rest();
  if (resources !== root) resources.rest();
  root.rest();
  const config = without({
    admin: adminAddress === undefined ? undefined : { address: adminAddress },
    listeners: [without(text1)],
    clusters: [...made.values()],
  });
  const list = notes.list();
  const environment = variables.list();
  const yaml = render(config, list, environment);
  check(yaml, source);
  return { listener: name, yaml, notes: list, environment };
}

function wrong(source: string, message: string, next?: string): ForgeError {
  return new ForgeError('configuration', `${source}: ${message}`, next === undefined ? {} : { next });
}

function readText(text: string, source: string): unknown {
  if (Buffer.byteLength(text) > CONFIG_BYTES_MAX)
    throw wrong(source, `larger than ${CONFIG_BYTES_MAX / 1024 / 1024} MiB`);
  let value: unknown;
  try {
    const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
    const [error] = document.errors;
    if (error !== undefined) throw error;
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const template = /\{%|\{\{/.test(text);
    throw wrong(
      source,
      `not YAML or JSON: ${(error as Error).message}`,
      template ? 'It looks like a template; render it first and import the result.' : undefined,
    );
  }
  if (!isObject(value)) throw wrong(source, 'not an Envoy configuration: it should have static_resources');
  return value;
}

function clustersByName(resources: Fields): Map<string, Fields> {
  const clusters = new Map<string, Fields>();
  for (const each of resources.messages('clusters')) {
    const name = each.text('name') ?? '';
    if (clusters.has(name)) each.notes.add(each.path, 'not carried over: a cluster of this name is there already');
    else clusters.set(name, each);
  }
  return clusters;
}

/** The redis_proxy to carry over; all others are noted. */
function choose(resources: Fields, source: string, wanted: string | undefined): Found {
  const listeners = resources.messages('listeners');
  const found = listeners.map((listener) => findProxies(listener));
  const all = found.flat();
  if (all.length === 0)
    throw wrong(source, 'no listener has a redis_proxy filter', 'Give an Envoy bootstrap with static_resources.');
  const nameOf = (each: Found) => each.listener.text('name') ?? '';
  const chosen = wanted === undefined ? all[0] : all.find((each) => nameOf(each) === wanted);
  if (chosen === undefined) {
    const names = [...new Set(all.map(nameOf))].map((each) => `'${each}'`).join(', ');
    throw new ForgeError('usage', `No listener '${wanted}' with redis_proxy is in ${source}; there is ${names}.`);
  }
  listeners.forEach((listener, index) => {
    if (listener === chosen.listener) return;
    const with_ = (found[index] as Found[]).length > 0;
    listener.notes.add(
      listener.path,
      with_
        ? 'not carried over: one listener is taken; choose with --listener'
        : 'not carried over: it has no redis_proxy',
    );
  });
  for (const each of all) {
    if (each === chosen || each.listener !== chosen.listener) continue;
    each.chain.notes.add(each.chain.path, 'not carried over: one filter chain is taken, the first with redis_proxy');
  }
  return chosen;
}

function allRoutes({ prefix_routes: routes }: ListenerText): RouteText[] {
  return [...(routes?.routes ?? []), ...(routes?.catch_all_route === undefined ? [] : [routes.catch_all_route])];
}

/** Names of the clusters that the listener needs, each once, those of routes first. */
function usedClusters(listener: ListenerText): Set<string> {
  const routes = allRoutes(listener);
  const mirrors = routes.flatMap((each) => each.request_mirror_policy ?? []);
  return new Set([
    ...(listener.cluster === undefined ? [] : [listener.cluster]),
    ...[...routes, ...mirrors].map((each) => each.cluster),
  ]);
}

/** Takes mirrors to a cluster out of all routes; false when more than mirrors needs it. */
function dropMirrors(listener: ListenerText, name: string, reason: string, notes: Notes): boolean {
  const routes = allRoutes(listener);
  if (listener.cluster === name || routes.some((each) => each.cluster === name)) return false;
  for (const route of routes) {
    const kept = route.request_mirror_policy?.filter((each) => each.cluster !== name) ?? [];
    if (kept.length === 0) delete route.request_mirror_policy;
    else route.request_mirror_policy = kept;
  }
  notes.add(`clusters '${name}'`, `nothing is mirrored to it: ${reason}`);
  return true;
}

/** Envoy's settings of the filter hold for each cluster; ours stand there. */
function clusterSettings(cluster: ClusterText, from: SettingsText, zone: string | undefined, of: Fields): object {
  const redisCluster = cluster.type === 'redis_cluster';
  let policy = from.read_policy;
  if (policy !== undefined && policy !== 'MASTER' && !redisCluster) {
    of.notes.add(
      from.fields.at('read_policy'),
      `not carried over for cluster '${cluster.name}': its replicas are not known`,
    );
    policy = undefined;
  }
  const byZone = policy?.startsWith('LOCAL_ZONE') === true;
  if (byZone && !zone) {
    of.notes.add(from.fields.at('read_policy'), 'became PREFER_REPLICA: node.locality.zone does not say the zone');
    policy = 'PREFER_REPLICA';
  }
  return without({
    op_timeout: from.op_timeout,
    // Without it, Envoy hashes the whole key; here, tags count by default.
    enable_hashtagging: redisCluster ? undefined : from.enable_hashtagging,
    read_policy: policy,
    zone: byZone && zone ? zone : undefined,
    max_upstream_unknown_connections: redisCluster ? from.max_upstream_unknown_connections : undefined,
    connection_rate_limit: from.connection_rate_limit,
  });
}

/** What comes out must be what the proxy takes. */
function check(yaml: string, source: string): void {
  try {
    parseConfig(yaml, 'the result');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ForgeError('configuration', `${source} does not become a valid configuration:\n${error.message}`, {
      cause: error,
    });
  }
}
