import { hasReplicas } from '../../config/cluster.js';
import type { RouteTable } from '../../config/routes.js';
import type { ClusterConfig } from '../../config/schema.js';
import type { ClusterFacts } from '../../engine/core/facts.js';
import type { NodeEntry } from '../../engine/core/router.js';
import type { SlotMap } from '../../engine/core/slot-map.js';
import type { HostTable } from '../../engine/routing/host-table.js';
import { ClusterHealth } from '../health/cluster-health.js';
import type { Logger } from '../logger.js';
import type { ClusterMessage } from '../messages.js';
import { Topology } from '../topology.js';
import { type Credentials, UpstreamClient } from '../upstream-client.js';
import type { Discovery } from './discovery.js';
import { ReadFacts } from './read-facts.js';
import { Sharded } from './sharded.js';

export interface DiscoverOptions {
  readonly cluster: ClusterConfig;
  /** Its number. */
  readonly index: number;
  readonly credentials: Credentials;
  readonly sentinelPassword: string;
  readonly slotMap: SlotMap;
  /** Some route may read from its replicas. */
  readonly readReplicas: boolean;
  readonly logger: Logger;
  /** What was known under other settings. */
  readonly before?: Discovery;
  send(message: ClusterMessage): void;
}

/** What keeps the workers told of a cluster's nodes. */
export function discover(options: DiscoverOptions): Discovery {
  const { cluster, index, credentials, slotMap, logger, readReplicas, send } = options;
  const reads = readReplicas
    ? new ReadFacts({
        cluster,
        credentials,
        entries: () => discovery.entries(),
        events: { reads: (lagging, local) => send({ type: 'reads', cluster: index, lagging, local }) },
        logger,
      })
    : null;
  const health =
    cluster.health_checks.length > 0 || cluster.outlier_detection !== undefined
      ? new ClusterHealth({
          cluster,
          entries: () => discovery.entries(),
          connect: (host, port, timeoutMs) => UpstreamClient.connect(host, port, credentials, timeoutMs),
          tell: (out, silent, silentMs) => send({ type: 'health', cluster: index, out, silent, silentMs }),
          exclude: (addresses) => discovery.exclude?.(addresses),
          refresh: () => discovery.request(),
          logger,
        })
      : null;
  const events = {
    nodes: (nodes: NodeEntry[], facts: ClusterFacts | null) => {
      send({ type: 'nodes', cluster: index, nodes, facts });
      reads?.changed();
      health?.changed();
    },
    map: () => send({ type: 'map', cluster: index }),
    table: (table: HostTable, slots: number, nodes: NodeEntry[], facts: ClusterFacts | null) => {
      send({ type: 'table', cluster: index, table, slots, nodes, facts });
      reads?.changed();
      health?.changed();
    },
  };
  const discovery: Discovery =
    cluster.type === 'sharded'
      ? new Sharded(cluster, credentials, options.sentinelPassword, slotMap, events, logger, readReplicas)
      : new Topology(cluster, credentials, slotMap, events, logger);
  if (options.before !== undefined) {
    discovery.inherit(options.before);
    // What the workers were told of replicas by the old settings is told anew.
    if (reads === null) send({ type: 'reads', cluster: index, lagging: [], local: [] });
    else reads.changed();
    if (health === null) {
      send({ type: 'health', cluster: index, out: [], silent: [], silentMs: 0 });
      discovery.exclude?.(new Set());
    } else {
      health.inherit(options.before.health ?? null);
      health.changed();
    }
  }
  discovery.health = health;
  if (health !== null) {
    const stop = discovery.stop.bind(discovery);
    discovery.stop = () => {
      health.stop();
      stop();
    };
  }
  if (reads !== null) {
    const stop = discovery.stop.bind(discovery);
    discovery.stop = () => {
      reads.stop();
      stop();
    };
  }
  return discovery;
}

/** Whether some key may be read from a replica of the cluster with that number. */
export function readsReplicas(cluster: ClusterConfig, index: number, { catchAll, routes }: RouteTable): boolean {
  if (!hasReplicas(cluster)) return false;
  const ways = catchAll === null ? routes : [...routes, catchAll];
  return ways.some((way) => way.cluster === index && (way.readPolicy ?? cluster.settings.read_policy) !== 'MASTER');
}
