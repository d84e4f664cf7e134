import { COMMANDS } from '../commands/table.generated.js';
import type { Core } from '../core/core.js';
import { Histogram } from '../observe/histogram.js';
import { Counter, commandStatAt, commandTimesAt, downstreamTimesAt, upstreamTimesAt } from '../stats.js';

/** `INFO proxy`: the proxy itself, over all workers. Times are those of docs/statistics.md, in microseconds. */
export function infoProxy(core: Core, shards: number, answered: number): [string, string | number][] {
  const { settings } = core;
  const uptime = Math.floor((core.nowMs - core.startedMs) / 1000);
  return [
    ['proxy_version', settings.version],
    ['proxy_uptime_in_seconds', uptime],
    ['proxy_process_id', settings.processId],
    ['proxy_workers', settings.workers],
    ['proxy_worker', settings.worker],
    ['proxy_connected_clients', core.total(Counter.downstream_cx_active)],
    ['proxy_total_connections_received', core.total(Counter.downstream_cx_total)],
    ['proxy_commands_processed', core.total(Counter.downstream_rq_total)],
    ['proxy_instantaneous_ops_per_sec', core.observer.commandsPerSecond],
    ['proxy_slow_commands', core.total(Counter.downstream_rq_slow)],
    ['proxy_used_memory_rss', core.runtime.residentBytes?.() ?? 0],
    ['proxy_clusters', core.routers.length],
    ['proxy_shards', shards],
    ['proxy_shards_not_answering', shards - answered],
    ['proxy_latency_percentiles_usec', percentiles(downstreamTimes(core))],
    ['proxy_upstream_latency_percentiles_usec', percentiles(upstreamTimes(core))],
  ];
}

/** In Redis's form. */
function percentiles(times: Histogram): string {
  return [50, 99, 99.9].map((percent) => `p${percent}=${(times.quantile(percent / 100) || 0).toFixed(3)}`).join(',');
}

function downstreamTimes({ allStats, catalog }: Core): Histogram {
  const times = new Histogram();
  for (const stats of allStats) {
    times.add(stats, downstreamTimesAt(COMMANDS.length));
    for (let id = 0; id < catalog.entries.length; id++) {
      // What was never written is not looked at: it takes no memory.
      if (stats[commandStatAt(id)] > 0) times.add(stats, commandTimesAt(COMMANDS.length, id));
    }
  }
  return times;
}

function upstreamTimes({ allStats, routers }: Core): Histogram {
  const times = new Histogram();
  for (const stats of allStats) {
    for (const { index } of routers) times.add(stats, upstreamTimesAt(COMMANDS.length, index));
  }
  return times;
}
