import * as z from 'zod/mini';
import { type ClusterConfig, cluster, hasReplicas, READ_POLICY_WITHOUT_REPLICAS } from './cluster.js';
import { overload } from './limits.js';
import { type ListenerConfig, listener } from './listener.js';
import { nearest } from './nearest.js';
import type { ReadPolicy } from './read-policy.js';
import { accessLog, tracing } from './recording.js';
import { statistics } from './statistics.js';
import { address, oneOf, whole, withDefault } from './values.js';

/**
 * The proxy's configuration. Words follow Envoy's (redis_proxy and cluster configuration), so that what operators know
 * carries over; `docs/proxy.md` describes every setting.
 */

export type { ClusterConfig, Endpoint } from './cluster.js';
export type { ListenerConfig } from './listener.js';
export type { ReadPolicy } from './read-policy.js';
export { type Address, formatAddress, readAddress, type SecretSource } from './values.js';

/** Clusters of one proxy. */
export const CLUSTERS_MAX = 64;

export const proxyConfig = z
  .strictObject({
    admin: z.optional(z.strictObject({ address })),
    listeners: z.array(listener).check(z.minLength(1), z.maxLength(1)),
    clusters: z.array(cluster).check(z.minLength(1), z.maxLength(CLUSTERS_MAX)),
    /** Threads that serve clients; by default one for each core. */
    workers: z.optional(whole(1, 256)),
    statistics,
    access_log: z.optional(accessLog),
    tracing: z.optional(tracing),
    overload,
    log_level: withDefault(oneOf(['debug', 'info', 'warn', 'error']), 'info'),
    log_format: withDefault(oneOf(['text', 'json']), 'text'),
  })
  .check(
    z.superRefine((config, context) => {
      const issue = (path: (string | number)[], message: string) => context.addIssue({ code: 'custom', path, message });
      const clusters = new Map<string, ClusterConfig>();
      config.clusters.forEach((each, index) => {
        if (clusters.has(each.name))
          issue(['clusters', index, 'name'], `another cluster is named '${each.name}' already`);
        else clusters.set(each.name, each);
      });
      config.listeners.forEach((each, index) => {
        for (const { path, cluster: wanted, readPolicy } of references(each)) {
          const found = clusters.get(wanted);
          if (found === undefined)
            issue(['listeners', index, ...path, 'cluster'], noCluster(wanted, [...clusters.keys()]));
          else
            checkReadPolicy(found, readPolicy, (message) =>
              issue(['listeners', index, ...path, 'read_policy'], message),
            );
        }
      });
    }),
  );

interface Reference {
  path: (string | number)[];
  cluster: string;
  readPolicy?: ReadPolicy | undefined;
}

/** Every place of a listener that names a cluster. */
function* references({ cluster: name, prefix_routes: routes }: ListenerConfig): Generator<Reference> {
  if (name !== undefined) yield { path: [], cluster: name };
  if (routes === undefined) return;
  const { catch_all_route: rest } = routes;
  const all: [(string | number)[], NonNullable<typeof rest>][] = routes.routes.map((route, index) => [
    ['prefix_routes', 'routes', index],
    route,
  ]);
  if (rest !== undefined) all.push([['prefix_routes', 'catch_all_route'], rest]);
  for (const [path, route] of all) {
    yield { path, cluster: route.cluster, readPolicy: route.read_policy };
    for (const [index, mirror] of route.request_mirror_policy.entries())
      yield { path: [...path, 'request_mirror_policy', index], cluster: mirror.cluster };
  }
}

function noCluster(wanted: string, names: string[]): string {
  const guess = nearest(wanted, names);
  const hint =
    guess === null ? `there is ${names.map((known) => `'${known}'`).join(', ')}` : `did you mean '${guess}'?`;
  return `no cluster is named '${wanted}'; ${hint}`;
}

/** What a route asks of its cluster must be possible there. */
function checkReadPolicy(
  config: ClusterConfig,
  policy: ReadPolicy | undefined,
  issue: (message: string) => void,
): void {
  if (policy === undefined || policy === 'MASTER') return;
  if (!hasReplicas(config)) issue(READ_POLICY_WITHOUT_REPLICAS);
  else if (policy.startsWith('LOCAL_ZONE') && config.settings.zone === undefined)
    issue(`needs 'settings.zone' of cluster '${config.name}': the zone that this proxy is in`);
}

export type ProxyConfig = z.infer<typeof proxyConfig>;
