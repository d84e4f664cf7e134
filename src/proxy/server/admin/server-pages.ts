import { formatListenAddress } from '../../config/listen-address.js';
import type { LaneReport } from '../messages.js';
import { json, text } from './http.js';
import { type AdminState, type Operator, readiness } from './state.js';

/** 200 when the proxy should get new clients. */
export function ready(state: AdminState, operator: Operator): Response {
  const word = readiness(state, operator);
  return text(`${word}\n`, word === 'LIVE' ? 200 : 503);
}

export function serverInfo(state: AdminState, operator: Operator): Response {
  return json({
    version: state.version,
    state: readiness(state, operator),
    uptime_current_epoch: `${Math.floor((performance.now() - state.startedMs) / 1000)}s`,
    process_id: process.pid,
    concurrency: state.workers.count,
    bun_version: Bun.version,
  });
}

/** The configuration without what it should not have said. */
export function configDump({ config }: AdminState): Response {
  const redacted = (key: string, value: unknown) => (key === 'inline' || key === 'sha256' ? '[redacted]' : value);
  return json(JSON.parse(JSON.stringify(config, redacted)));
}

/** `name::address`, as Envoy has it. */
export function listeners(url: URL, { config, listenPort, workers }: AdminState): Response {
  const all = config.listeners.flatMap(({ name, address, additional_addresses: more = [] }) => [
    // Its port may have been chosen by the system.
    { name, address: address.path === undefined ? { ...address, port: listenPort } : address },
    ...more.map((each) => ({ name, address: each.address })),
  ]);
  if (url.searchParams.get('format') === 'json') {
    return json({
      listener_statuses: all.map(({ name, address: { host, port, path } }) => ({
        name,
        local_address:
          path === undefined ? { socket_address: { address: host, port_value: port } } : { pipe: { path } },
        accepting: workers.accepting,
      })),
    });
  }
  return text(all.map(({ name, address }) => `${name}::${formatListenAddress(address)}\n`).join(''));
}

/** Bytes, of the whole process and of the main thread's heap. */
export function memory(): Response {
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage();
  return json({
    total_physical_bytes: rss,
    heap_size: heapTotal,
    allocated: heapUsed,
    external,
    array_buffers: arrayBuffers,
  });
}

export async function clusters(url: URL, state: AdminState): Promise<Response> {
  const lanes = await state.workers.lanes();
  const all = state.config.clusters.map((_, index) => describeCluster(state, index, lanes));
  if (url.searchParams.get('format') === 'json') return json(all.length === 1 ? all[0] : { clusters: all });
  let body = '';
  for (const { name, type, hosts } of all) {
    body += `${name}::type::${type}\n`;
    for (const host of hosts) {
      for (const [key, value] of Object.entries(host)) {
        if (key === 'address') continue;
        body += `${name}::${host.address}::${key}::${Array.isArray(value) ? value.join(' ') : value}\n`;
      }
    }
  }
  return text(body);
}

function describeCluster({ config, topologies, numbers }: AdminState, index: number, lanes: readonly LaneReport[]) {
  const topology = topologies[index];
  const own = lanes.filter(({ cluster }) => cluster === numbers[index]);
  return {
    name: config.clusters[index].name,
    type: config.clusters[index].type,
    last_error: topology.lastError,
    redis_version: topology.facts?.redisVersion ?? '',
    hosts: topology.hosts().map((host) => {
      const { flags = '', ...health } = topology.health?.host(host.address) ?? {};
      return { ...host, ...summary(own, host.address, flags), ...health };
    }),
  };
}

function summary(lanes: readonly LaneReport[], address: string, flags: string) {
  const own = lanes.filter((lane) => lane.address === address);
  const error = own.find((lane) => lane.lastError !== '')?.lastError ?? '';
  const failing = own.some((lane) => lane.state !== 'ready' && lane.failures > 0);
  return {
    cx_active: own.filter((lane) => lane.state === 'ready').length,
    rq_active: own.reduce((sum, lane) => sum + lane.inFlight, 0),
    rq_pending_active: own.reduce((sum, lane) => sum + lane.waiting, 0),
    health_flags: `${failing ? '/failed_connect' : ''}${flags}` || 'healthy',
    ...(error === '' ? {} : { last_error: error }),
  };
}
