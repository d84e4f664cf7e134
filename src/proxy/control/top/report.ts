/** What happened between two samples of a proxy, as rates. Pure. */
import type { ClusterSample, HostSample, HotKey, RecentTimes, Sample } from './sample.js';

/** Uptime is told in whole seconds, and the page may have been a little late, milliseconds. */
const UPTIME_SLACK_MS = 2_500;

export interface CommandRate extends RecentTimes {
  /** As in the statistics: `get`, `config_get`. */
  command: string;
  perSecond: number;
  errorsPerSecond: number;
  /** Since the start, or since the counters were reset. */
  total: number;
}

export interface UpstreamRate extends RecentTimes {
  cluster: string;
  type: string;
  /** Commands sent to its nodes. */
  perSecond: number;
  /** Error replies of nodes, and commands that the proxy had to answer with an error of its own. */
  errorsPerSecond: number;
  failuresPerSecond: number;
  retriesPerSecond: number;
  connections: number;
  /** Commands that wait for a connection or a topology. */
  waiting: number;
  lastError: string;
  hosts: HostSample[];
}

export interface TopReport {
  version: string;
  pid: number | null;
  /** `LIVE`, or why it is not. */
  state: string;
  uptimeS: number;
  memoryBytes: number;
  /** Between the two samples; 0 when the process is another one, or there was no first sample: then there are no rates. */
  seconds: number;
  clients: RecentTimes & {
    connections: number;
    inFlight: number;
    perSecond: number;
    receivedBytesPerSecond: number;
    sentBytesPerSecond: number;
  };
  /** All that were ever given, in the order that was asked for. */
  commands: CommandRate[];
  upstreams: UpstreamRate[];
  hotKeys: HotKey[];
}

/** What the commands are ordered by, downwards. */
export const ORDERS = ['rate', 'p99', 'errors'] as const;
export type Order = (typeof ORDERS)[number];

const NO_TIMES: RecentTimes = { p50Ms: null, p99Ms: null };
/** Up to the first `.command.`: names of commands may hold points (those of modules do). */
const COMMAND = /^redis\..+?\.command\.(.+)\.total$/;
const LATENCY = /^redis\..+?\.command\.(.+)\.latency$/;

/** @param before undefined for the first sample, which has no rates */
export function compareSamples(before: Sample | undefined, after: Sample, order: Order = 'rate'): TopReport {
  const seconds = before === undefined ? 0 : secondsBetween(before, after);
  const rates = new Rates(seconds === 0 ? undefined : before, after, seconds);
  const prefix = listenerPrefix(after);
  const number = (name: string) => after.numbers.get(name) ?? 0;
  return {
    version: after.version,
    pid: after.pid,
    state: after.state,
    uptimeS: number('server.uptime'),
    memoryBytes: number('server.memory_physical_size'),
    seconds,
    clients: {
      connections: number(`${prefix}downstream_cx_active`),
      inFlight: number(`${prefix}downstream_rq_active`),
      perSecond: rates.of(`${prefix}downstream_rq_total`),
      receivedBytesPerSecond: rates.of(`${prefix}downstream_cx_rx_bytes_total`),
      sentBytesPerSecond: rates.of(`${prefix}downstream_cx_tx_bytes_total`),
      ...(after.times.get(`${prefix}downstream_rq_time`) ?? NO_TIMES),
    },
    commands: commandRates(after, rates).sort(comparison(order)),
    upstreams: after.clusters.map((cluster) => upstreamRate(cluster, after, rates)),
    hotKeys: after.hotKeys,
  };
}

/** Seconds between two samples of one process; 0 when it is another one. */
function secondsBetween(before: Sample, after: Sample): number {
  const passedMs = after.atMs - before.atMs;
  const uptimeS = (sample: Sample) => sample.numbers.get('server.uptime') ?? 0;
  const livedMs = (uptimeS(after) - uptimeS(before)) * 1000;
  // The number alone would not tell: while a proxy is upgraded, either process may answer a page.
  const same = before.pid === after.pid && Math.abs(livedMs - passedMs) <= UPTIME_SLACK_MS;
  return same && passedMs > 0 ? passedMs / 1000 : 0;
}

class Rates {
  constructor(
    private readonly before: Sample | undefined,
    private readonly after: Sample,
    private readonly seconds: number,
  ) {}

  /** A second; 0 where nothing can be compared. */
  of(counter: string): number {
    if (this.before === undefined) return 0;
    const [was, is] = [this.before.numbers.get(counter) ?? 0, this.after.numbers.get(counter) ?? 0];
    // Counters that have been reset count from 0.
    return (is >= was ? is - was : is) / this.seconds;
  }
}

/** `redis.<stat_prefix>.`, of the listener. */
function listenerPrefix({ numbers, times }: Sample): string {
  for (const name of [...numbers.keys(), ...times.keys()]) {
    const match = /^(redis\..+\.)downstream_/.exec(name);
    if (match?.[1] !== undefined) return match[1];
  }
  return 'redis.egress_redis.';
}

function commandRates(after: Sample, rates: Rates): CommandRate[] {
  const times = new Map<string, RecentTimes>();
  for (const [name, recent] of after.times) {
    const command = LATENCY.exec(name)?.[1];
    if (command !== undefined) times.set(command, recent);
  }
  return [...after.numbers].flatMap(([name, total]): CommandRate[] => {
    const command = COMMAND.exec(name)?.[1];
    if (command === undefined) return [];
    const errorsPerSecond = rates.of(name.replace(/total$/, 'error'));
    return [{ command, perSecond: rates.of(name), errorsPerSecond, total, ...(times.get(command) ?? NO_TIMES) }];
  });
}

function comparison(order: Order): (one: CommandRate, other: CommandRate) => number {
  const by = {
    rate: ({ perSecond }: CommandRate) => perSecond,
    p99: ({ p99Ms }: CommandRate) => p99Ms ?? -1,
    errors: ({ errorsPerSecond }: CommandRate) => errorsPerSecond,
  }[order];
  return (one, other) =>
    by(other) - by(one) ||
    other.perSecond - one.perSecond ||
    other.total - one.total ||
    (one.command < other.command ? -1 : 1);
}

function upstreamRate(cluster: ClusterSample, after: Sample, rates: Rates): UpstreamRate {
  const prefix = `cluster.${cluster.name}.`;
  const number = (name: string) => after.numbers.get(`${prefix}${name}`) ?? 0;
  return {
    cluster: cluster.name,
    type: cluster.type,
    perSecond: rates.of(`${prefix}upstream_rq_total`),
    errorsPerSecond: rates.of(`${prefix}upstream_rq_4xx`),
    failuresPerSecond: rates.of(`${prefix}upstream_rq_5xx`),
    retriesPerSecond: rates.of(`${prefix}upstream_rq_retry`),
    connections: number('upstream_cx_active'),
    waiting: number('upstream_rq_pending_active'),
    ...(after.times.get(`${prefix}upstream_rq_time`) ?? NO_TIMES),
    lastError: cluster.lastError,
    hosts: [...cluster.hosts].sort(worstFirst),
  };
}

/** What an operator looks for: a node that is not healthy, and then the one that most waits for. */
function worstFirst(one: HostSample, other: HostSample): number {
  const sick = ({ health }: HostSample) => (health === 'healthy' ? 0 : 1);
  const load = ({ inFlight, waiting }: HostSample) => inFlight + waiting;
  return sick(other) - sick(one) || load(other) - load(one) || (one.address < other.address ? -1 : 1);
}
