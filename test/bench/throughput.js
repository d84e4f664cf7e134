// As fast as it goes: redis-benchmark against every endpoint, and the processor time that each command costs there.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { cpuSeconds } from './processes.js';
import { medians } from './statistics.js';

const run = promisify(execFile);
const RUN_TIMEOUT_MS = 300_000;
const REQUESTS_MIN = 2_000;
/** Not counted: a service runs for days, its first second says nothing about it. */
const WARM_UP = { pipeline: 1, clients: 50, requests: 250_000 };

/** Requests are so many that each run takes a second or more: processor time is counted in steps of 10 ms. */
export const CASES = [
  { name: 'p1', pipeline: 1, clients: 50, requests: 200_000 },
  { name: 'p1c500', pipeline: 1, clients: 500, requests: 100_000 },
  { name: 'p16', pipeline: 16, clients: 50, requests: 800_000 },
  { name: 'p100', pipeline: 100, clients: 20, requests: 1_500_000 },
];
export const COMMANDS = ['set', 'get'];

async function load(endpoint, { pipeline, clients, requests }, command) {
  const own = endpoint.pid === undefined ? [] : [endpoint.pid];
  const before = { own: cpuSeconds(own), backends: cpuSeconds(endpoint.backends) };
  const args = [
    ...['-h', '127.0.0.1', '-p', endpoint.port, '-P', pipeline, '-c', clients, '-n', requests],
    ...['-r', 100_000, '-d', 64, '-t', command, '--csv'],
    ...(endpoint.cluster ? ['--cluster'] : []),
  ];
  const { stdout } = await run('redis-benchmark', args.map(String), { timeout: RUN_TIMEOUT_MS });
  const perCommand = (from, pids) => (pids.length === 0 ? undefined : ((cpuSeconds(pids) - from) * 1e6) / requests);
  const cells = stdout
    .split('\n')
    .map((line) =>
      line
        .trim()
        .split(',')
        .map((cell) => cell.replace(/^"|"$/g, '')),
    )
    .find(([name]) => name?.toLowerCase() === command);
  if (!cells) throw new Error(`redis-benchmark gave no figure for ${command} on ${endpoint.name}:\n${stdout}`);
  // test, rps, average, min, p50, p95, p99, max: latencies in milliseconds
  return {
    perSecond: Number(cells[1]),
    p50Ms: Number(cells[4]),
    p99Ms: Number(cells[6]),
    cpuUs: perCommand(before.own, own),
    backendUs: perCommand(before.backends, endpoint.backends),
  };
}

/**
 * Medians over interleaved rounds, so that a drift of the machine hits every endpoint alike.
 * @returns {Promise<object[]>} one record per case, command and endpoint
 */
export async function measureThroughput(endpoints, { rounds, scale, only, log }) {
  const records = [];
  for (const endpoint of endpoints) for (const command of COMMANDS) await load(endpoint, WARM_UP, command);
  for (const one of CASES.filter(({ name }) => only.size === 0 || only.has(name))) {
    const requests = Math.max(REQUESTS_MIN, Math.round(one.requests * scale));
    for (const command of COMMANDS) {
      const runs = new Map(endpoints.map(({ name }) => [name, []]));
      for (let round = 0; round < rounds; round++) {
        for (const endpoint of endpoints) {
          runs.get(endpoint.name).push(await load(endpoint, { ...one, requests }, command));
        }
      }
      for (const { name } of endpoints) {
        const record = { case: one.name, command, endpoint: name, ...medians(runs.get(name)) };
        records.push(record);
        const cpu = record.cpuUs === undefined ? '' : `, ${record.cpuUs.toFixed(2)} µs of processor time per command`;
        log(`${one.name} ${command} ${name}: ${Math.round(record.perSecond)}/s, p99 ${record.p99Ms} ms${cpu}`);
      }
    }
  }
  return records;
}
