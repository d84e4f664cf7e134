import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterConfig } from '../config/schema.js';
import { formatAddress } from '../config/schema.js';
import { readClusterSlots, type SlotRange } from '../engine/cluster/slots-reply.js';
import type { ClusterFacts } from '../engine/core/facts.js';
import type { NodeEntry } from '../engine/core/router.js';
import { NO_NODE, type SlotMap } from '../engine/core/slot-map.js';
import { SLOT_COUNT } from '../engine/hash/crc16.js';
import { askFacts, equalFacts, FACTS_INTERVAL_MS } from './discovery/cluster-facts.js';
import type { Discovery, DiscoveryEvents, HostView } from './discovery/discovery.js';
import { readEpoch, saysDown } from './discovery/epoch.js';
import { slotHosts } from './discovery/slot-hosts.js';
import type { Logger } from './logger.js';
import { type Credentials, UpstreamClient } from './upstream-client.js';

/** Nodes that are asked side by side; the first useful answer counts. */
const ASKED_AT_ONCE = 3;
/** Rounds of asking in one refresh, each with other nodes. */
const ROUNDS_MAX = 4;
/**
 * What a node knows that says that the cluster is down counts so much later: one that is cut off from the others answers, too,
 * and has heard of nothing since.
 */
const DOUBT_MS = 20;
/** A refresh is followed by a pause of at least this many times what the answer took. */
const DURATIONS_BETWEEN = 5;
/** The periodic refresh comes up to this share earlier or later, so that proxies do not ask in step. */
const JITTER = 0.2;
/** Idle connections kept for the next refresh. */
const CONNECTIONS_MAX = 8;
/** An index is given to another node only this long after its node has left. */
const INDEX_REST_MS = 60_000;

interface Known {
  index: number;
  host: string;
  port: number;
  lastSeenMs: number;
  /** Of a replica: the index of its master; -1 for a master. */
  masterIndex: number;
}

interface Answer {
  readonly ranges: SlotRange[];
  /** Null when the node does not say. */
  readonly epoch: number | null;
  readonly down: boolean;
  /** Without the time to connect. */
  readonly tookMs: number;
}

/**
 * Knows which node serves which slot. One refresh runs at a time; what asks for another meanwhile gets one more behind
 * it, no sooner than `redirect_refresh_interval` after the last.
 */
export class Topology implements Discovery {
  ranges: SlotRange[] = [];
  facts: ClusterFacts | null = null;
  /** When the topology was last read; 0 when never. */
  readMs = 0;
  refreshes = 0;
  failures = 0;
  lastError = '';

  private known = new Map<string, Known>();
  /** Of the answer that was taken last. */
  private epoch = 0;
  /** The endpoints are others: what they say counts, not what the nodes that were known before say. */
  private endpointsOnly = false;
  private readonly connections = new Map<string, UpstreamClient>();
  private factsReadMs = Number.NEGATIVE_INFINITY;
  /** The workers do not know `facts` yet. */
  private factsChanged = false;
  private running = false;
  private wanted = false;
  /** How long the node took whose answer counted last; a dead one says nothing of what the living are burdened with. */
  private lastTookMs = 0;
  private lastStartMs = Number.NEGATIVE_INFINITY;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private stopped = false;
  private nextIndex = 0;
  private resting: { index: number; sinceMs: number }[] = [];

  constructor(
    private readonly config: ClusterConfig,
    private readonly credentials: Credentials,
    private readonly slotMap: SlotMap,
    private readonly events: Pick<DiscoveryEvents, 'nodes' | 'map'>,
    private readonly logger: Logger,
  ) {}

  inherit(before: Discovery): void {
    if (!(before instanceof Topology)) return;
    this.known = before.known;
    this.ranges = before.ranges;
    this.nextIndex = before.nextIndex;
    this.resting = before.resting;
    this.facts = before.facts;
    this.readMs = before.readMs;
    this.refreshes = before.refreshes;
    this.failures = before.failures;
    this.endpointsOnly = JSON.stringify(before.config.endpoints) !== JSON.stringify(this.config.endpoints);
    // They may be another cluster, whose epochs are others.
    if (!this.endpointsOnly) this.epoch = before.epoch;
  }

  start(): void {
    this.request();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    for (const connection of this.connections.values()) connection.close();
    this.connections.clear();
  }

  /** Asks for a refresh soon. */
  request(): void {
    if (this.stopped) return;
    if (this.running) {
      this.wanted = true;
      return;
    }
    const sinceLast = performance.now() - this.lastStartMs;
    this.schedule(Math.max(0, this.interval() - sinceLast));
  }

  /** Least time between two refreshes; a cluster whose map takes long to read is asked less often. */
  private interval(): number {
    return Math.max(this.config.redirect_refresh_interval, this.lastTookMs * DURATIONS_BETWEEN);
  }

  private schedule(delayMs: number): void {
    if (this.stopped) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = null;
      void this.run();
    }, delayMs);
  }

  private async run(): Promise<void> {
    this.running = true;
    this.wanted = false;
    this.lastStartMs = performance.now();
    try {
      await this.refresh();
      if (this.lastError !== '') this.logger.info('the topology is readable again');
      this.lastError = '';
    } catch (error) {
      this.failures++;
      this.lastTookMs = 0;
      const message = (error as Error).message;
      if (message !== this.lastError) this.logger.warn(`cannot read the topology: ${message}`);
      this.lastError = message;
      this.wanted = true;
    }
    this.running = false;
    const jitter = 1 + (Math.random() * 2 - 1) * JITTER;
    const interval = this.interval();
    if (this.wanted) this.schedule(interval * (this.lastError === '' ? 1 : 5) * jitter);
    else this.schedule(this.config.cluster_refresh_rate * jitter);
  }

  private async refresh(): Promise<void> {
    const candidates = this.candidates();
    const errors: string[] = [];
    const outdated: Answer[] = [];
    for (let round = 0; round < ROUNDS_MAX && candidates.length > 0; round++) {
      const asked = candidates.splice(0, ASKED_AT_ONCE);
      try {
        const answer = await Promise.any(asked.map((address) => this.askNewest(address, outdated)));
        if (this.stopped) return;
        this.apply(answer);
        return;
      } catch (error) {
        if (!(error instanceof AggregateError)) throw error;
        asked.forEach((address, i) => {
          errors.push(`${formatAddress(address)}: ${(error.errors[i] as Error).message}`);
        });
      }
    }
    // All that can be reached say so: the cluster was made anew, or this proxy is cut off together with them.
    const [newest] = outdated.sort((one, other) => (other.epoch ?? 0) - (one.epoch ?? 0));
    if (newest === undefined) throw new Error(errors.join('; '));
    if (!this.stopped) this.apply(newest);
  }

  /** Rejects, too, when the node has not heard of what others had. @param outdated gets what it says then */
  private async askNewest(address: { host: string; port: number }, outdated: Answer[]): Promise<Answer> {
    const answer = await this.ask(address);
    if (answer.down) await sleep(DOUBT_MS);
    if (answer.epoch === null || answer.epoch >= this.epoch) return answer;
    outdated.push(answer);
    throw new Error(`it has heard of epoch ${answer.epoch}, others of ${this.epoch}`);
  }

  /** Known nodes in a random order, then the configured endpoints that are not among them. */
  private candidates(): { host: string; port: number }[] {
    if (this.endpointsOnly) return [...this.config.endpoints];
    const known = [...this.known.values()].map(({ host, port }) => ({ host, port }));
    for (let i = known.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [known[i], known[j]] = [known[j], known[i]];
    }
    const endpoints = this.config.endpoints.filter((each) => !this.known.has(formatAddress(each)));
    // At least one endpoint is among the first that are asked: all known nodes may be gone.
    return [...known.slice(0, ASKED_AT_ONCE - 1), ...endpoints, ...known.slice(ASKED_AT_ONCE - 1)];
  }

  private async ask(address: { host: string; port: number }): Promise<Answer> {
    const timeoutMs = this.config.cluster_refresh_timeout;
    const connection = await this.connection(address, Math.min(this.config.connect_timeout, timeoutMs));
    const askedMs = performance.now();
    // In this order, so that the slots are never older than the epoch.
    const [info, slots] = await Promise.all([
      connection.command(['CLUSTER', 'INFO'], timeoutMs),
      connection.command(['CLUSTER', 'SLOTS'], timeoutMs),
    ]);
    const ranges = readClusterSlots(slots, address.host);
    const tookMs = performance.now() - askedMs;
    if (ranges.length === 0) throw new Error('the node knows no slots: no cluster is formed');
    if (performance.now() - this.factsReadMs >= FACTS_INTERVAL_MS) await this.readFacts(connection, timeoutMs);
    return { ranges, epoch: readEpoch(info), down: saysDown(info), tookMs };
  }

  private async readFacts(connection: UpstreamClient, timeoutMs: number): Promise<void> {
    const facts = await askFacts(connection, timeoutMs);
    if (facts === null) return;
    this.factsReadMs = performance.now();
    if (equalFacts(facts, this.facts)) return;
    this.facts = facts;
    this.factsChanged = true;
  }

  private async connection({ host, port }: { host: string; port: number }, timeoutMs: number): Promise<UpstreamClient> {
    const key = formatAddress({ host, port });
    const open = this.connections.get(key);
    if (open !== undefined && !open.closed) return open;
    const connection = await UpstreamClient.connect(host, port, this.credentials, timeoutMs);
    this.connections.get(key)?.close();
    this.connections.delete(key);
    this.connections.set(key, connection);
    for (const [oldest, idle] of this.connections) {
      if (this.connections.size <= CONNECTIONS_MAX) break;
      this.connections.delete(oldest);
      idle.close();
    }
    if (this.stopped) connection.close();
    return connection;
  }

  private apply({ ranges, epoch, tookMs }: Answer): void {
    const now = performance.now();
    this.lastTookMs = Math.min(tookMs, this.config.cluster_refresh_rate / DURATIONS_BETWEEN);
    if (epoch !== null) this.epoch = epoch;
    this.refreshes++;
    this.readMs = now;
    this.endpointsOnly = false;
    this.ranges = ranges;
    // The workers hear of both in one message.
    let nodesChanged = this.factsChanged;
    this.factsChanged = false;
    const seen = (host: string, port: number): Known => {
      const key = formatAddress({ host, port });
      let node = this.known.get(key);
      if (node === undefined) {
        node = { index: this.takeIndex(now), host, port, lastSeenMs: now, masterIndex: -1 };
        this.known.set(key, node);
        nodesChanged = true;
      }
      node.lastSeenMs = now;
      return node;
    };
    const slots = new Uint16Array(SLOT_COUNT).fill(NO_NODE);
    const masters = new Set<Known>();
    const masterOf = new Map<Known, number>();
    for (const range of ranges) {
      const master = seen(range.master.host, range.master.port);
      slots.fill(master.index, range.start, range.end + 1);
      masters.add(master);
      for (const replica of range.replicas) masterOf.set(seen(replica.host, replica.port), master.index);
    }
    for (const node of this.known.values()) {
      const masterIndex = masters.has(node) ? -1 : (masterOf.get(node) ?? -1);
      if (node.masterIndex !== masterIndex) nodesChanged = true;
      node.masterIndex = masterIndex;
    }
    for (const [key, node] of this.known) {
      if (node.lastSeenMs === now) continue;
      this.known.delete(key);
      this.connections.get(key)?.close();
      this.connections.delete(key);
      this.resting.push({ index: node.index, sinceMs: now });
      nodesChanged = true;
    }
    if (nodesChanged) this.events.nodes(this.entries(), this.facts);
    if (this.slotMap.replace(slots)) this.events.map();
  }

  hosts(): HostView[] {
    return slotHosts(this.ranges);
  }

  /** The table of nodes as the workers get it. */
  entries(): NodeEntry[] {
    return [...this.known.values()].map(({ index, host, port, masterIndex }) => ({ index, host, port, masterIndex }));
  }

  private takeIndex(now: number): number {
    const rested = this.resting[0];
    if (rested !== undefined && now - rested.sinceMs >= INDEX_REST_MS) {
      this.resting.shift();
      return rested.index;
    }
    if (this.nextIndex >= NO_NODE) throw new Error('too many nodes have come and gone; restart the proxy');
    return this.nextIndex++;
  }
}
