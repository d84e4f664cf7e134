import { type ClusterConfig, formatAddress } from '../../config/schema.js';
import type { NodeEntry } from '../../engine/core/router.js';
import type { Logger } from '../logger.js';
import { type Credentials, UpstreamClient } from '../upstream-client.js';
import { isLagging, lagBytes, type ReplicationInfo } from './lag.js';

/** How often the nodes are asked how far they are. */
const LAG_INTERVAL_MS = 1000;
/** How often nodes that have said no zone are asked again. */
const ZONE_INTERVAL_MS = 10_000;
/** A replica says within this time how far it is, or is not read from. */
const REPLY_MS = 1000;

/** What decides whether a node is read from; by the indices of nodes. */
export interface ReadFactsEvents {
  reads(lagging: number[], local: number[]): void;
}

export interface ReadFactsOptions {
  readonly cluster: ClusterConfig;
  readonly credentials: Credentials;
  /** The nodes that there are now. */
  entries(): NodeEntry[];
  readonly events: ReadFactsEvents;
  readonly logger: Logger;
}

/**
 * Tells the workers which replicas are too far behind to be read from (`max_replica_lag_bytes`) and which nodes are in
 * the proxy's own zone (`zone`, `zones`, or what a Valkey node says of itself: `availability_zone` in INFO).
 */
export class ReadFacts {
  private readonly connections = new Map<string, UpstreamClient>();
  /** What nodes said of their zones. */
  private readonly zones = new Map<string, string>();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private running = false;
  private again = false;
  private stopped = false;
  private told = '';
  private readonly lagging = new Map<string, boolean>();
  private zonesDueMs = 0;

  constructor(private readonly options: ReadFactsOptions) {}

  /** The nodes have changed. */
  changed(): void {
    // Workers have new nodes: what they were told of the old ones is told again.
    this.told = '';
    this.zonesDueMs = 0;
    this.tell();
    if (this.running) this.again = true;
    else this.schedule(0);
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    for (const connection of this.connections.values()) connection.close();
  }

  private schedule(delayMs: number): void {
    if (this.stopped) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), delayMs);
  }

  private async run(): Promise<void> {
    this.running = true;
    this.again = false;
    const { max_replica_lag_bytes: bound, zone } = this.options.cluster.settings;
    if (zone !== undefined && performance.now() >= this.zonesDueMs) await this.readZones();
    if (bound !== undefined) await this.readLags(bound);
    this.forget();
    this.tell();
    this.running = false;
    if (this.again) this.schedule(0);
    else if (bound !== undefined) this.schedule(LAG_INTERVAL_MS);
    else if (zone !== undefined) this.schedule(ZONE_INTERVAL_MS);
  }

  private tell(): void {
    const { zone, zones, max_replica_lag_bytes: bound } = this.options.cluster.settings;
    const lagging: number[] = [];
    const local: number[] = [];
    for (const entry of this.options.entries()) {
      const address = formatAddress(entry);
      // A replica that has not been asked yet may be far behind.
      if (bound !== undefined && isReplica(entry) && this.lagging.get(address) !== false) lagging.push(entry.index);
      if (zone !== undefined && (zones[address] ?? this.zones.get(address)) === zone) local.push(entry.index);
    }
    const text = JSON.stringify([lagging, local]);
    if (text === this.told || this.stopped) return;
    this.told = text;
    this.options.events.reads(lagging, local);
  }

  // ---------------------------------------------------------------- asking

  private async readZones(): Promise<void> {
    this.zonesDueMs = performance.now() + ZONE_INTERVAL_MS / 2;
    const { zones } = this.options.cluster.settings;
    await Promise.all(
      this.options.entries().map(async (entry) => {
        const address = formatAddress(entry);
        if (zones[address] !== undefined || this.zones.has(address)) return;
        const zone = (await this.info(entry, 'server'))?.get('availability_zone');
        if (zone !== undefined) this.zones.set(address, zone);
      }),
    );
  }

  private async readLags(bound: number): Promise<void> {
    const entries = this.options.entries();
    const masters = new Map(entries.filter((entry) => !isReplica(entry)).map((entry) => [entry.index, entry]));
    const infos = new Map<number, Promise<ReplicationInfo | null>>();
    const masterOf = (index: number): Promise<ReplicationInfo | null> => {
      let info = infos.get(index);
      if (info === undefined) {
        const master = masters.get(index);
        info = master === undefined ? Promise.resolve(null) : this.info(master, 'replication');
        infos.set(index, info);
      }
      return info;
    };
    await Promise.all(
      entries.filter(isReplica).map(async (entry) => {
        const [own, master] = await Promise.all([this.info(entry, 'replication'), masterOf(entry.masterIndex ?? -1)]);
        const bytes = lagBytes(master, own);
        this.note(formatAddress(entry), isLagging(bytes, bound), bytes);
      }),
    );
  }

  private note(address: string, lagging: boolean, bytes: number): void {
    const before = this.lagging.get(address);
    this.lagging.set(address, lagging);
    if (before === undefined || before === lagging) return;
    const behind = Number.isNaN(bytes) ? 'unknown' : bytes;
    if (lagging) this.options.logger.warn('a replica is too far behind to be read from', { replica: address, behind });
    else this.options.logger.info('a replica is read from again', { replica: address, behind });
  }

  /** A section of INFO; null when the node does not answer. */
  private async info(entry: NodeEntry, section: string): Promise<Map<string, string> | null> {
    const address = formatAddress(entry);
    try {
      let connection = this.connections.get(address);
      if (connection === undefined || connection.closed) {
        const { connect_timeout: timeoutMs } = this.options.cluster;
        connection = await UpstreamClient.connect(entry.host, entry.port, this.options.credentials, timeoutMs);
        if (this.stopped) connection.close();
        this.connections.get(address)?.close();
        this.connections.set(address, connection);
      }
      const text = await connection.command(['INFO', section], REPLY_MS);
      if (typeof text !== 'string') return null;
      return new Map(
        text.split('\r\n').flatMap((line): [string, string][] => {
          const colon = line.indexOf(':');
          return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
        }),
      );
    } catch {
      return null;
    }
  }

  /** Lets go of nodes that are gone. */
  private forget(): void {
    const known = new Set(this.options.entries().map((entry) => formatAddress(entry)));
    for (const [address, connection] of this.connections) {
      if (known.has(address)) continue;
      connection.close();
      this.connections.delete(address);
    }
    for (const map of [this.zones, this.lagging]) {
      for (const address of map.keys()) if (!known.has(address)) map.delete(address);
    }
  }
}

function isReplica(entry: NodeEntry): boolean {
  return (entry.masterIndex ?? -1) >= 0;
}
