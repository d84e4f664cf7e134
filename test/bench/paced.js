// Latency under a load that every endpoint bears easily.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { medians } from './statistics.js';

const run = promisify(execFile);
const CLIENT = path.join(import.meta.dirname, 'paced-client.js');
const CONNECTIONS = 50;
const WARM_UP_S = 1;
/**
 * Not counted: the first seconds of a program whose code is compiled as it runs say nothing about a service that runs
 * for days (p99 3 ms instead of 1.3 ms while its compiler shares two cores with everything else).
 */
const UNCOUNTED_S = 8;
/** p99 is what the scheduler of a small machine makes of it: it differs by half between rounds, so it takes more. */
const MORE_ROUNDS = 4;
const EXTRA_MS = 30_000;

async function load({ name, port }, ratePerSecond, seconds) {
  const request = { port, ratePerSecond, seconds, warmUpSeconds: WARM_UP_S, connections: CONNECTIONS };
  const { stdout } = await run(process.execPath, [CLIENT, JSON.stringify(request)], {
    timeout: (seconds + WARM_UP_S) * 1_000 + EXTRA_MS,
  });
  const result = JSON.parse(stdout);
  if (result.answered !== result.sent || result.errors > 0) {
    throw new Error(`${name}: ${result.sent} sent, ${result.answered} answered, ${result.errors} errors`);
  }
  return result;
}

/** Medians over interleaved rounds of each endpoint's latencies at a constant rate. Throws when commands get lost. */
export async function measurePaced(endpoints, { rounds, ratePerSecond, seconds, log }) {
  const runs = new Map(endpoints.map(({ name }) => [name, []]));
  for (const endpoint of endpoints) await load(endpoint, ratePerSecond, UNCOUNTED_S);
  for (let round = 0; round < rounds + MORE_ROUNDS; round++) {
    for (const endpoint of endpoints) runs.get(endpoint.name).push(await load(endpoint, ratePerSecond, seconds));
  }
  return endpoints.map(({ name }) => {
    const record = { endpoint: name, ...medians(runs.get(name)) };
    log(`${ratePerSecond}/s ${name}: p50 ${record.p50Ms} ms, p99 ${record.p99Ms} ms, p99.9 ${record.p999Ms} ms`);
    return record;
  });
}
