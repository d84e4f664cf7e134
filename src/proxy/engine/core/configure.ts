import { COMMANDS } from '../commands/table.generated.js';
import { Routing } from '../routing/routing.js';
import { FIRST_CLUSTER } from '../routing/table.js';
import { clusterStatsOffset } from '../stats.js';
import type { Core } from './core.js';
import type { Limits } from './limits.js';
import { type Cluster, Router } from './router.js';
import type { WorkerSettings } from './settings.js';

/** What a worker serves by; every part may be another one while it runs. */
export interface Configuration {
  readonly settings: WorkerSettings;
  readonly limits: Limits;
  /** At least one. A cluster that is the same one as before has the same `number` and `serial`. */
  readonly clusters: readonly Cluster[];
}

/** What follows from a configuration. */
export interface Upstreams {
  /** In the order of the configuration. */
  readonly routers: readonly Router[];
  /** By their numbers; those of clusters that were removed are empty. */
  readonly numbered: readonly (Router | undefined)[];
  readonly router: Router;
  readonly routing: Routing | null;
}

/**
 * Makes the routers of a configuration's clusters and the routes to them; a router of `before` that stands for the same
 * cluster is kept, with its nodes and connections, and gets the new settings.
 */
export function upstreams(core: Core, { settings, clusters }: Configuration, before: Upstreams | null): Upstreams {
  const numbered: (Router | undefined)[] = [];
  const routers = clusters.map((cluster, position) => {
    const number = cluster.number ?? position;
    const old = before?.numbered[number];
    const kept = old !== undefined && old.serial === (cluster.serial ?? 0) ? old : undefined;
    kept?.configure(cluster.settings);
    const router = kept ?? new Router(core, number, cluster, clusterStatsOffset(COMMANDS.length, number));
    // Whether replicas are read from is said by the routes, below.
    router.reads.used = false;
    numbered[number] = router;
    return router;
  });
  const routes = settings.routes ?? FIRST_CLUSTER;
  const router = numbered[routes.catchAll?.cluster ?? routers[0].index] as Router;
  const routing = new Routing(routes, numbered as readonly Router[], core.runtime.allocate);
  return { routers, numbered, router, routing: routing.plain ? null : routing };
}

/**
 * Takes another configuration, between two events: what comes from here on is served by it. Commands on their way end
 * the way they went, and a client's next command waits until they have, so that its order is kept. Connections of a
 * cluster that is gone are closed when what they carry is answered, at the latest after its `op_timeout`.
 */
export function configure(core: Core, configuration: Configuration): void {
  core.beginEvent();
  const version = core.mapVersion();
  const before: Upstreams = {
    routers: core.routers,
    numbered: core.numbered,
    router: core.router,
    routing: core.routing,
  };
  core.settings = configuration.settings;
  core.limits = configuration.limits;
  const after = upstreams(core, configuration, before);
  core.routers = after.routers;
  core.numbered = after.numbered;
  core.router = after.router;
  core.routing = after.routing;
  core.configured += version + 1 - core.mapVersion();
  for (const router of before.routers) {
    if (after.numbered[router.index] === router) continue;
    router.leave();
    core.retiring.add(router);
  }
  for (const follow of core.followers) follow();
  if (after.router !== before.router) core.pubsub.moved();
}

/** Looks after the clusters that are gone; called with every tick while there are any. */
export function tickRetiring(core: Core): void {
  for (const router of core.retiring) {
    router.tick();
    if (router.retirement?.finish() === true) core.retiring.delete(router);
  }
}
