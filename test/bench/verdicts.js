// The bounds that the project has set itself, beside what was measured. Pure.

/** Processor time per command, as a share of nutcracker's. */
const CPU_BOUNDS = { p1: 0.85, p16: 0.5, p100: 0.2, mget: 1 };
/** The same with users, statistics, histograms and hot keys. */
const SERVICE_CPU_BOUNDS = { p1: 0.9, p16: 0.5, p100: 0.2 };
/** Processor time per command of two workers, as a share of one worker's. */
const WORKERS_BOUND = 1.1;
/** How far a worker's connections may be from an even part. */
const SPREAD_BOUND = 0.2;
const P99_BOUND = 1.25;
/** Processor time per command of TLS clients, as a share of HAProxy's. */
const TLS_BOUND = 0.85;
/** Deliveries a second, as a share of one redis-server's to the same clients. */
const PUBSUB_BOUND = 0.7;
/** Processor time per command beside clients that block, as a share of that without them. */
const BLOCKED_BOUND = 1.03;
const MGET_RATE_BOUND = 1;
const MIB = 2 ** 20;
const KIB = 2 ** 10;
const IDLE_BYTES_MAX = 60 * MIB;
const CLIENT_BYTES_MAX = 20 * KIB;
const VERSION_BOUND = 3;
const UP_MAX_MS = 25_000;
const UP_AGAIN_MAX_MS = 3_000;

/**
 * One line per bound for which there are figures.
 * @returns {{ what: string, bound: string, measured: string, holds: boolean }[]}
 */
export function verdicts({
  throughput = [],
  paced = [],
  blocked = [],
  workers = [],
  tls = [],
  memory = [],
  pubsub = [],
  version,
  up,
}) {
  const lines = [];
  const atMost = (what, measured, bound, show) => {
    lines.push({ what, bound: `≤ ${show(bound)}`, measured: show(measured), holds: measured <= bound });
  };
  const of = (records, endpoint) => records.find((record) => record.endpoint === endpoint);
  const times = (value) => `${value.toFixed(2)} ×`;

  for (const { case: name, command, endpoint, cpuUs, perSecond } of throughput) {
    const service = endpoint === 'forge service';
    const bound = (service ? SERVICE_CPU_BOUNDS : CPU_BOUNDS)[name];
    // Like with like: a Redis Cluster takes one command for each slot, independent servers one for all of their keys.
    if ((!service && endpoint !== (name === 'mget' ? 'forge sharded' : 'forge')) || bound === undefined) continue;
    const peer = of(
      throughput.filter((record) => record.case === name && record.command === command),
      'nutcracker',
    );
    if (!peer) continue;
    const all = service ? ' with users and all statistics' : '';
    const what = name === 'mget' ? `${command} in sharded mode` : `${name} ${command}${all}`;
    atMost(`processor time per command, ${what}, to nutcracker's`, cpuUs / peer.cpuUs, bound, times);
    if (name === 'mget') {
      const rate = perSecond / peer.perSecond;
      lines.push({
        what: `rate of ${what}, to nutcracker's`,
        bound: `≥ ${times(MGET_RATE_BOUND)}`,
        measured: times(rate),
        holds: rate >= MGET_RATE_BOUND,
      });
    }
  }
  const [ours, theirs] = ['forge', 'nutcracker'].map((name) => of(paced, name));
  if (ours && theirs) atMost("p99 of the paced load, to nutcracker's", ours.p99Ms / theirs.p99Ms, P99_BOUND, times);
  const [without, beside] = blocked;
  if (without && beside) {
    atMost(
      `processor time per command beside ${beside.blocked} blocked clients, to that without, p16 get`,
      beside.cpuUs / without.cpuUs,
      BLOCKED_BOUND,
      times,
    );
  }
  const [single, several] = workers;
  if (single && several) {
    atMost('processor time per command of two workers, to one', several.cpuUs / single.cpuUs, WORKERS_BOUND, times);
    const percent = (share) => `${(share * 100).toFixed(0)} %`;
    atMost('connections of a worker, away from an even part, 200 connections', several.spread, SPREAD_BOUND, percent);
  }
  for (const { command, endpoint, cpuUs } of tls) {
    const peer = tls.find((record) => record.command === command && record.endpoint === 'haproxy');
    if (endpoint === 'haproxy' || !peer) continue;
    atMost(`processor time per command, TLS, p1 ${command}, to HAProxy's`, cpuUs / peer.cpuUs, TLS_BOUND, times);
  }
  const own = of(memory, 'forge');
  if (own) {
    atMost(
      'resident when idle, one worker',
      own.idleBytes,
      IDLE_BYTES_MAX,
      (bytes) => `${(bytes / MIB).toFixed(1)} MiB`,
    );
    const kib = (bytes) => `${(bytes / KIB).toFixed(1)} KiB`;
    atMost(`resident more per idle client, ${own.clients} clients`, own.bytesPerClient, CLIENT_BYTES_MAX, kib);
    lines.push({
      what: 'clients connected at once, each answered',
      bound: String(own.manyClients),
      measured: String(own.answered),
      holds: own.answered === own.manyClients,
    });
  }
  for (const { case: name, endpoint, perSecond } of pubsub) {
    const peer = of(
      pubsub.filter((record) => record.case === name),
      'one redis-server',
    );
    if (endpoint !== 'forge' || !peer) continue;
    const share = perSecond / peer.perSecond;
    lines.push({
      what: `deliveries a second to ${peer.subscribers} subscribers, ${name}, to one redis-server's`,
      bound: `≥ ${times(PUBSUB_BOUND)}`,
      measured: times(share),
      holds: share >= PUBSUB_BOUND,
    });
  }
  if (version) atMost("forge --version, to node -e 0's time", version.forgeMs / version.nodeMs, VERSION_BOUND, times);
  const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`;
  if (up) {
    atMost('forge up from nothing: six nodes, cluster, proxy, smoke test', up.firstMs, UP_MAX_MS, seconds);
    atMost('forge up when it is up', up.secondMs, UP_AGAIN_MAX_MS, seconds);
  }
  return lines;
}
