import { type ClusterConfig, formatAddress } from '../../config/schema.js';
import { type ShardedConfig, shardedConfig } from '../../config/sharded.js';
import type { ClusterFacts } from '../../engine/core/facts.js';
import type { NodeEntry } from '../../engine/core/router.js';
import { NO_NODE, type SlotMap } from '../../engine/core/slot-map.js';
import { HOST_SLOTS } from '../../engine/routing/host-table.js';
import type { Logger } from '../logger.js';
import { type Credentials, UpstreamClient } from '../upstream-client.js';
import { askFacts, equalFacts, FACTS_INTERVAL_MS } from './cluster-facts.js';
import type { Discovery, DiscoveryEvents, HostView } from './discovery.js';
import { DnsHosts } from './dns.js';
import { Numbers } from './numbers.js';
import { SentinelHosts } from './sentinel.js';
import { buildTable, type NumberedHost } from './table.js';

/** As long as no server has said what it is, they are asked again after this time. */
const FACTS_RETRY_MS = 2000;

/** A server among which keys are divided. */
export interface ShardHost {
  /** What is hashed; it stays the same when the address changes. */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly replicas: readonly { readonly host: string; readonly port: number }[];
}

/** Finds the servers. */
export interface HostSource {
  readonly readMs: number;
  readonly refreshes: number;
  readonly failures: number;
  readonly lastError: string;
  start(): void;
  stop(): void;
  request(): void;
}

/** A fixed list. */
class StaticHosts implements HostSource {
  readMs = 0;
  refreshes = 0;
  readonly failures = 0;
  readonly lastError = '';

  constructor(
    private readonly config: ShardedConfig,
    private readonly found: (hosts: readonly ShardHost[]) => void,
  ) {}

  start(): void {
    this.refreshes = 1;
    this.readMs = performance.now();
    this.found(
      this.config.endpoints.map(({ host, port, weight, hostname }) => ({
        key: hostname ?? formatAddress({ host, port }),
        host,
        port,
        weight,
        replicas: [],
      })),
    );
  }

  stop(): void {}
  request(): void {}
}

/** Independent servers: who they are, and the table that divides keys among them. */
export class Sharded implements Discovery {
  facts: ClusterFacts | null = null;
  private readonly sharding: ShardedConfig;
  private readonly source: HostSource;
  private hostNumbers = new Numbers(NO_NODE);
  private nodeNumbers = new Numbers(NO_NODE);
  private current: readonly ShardHost[] = [];
  private tableEntries: number[] = [];
  private readonly slots = new Uint16Array(HOST_SLOTS).fill(NO_NODE);
  /** Addresses of hosts that get no keys for now; when all are in it, it is not looked at. */
  private excluded: ReadonlySet<string> = new Set();
  private failure = '';
  /** What was counted under other settings. */
  private base = { readMs: 0, refreshes: 0, failures: 0 };
  /** The table is made in another way than the one that the workers have. */
  private otherTable = false;
  private stopped = false;
  private factsTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly config: ClusterConfig,
    private readonly credentials: Credentials,
    sentinelPassword: string,
    private readonly slotMap: SlotMap,
    private readonly events: DiscoveryEvents,
    private readonly logger: Logger,
    readReplicas: boolean,
  ) {
    this.sharding = shardedConfig(config);
    const found = (hosts: readonly ShardHost[]) => this.apply(hosts);
    if (this.sharding.discovery === 'STRICT_DNS') this.source = new DnsHosts(config, this.sharding, found, logger);
    else if (this.sharding.discovery === 'SENTINEL') {
      const login = { redis: credentials, sentinelPassword };
      this.source = new SentinelHosts(config, this.sharding, login, readReplicas, found, logger);
    } else this.source = new StaticHosts(this.sharding, found);
  }

  inherit(before: Discovery): void {
    if (!(before instanceof Sharded)) return;
    this.hostNumbers = before.hostNumbers;
    this.nodeNumbers = before.nodeNumbers;
    this.current = before.current;
    this.tableEntries = before.tableEntries;
    this.slots.set(before.slots);
    this.facts = before.facts;
    this.excluded = before.excluded;
    this.base = { readMs: before.readMs, refreshes: before.refreshes, failures: before.failures };
    this.otherTable = JSON.stringify(before.sharding) !== JSON.stringify(this.sharding);
  }

  get readMs(): number {
    return this.current.length === 0 ? 0 : Math.max(this.base.readMs, this.source.readMs);
  }
  get refreshes(): number {
    return this.base.refreshes + this.source.refreshes;
  }
  get failures(): number {
    return this.base.failures + this.source.failures;
  }
  get lastError(): string {
    return this.failure !== '' ? this.failure : this.source.lastError;
  }

  start(): void {
    this.source.start();
  }

  stop(): void {
    this.stopped = true;
    if (this.factsTimer !== null) clearTimeout(this.factsTimer);
    this.source.stop();
  }

  request(): void {
    this.source.request();
  }

  exclude(addresses: ReadonlySet<string>): void {
    if (addresses.size === this.excluded.size && [...addresses].every((each) => this.excluded.has(each))) return;
    this.excluded = addresses;
    this.otherTable = true;
    if (this.current.length > 0) this.apply(this.current);
  }

  /** Takes the servers that there are now. */
  private apply(hosts: readonly ShardHost[]): void {
    if (this.stopped) return;
    try {
      this.take(hosts);
      this.failure = '';
    } catch (error) {
      // The last table stays.
      this.failure = (error as Error).message;
      this.logger.error(`cluster ${this.config.name}: ${this.failure}`);
    }
  }

  private take(hosts: readonly ShardHost[]): void {
    const sameTable = !this.otherTable && this.describe(this.current, false) === this.describe(hosts, false);
    if (sameTable && this.describe(this.current, true) === this.describe(hosts, true)) return;
    const numbered: NumberedHost[] = hosts.map(({ key, weight }) => ({
      key,
      weight,
      number: this.hostNumbers.of(key),
    }));
    // Before anything changes: this is what may fail.
    const left = hosts.filter((host) => !this.excluded.has(formatAddress(host)));
    const served = left.length > 0 ? left : hosts;
    const chosen = numbered.filter((_, i) => served.includes(hosts[i] as ShardHost));
    const built = sameTable ? null : buildTable(this.sharding, chosen);
    this.current = hosts;
    this.otherTable = false;
    this.hostNumbers.keep(new Set(hosts.map(({ key }) => key)));
    this.slots.fill(NO_NODE);
    hosts.forEach((host, i) => {
      this.slots[(numbered[i] as NumberedHost).number] = this.nodeNumbers.of(formatAddress(host));
    });
    const entries = this.entries();
    this.nodeNumbers.keep(new Set(entries.map((entry) => formatAddress(entry))));
    if (built === null) this.events.nodes(entries, this.facts);
    else {
      this.tableEntries = hosts.map((host) => built.entries[served.indexOf(host)] ?? 0);
      this.events.table(built.table, this.hostNumbers.end, entries, this.facts);
    }
    if (this.slotMap.replace(this.slots)) this.events.map();
    const list = served.map((host) => `${host.key}=${formatAddress(host)}`).join(' ');
    this.logger.info(`cluster ${this.config.name}: keys are divided among ${served.length} hosts`, { hosts: list });
    if (this.facts === null) this.askFacts(0);
  }

  /** What the table, or the nodes, follow from: equal texts, equal results. */
  private describe(hosts: readonly ShardHost[], addresses: boolean): string {
    return JSON.stringify(
      hosts.map(({ key, weight, host, port, replicas }) => (addresses ? [key, host, port, replicas] : [key, weight])),
    );
  }

  private askFacts(delayMs: number): void {
    if (this.factsTimer !== null) clearTimeout(this.factsTimer);
    if (!this.stopped) this.factsTimer = setTimeout(() => void this.readFacts(), delayMs);
  }

  /** Asks one server after the other until one tells; then, or when none does, again after a while. */
  private async readFacts(): Promise<void> {
    for (const { host, port } of this.current) {
      let client: UpstreamClient | null = null;
      try {
        client = await UpstreamClient.connect(host, port, this.credentials, this.config.connect_timeout);
        const facts = await askFacts(client, this.config.cluster_refresh_timeout);
        if (this.stopped) return;
        if (facts === null) continue;
        if (!equalFacts(facts, this.facts)) {
          this.facts = facts;
          this.events.nodes(this.entries(), facts);
        }
        break;
      } catch {
        // The next one may tell.
      } finally {
        client?.close();
      }
    }
    this.askFacts(this.facts === null ? FACTS_RETRY_MS : FACTS_INTERVAL_MS);
  }

  entries(): NodeEntry[] {
    const entries: NodeEntry[] = [];
    for (const { host, port, replicas } of this.current) {
      const index = this.nodeNumbers.of(formatAddress({ host, port }));
      entries.push({ index, host, port, masterIndex: -1 });
      for (const replica of replicas) {
        entries.push({ ...replica, index: this.nodeNumbers.of(formatAddress(replica)), masterIndex: index });
      }
    }
    return entries;
  }

  hosts(): HostView[] {
    return this.current.flatMap((host, i) => [
      {
        address: formatAddress(host),
        role: 'master' as const,
        slots: this.tableEntries[i] ?? 0,
        ranges: [],
        hash_key: host.key,
        weight: host.weight,
      },
      ...host.replicas.map((replica) => ({
        address: formatAddress(replica),
        role: 'replica' as const,
        slots: 0,
        ranges: [],
      })),
    ]);
  }
}
