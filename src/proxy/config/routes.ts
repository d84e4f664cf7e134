/** A listener's routes as a worker needs them: plain data, made once, sent to every worker. */
import { parseKeyFormatter } from './key-formatter.js';
import { foldPrefix } from './listener.js';
import type { ListenerConfig, ProxyConfig, ReadPolicy } from './schema.js';

/** A cluster that gets a copy of the commands. */
export interface MirrorTarget {
  /** Index into `config.clusters`. */
  readonly cluster: number;
  /** Share of the commands, 0 to 1. */
  readonly fraction: number;
  /** Only commands that write are copied. */
  readonly excludeReads: boolean;
}

/** Where commands go whose keys match no prefix. */
export interface CatchAll {
  /** Index into `config.clusters`. */
  readonly cluster: number;
  readonly mirrors: readonly MirrorTarget[];
  /** In place of the cluster's own; null: the cluster's own. */
  readonly readPolicy: ReadPolicy | null;
}

export interface PrefixRoute extends CatchAll {
  /** Compared as UTF-8 bytes; letters A to Z are small already when `caseInsensitive`. */
  readonly prefix: string;
  readonly removePrefix: boolean;
  /**
   * Texts around the key: the upstream's key is `keyFormatter.join(key)`, with the key as `removePrefix` left it; null:
   * the key stays. At least two texts.
   */
  readonly keyFormatter: readonly string[] | null;
}

export interface RouteTable {
  /** Letters A to Z and a to z of a key are the same for the prefixes; the key itself stays as it is. */
  readonly caseInsensitive: boolean;
  /** The longest prefix (in bytes) first, so the first that matches is the right one. */
  readonly routes: readonly PrefixRoute[];
  /** null: a key without a route has no upstream host. */
  readonly catchAll: CatchAll | null;
}

type Target = NonNullable<NonNullable<ListenerConfig['prefix_routes']>['catch_all_route']>;

/**
 * The routes of a listener. Pure.
 * @param clusters of the same, validated configuration: every name that the listener gives is there
 */
export function routeTable(listener: ListenerConfig, clusters: ProxyConfig['clusters']): RouteTable {
  const indexes = new Map(clusters.map(({ name }, index) => [name, index]));
  const indexOf = (name: string): number => {
    const index = indexes.get(name);
    if (index === undefined) throw new Error(`no cluster is named '${name}'`);
    return index;
  };
  const target = (route: Target): CatchAll => ({
    cluster: indexOf(route.cluster),
    mirrors: route.request_mirror_policy
      .map((mirror) => ({
        cluster: indexOf(mirror.cluster),
        fraction: mirror.runtime_fraction / 100,
        excludeReads: mirror.exclude_read_commands,
      }))
      // What is never mirrored costs nothing.
      .filter(({ fraction }) => fraction > 0),
    readPolicy: route.read_policy ?? null,
  });
  const { prefix_routes: given, cluster } = listener;
  const caseInsensitive = given?.case_insensitive ?? false;
  const routes = (given?.routes ?? []).map((route) => ({
    prefix: foldPrefix(route.prefix, caseInsensitive),
    removePrefix: route.remove_prefix,
    keyFormatter: route.key_formatter === undefined ? null : parseKeyFormatter(route.key_formatter),
    ...target(route),
  }));
  const bytes = new TextEncoder();
  const length = new Map(routes.map(({ prefix }) => [prefix, bytes.encode(prefix).length]));
  routes.sort((a, b) => (length.get(b.prefix) as number) - (length.get(a.prefix) as number));
  let catchAll: CatchAll | null = null;
  if (given?.catch_all_route !== undefined) catchAll = target(given.catch_all_route);
  else if (cluster !== undefined) catchAll = { cluster: indexOf(cluster), mirrors: [], readPolicy: null };
  return { caseInsensitive, routes, catchAll };
}
