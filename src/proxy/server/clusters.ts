import { routeTable } from '../config/routes.js';
import type { ClusterConfig, ProxyConfig } from '../config/schema.js';
import { CLUSTERS_MAX } from '../config/schema.js';
import type { HostFailures } from '../engine/core/runtime.js';
import { SlotMap } from '../engine/core/slot-map.js';
import { HOST_SLOTS } from '../engine/routing/host-table.js';
import { discover, readsReplicas } from './discovery/discover.js';
import type { Discovery } from './discovery/discovery.js';
import { type LearnedCommands, Learner } from './learned.js';
import type { Logger } from './logger.js';
import type { ClusterMessage } from './messages.js';
import type { Secrets } from './secrets.js';
import { upstreamTls } from './tls/upstream.js';

/** The number of a cluster that was removed is given to another one only after this time: workers may finish with it. */
export const NUMBER_REST_MS = 10_000;

/** How the workers know a cluster. */
export interface Place {
  readonly name: string;
  readonly type: ClusterConfig['type'];
  readonly number: number;
  /** Another one for another cluster with the same number. */
  readonly serial: number;
  readonly slotMap: SharedArrayBuffer;
}

/** A cluster with what keeps the workers told of it. */
interface Member {
  readonly place: Place;
  /** All that decides how it is discovered; another text, another discovery. */
  readonly described: string;
  readonly discovery: Discovery;
  readonly learner: Learner;
}

export interface ClustersOptions {
  readonly logger: Logger;
  readonly learned: LearnedCommands;
  send(message: ClusterMessage): void;
}

/** No number is free for another cluster. */
export class TooManyClusters extends Error {}

/** The upstream clusters of the configuration that is served, and the numbers by which workers know them. */
export class Clusters {
  private members: Member[] = [];
  private readonly resting: { readonly number: number; readonly sinceMs: number }[] = [];
  /** One more than the highest number that was ever given. */
  private end = 0;
  private serial = 0;
  private started = false;
  private stopped = false;
  /** What the workers were last told of each cluster, by its number: a worker that comes later is told the same. */
  private readonly told = new Map<number, Map<ClusterMessage['type'], ClusterMessage>>();

  constructor(private readonly options: ClustersOptions) {}

  /** In the order of the configuration. */
  get discoveries(): readonly Discovery[] {
    return this.members.map(({ discovery }) => discovery);
  }

  get numbers(): readonly number[] {
    return this.members.map(({ place }) => place.number);
  }

  /** A worker wants a cluster to be looked at again. */
  request(number: number): void {
    this.members.find(({ place }) => place.number === number)?.discovery.request();
  }

  /** A worker has seen hosts of a cluster fail. */
  hostsFailed(number: number, hosts: readonly HostFailures[]): void {
    this.members.find(({ place }) => place.number === number)?.discovery.health?.failed(hosts);
  }

  /**
   * Finds a place for each cluster of a configuration: its own, when it has one. What is given for the first time is
   * taken only by `take`.
   * @throws TooManyClusters
   */
  places(clusters: ProxyConfig['clusters']): Place[] {
    const now = performance.now();
    const rested = this.resting.filter(({ sinceMs }) => now - sinceMs >= NUMBER_REST_MS).map(({ number }) => number);
    let { end, serial } = this;
    return clusters.map(({ name, type }) => {
      const own = this.members.find(({ place }) => place.name === name && place.type === type);
      if (own !== undefined) return own.place;
      const number = rested.shift() ?? end++;
      if (number >= CLUSTERS_MAX) {
        throw new TooManyClusters(
          `no more than ${CLUSTERS_MAX} clusters, those counted in that were removed in the last ${NUMBER_REST_MS / 1000} s`,
        );
      }
      const slotMap = type === 'sharded' ? SlotMap.create(HOST_SLOTS) : SlotMap.create();
      return { name, type, number, serial: ++serial, slotMap };
    });
  }

  /** Takes another configuration; the workers have been told of its clusters. @param places as `places` gave them */
  take(config: ProxyConfig, secrets: Secrets, places: readonly Place[]): void {
    if (this.stopped) return;
    const before = this.members;
    const [listener] = config.listeners;
    const numbers = places.map(({ number }) => number);
    const routes = routeTable(listener, config.clusters, numbers);
    this.members = config.clusters.map((cluster, index) => {
      const place = places[index] as Place;
      const password = secrets.upstreamPasswords[index] as string;
      const sentinelPassword = secrets.sentinelPasswords[index] as string;
      const readReplicas = readsReplicas(cluster, place.number, routes);
      const tls = secrets.tls.upstream[index] ?? null;
      const sentinelTls = secrets.tls.sentinels[index] ?? null;
      const described = JSON.stringify([cluster, password, sentinelPassword, readReplicas, tls, sentinelTls]);
      const old = before.find((member) => member.place === place);
      if (old?.described === described) return old;
      old?.discovery.stop();
      old?.learner.stop();
      const { logger, learned } = this.options;
      const credentials = {
        username: cluster.auth_username ?? '',
        password,
        previous: secrets.previous?.upstream[index],
        tls: upstreamTls(tls),
        sentinelTls: upstreamTls(sentinelTls),
        sentinelPrevious: secrets.previous?.sentinel[index],
      };
      const learner = new Learner({ config: cluster, credentials, logger }, learned);
      const discovery = discover({
        cluster,
        index: place.number,
        credentials,
        sentinelPassword,
        slotMap: new SlotMap(place.slotMap),
        readReplicas,
        logger,
        ...(old === undefined ? {} : { before: old.discovery }),
        send: (message) => {
          this.tell(message);
          if (message.type === 'nodes' || message.type === 'table') learner.nodes(message.nodes);
        },
      });
      return { place, described, discovery, learner };
    });
    for (const member of before) {
      if (places.includes(member.place)) continue;
      member.discovery.stop();
      member.learner.stop();
      this.resting.push({ number: member.place.number, sinceMs: performance.now() });
      this.told.delete(member.place.number);
    }
    for (const { number, serial } of places) {
      this.end = Math.max(this.end, number + 1);
      this.serial = Math.max(this.serial, serial);
      const rest = this.resting.findIndex((each) => each.number === number);
      if (rest >= 0) this.resting.splice(rest, 1);
    }
    for (const member of this.members) {
      if (before.includes(member)) continue;
      const old = before.some(({ place }) => place === member.place);
      // Its nodes are known, and are told to nobody anew.
      if (old) member.learner.nodes(member.discovery.entries());
      if (this.started) member.discovery.start();
    }
  }

  /** What a worker that has just come must be told, in this order. */
  *history(): Generator<ClusterMessage> {
    for (const messages of this.told.values()) {
      for (const type of ['table', 'nodes', 'reads', 'health', 'map'] as const) {
        const message = messages.get(type);
        if (message !== undefined) yield message;
      }
    }
  }

  private tell(message: ClusterMessage): void {
    let messages = this.told.get(message.cluster);
    if (messages === undefined) {
      messages = new Map();
      this.told.set(message.cluster, messages);
    }
    messages.set(message.type, message);
    // A table brings its nodes.
    if (message.type === 'table') messages.delete('nodes');
    this.options.send(message);
  }

  start(): void {
    if (this.started) return;
    this.started = true;
    for (const { discovery } of this.members) discovery.start();
  }

  stop(): void {
    this.stopped = true;
    for (const { discovery, learner } of this.members) {
      discovery.stop();
      learner.stop();
    }
  }
}
