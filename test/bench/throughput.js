// As fast as it goes: redis-benchmark against every endpoint, and the processor time that each command costs there.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { cpuSeconds } from './processes.js';
import { medians } from './statistics.js';

const run = promisify(execFile);
const RUN_TIMEOUT_MS = 300_000;
const REQUESTS_MIN = 2_000;
/** Not counted: a service runs for days, its first second says nothing about it. */
export const WARM_UP = { pipeline: 1, clients: 50, requests: 250_000 };

/**
 * Requests are so many that each run takes a second or more: processor time is counted in steps of 10 ms. Without a
 * pipeline nearly all of it is the kernel's, which depends on who wakes whom: there the median is of more rounds.
 */
export const CASES = [
  { name: 'p1', pipeline: 1, clients: 50, requests: 200_000, moreRounds: 4 },
  { name: 'p1c500', pipeline: 1, clients: 500, requests: 100_000 },
  { name: 'p16', pipeline: 16, clients: 50, requests: 800_000 },
  { name: 'p100', pipeline: 100, clients: 20, requests: 1_500_000 },
  { name: 'mget', pipeline: 1, clients: 8, requests: 8_000, commands: ['mget of 1,000 keys'] },
];
export const COMMANDS = ['set', 'get'];
const MGET_KEYS = 1_000;

export async function load(endpoint, { pipeline, clients, requests }, command) {
  const own = endpoint.pid === undefined ? [] : [endpoint.pid];
  const before = { own: cpuSeconds(own), backends: cpuSeconds(endpoint.backends) };
  const args = [
    ...['-h', '127.0.0.1', '-p', endpoint.port, '-P', pipeline, '-c', clients, '-n', requests],
    ...['-r', 100_000, '-d', 64, '--csv'],
    ...(endpoint.cluster ? ['--cluster'] : []),
    ...(endpoint.tls ? ['--tls', '--cacert', endpoint.tls.ca] : []),
    ...(endpoint.login ? ['--user', endpoint.login.user, '-a', endpoint.login.password] : []),
    ...(command.startsWith('mget') ? ['MGET', ...Array(MGET_KEYS).fill('key:__rand_int__')] : ['-t', command]),
  ];
  const { stdout } = await run('redis-benchmark', args.map(String), { timeout: RUN_TIMEOUT_MS });
  const perCommand = (from, pids) => (pids.length === 0 ? undefined : ((cpuSeconds(pids) - from) * 1e6) / requests);
  const cells = stdout
    .trim()
    .split('\n')
    .at(-1)
    .split(',')
    .slice(-7)
    .map((cell) => cell.replace(/^"|"$/g, ''));
  if (cells.length < 7 || !(Number(cells[0]) > 0)) {
    throw new Error(`redis-benchmark gave no figure for ${command} on ${endpoint.name}:\n${stdout}`);
  }
  // rps, average, min, p50, p95, p99, max: latencies in milliseconds
  return {
    perSecond: Number(cells[0]),
    p50Ms: Number(cells[3]),
    p99Ms: Number(cells[5]),
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
    for (const command of one.commands ?? COMMANDS) {
      // A client that knows the cluster would have to split an MGET itself.
      const tested = endpoints.filter(
        ({ cluster, cases }) => !(cluster && one.commands) && (cases === undefined || cases.includes(one.name)),
      );
      const runs = new Map(tested.map(({ name }) => [name, []]));
      for (let round = 0; round < rounds + (one.moreRounds ?? 0); round++) {
        for (const endpoint of tested) {
          runs.get(endpoint.name).push(await load(endpoint, { ...one, requests }, command));
        }
      }
      for (const { name } of tested) {
        const record = { case: one.name, command, endpoint: name, ...medians(runs.get(name)) };
        records.push(record);
        const cpu = record.cpuUs === undefined ? '' : `, ${record.cpuUs.toFixed(2)} µs of processor time per command`;
        log(`${one.name} ${command} ${name}: ${Math.round(record.perSecond)}/s, p99 ${record.p99Ms} ms${cpu}`);
      }
    }
  }
  return records;
}
