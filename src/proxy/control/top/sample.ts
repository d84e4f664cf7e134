/** What a proxy says of itself at one moment, over its admin pages. */
import { type AdminAddress, adminJson } from '../admin.js';

/** Times of one kind of command in the last whole interval of five seconds, milliseconds; null when there were none. */
export interface RecentTimes {
  p50Ms: number | null;
  p99Ms: number | null;
}

/** One node of an upstream cluster. */
export interface HostSample {
  address: string;
  role: string;
  /** Connections of all workers. */
  connections: number;
  /** Commands that it has not answered yet. */
  inFlight: number;
  /** Commands that wait for a connection to it. */
  waiting: number;
  /** `healthy`, or Envoy's flags of what is wrong. */
  health: string;
}

export interface ClusterSample {
  name: string;
  type: string;
  /** Why its topology cannot be read; empty when it can. */
  lastError: string;
  hosts: HostSample[];
}

export interface HotKey {
  key: string;
  /** Accesses a second, and by how much that may be off, 19 times in 20. */
  perSecond: number;
  error: number;
  writesPerSecond: number;
}

export interface Sample {
  /** When it was here, by a clock that never goes back, milliseconds. */
  atMs: number;
  version: string;
  pid: number | null;
  /** `LIVE`, or why it is not. */
  state: string;
  numbers: ReadonlyMap<string, number>;
  times: ReadonlyMap<string, RecentTimes>;
  clusters: ClusterSample[];
  hotKeys: HotKey[];
}

/** The names that a report needs, so that the rest is not sent. The proxy takes 256 characters. */
const FILTER =
  '^server\\.(uptime|memory_phys)|\\.command\\..*(total|error|latency)$|\\.downstream_(cx_(active|.x_bytes)|rq_(act|tot|time))|\\.upstream_(cx_active|rq_(tot|time|5xx|4xx|retry$|pending_act))';

/**
 * Asks four pages at once.
 * @param keysMax hot keys that are told, at most
 * @throws ForgeError `unreachable`, `timeout`, or `verification` for what is no proxy's page
 */
export async function takeSample(address: AdminAddress, keysMax: number, signal?: AbortSignal): Promise<Sample> {
  const stats = `/stats?format=json&usedonly&filter=${encodeURIComponent(FILTER)}`;
  const [info, statistics, clusters, keys] = await Promise.all([
    adminJson(address, '/server_info', signal),
    adminJson(address, stats, signal),
    adminJson(address, '/clusters?format=json', signal),
    takeHotKeys(address, keysMax, signal),
  ]);
  const server = record(info);
  return {
    atMs: performance.now(),
    version: text(server['version']),
    pid: typeof server['process_id'] === 'number' ? server['process_id'] : null,
    state: text(server['state']),
    ...readStatistics(statistics),
    clusters: readClusters(clusters),
    hotKeys: keys,
  };
}

/** The keys that are used most, the hottest first. @throws ForgeError as `takeSample` */
export async function takeHotKeys(address: AdminAddress, keysMax: number, signal?: AbortSignal): Promise<HotKey[]> {
  if (keysMax === 0) return [];
  return readHotKeys(await adminJson(address, `/hotkeys?format=json&count=${keysMax}`, signal));
}

/** Envoy's document of statistics: numbers, and histograms with their quantiles. Pure, like all below. */
export function readStatistics(document: unknown): Pick<Sample, 'numbers' | 'times'> {
  const numbers = new Map<string, number>();
  const times = new Map<string, RecentTimes>();
  for (const entry of list(record(document)['stats'])) {
    const { name, value, histograms } = record(entry);
    if (typeof name === 'string' && typeof value === 'number') numbers.set(name, value);
    else if (histograms !== undefined) readHistograms(record(histograms), times);
  }
  return { numbers, times };
}

function readHistograms(histograms: Record<string, unknown>, into: Map<string, RecentTimes>): void {
  const shares = list(histograms['supported_quantiles']);
  for (const entry of list(histograms['computed_quantiles'])) {
    const { name, unit, values } = record(entry);
    if (typeof name !== 'string') continue;
    const at = (share: number) => {
      const value = record(list(values)[shares.indexOf(share)])['interval'];
      if (typeof value !== 'number') return null;
      return unit === 'us' ? value / 1000 : value;
    };
    into.set(name, { p50Ms: at(50), p99Ms: at(99) });
  }
}

/** One cluster is told alone, several in a list. */
export function readClusters(document: unknown): ClusterSample[] {
  const whole = record(document);
  const all = whole['clusters'] === undefined ? [whole] : list(whole['clusters']).map(record);
  return all.map((cluster) => ({
    name: text(cluster['name']),
    type: text(cluster['type']),
    lastError: text(cluster['last_error']),
    hosts: list(cluster['hosts']).map((entry) => {
      const host = record(entry);
      return {
        address: text(host['address']),
        role: text(host['role']),
        connections: number(host['cx_active']),
        inFlight: number(host['rq_active']),
        waiting: number(host['rq_pending_active']),
        health: text(host['health_flags']),
      };
    }),
  }));
}

export function readHotKeys(document: unknown): HotKey[] {
  return list(record(document)['hot_keys']).map((entry) => {
    const { key, per_second, error, writes_per_second } = record(entry);
    return {
      key: text(key),
      perSecond: number(per_second),
      error: number(error),
      writesPerSecond: number(writes_per_second),
    };
  });
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
