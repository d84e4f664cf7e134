/** A listener's routes as a worker needs them: plain data, made once, sent to every worker. */
import { parseKeyFormatter } from './key-formatter.js';
import { foldPrefix } from './listener.js';
import type { ListenerConfig, ProxyConfig } from './schema.js';

type Target = NonNullable<NonNullable<ListenerConfig['prefix_routes']>['catch_all_route']>;

/** What the engine takes: see `RouteTable` in engine/routing/table.ts, which says what each field means. */
export type RouteTable = ReturnType<typeof routeTable>;

/**
 * The routes of a listener. Pure.
 * @param clusters of the same, validated configuration: every name that the listener gives is there
 * @param numbers what the engine knows each of them by; their places in the list when not given
 */
export function routeTable(
  listener: ListenerConfig,
  clusters: ProxyConfig['clusters'],
  numbers: readonly number[] = clusters.map((_, index) => index),
) {
  const indexes = new Map(clusters.map(({ name }, index) => [name, numbers[index]]));
  const indexOf = (name: string): number => {
    const index = indexes.get(name);
    if (index === undefined) throw new Error(`no cluster is named '${name}'`);
    return index;
  };
  const target = (route: Target) => ({
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
  let catchAll: ReturnType<typeof target> | null = null;
  if (given?.catch_all_route !== undefined) catchAll = target(given.catch_all_route);
  else if (cluster !== undefined) catchAll = { cluster: indexOf(cluster), mirrors: [], readPolicy: null };
  return { caseInsensitive, routes, catchAll };
}
