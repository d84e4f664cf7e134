// Latency under a load that every endpoint bears easily.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { medians } from './statistics.js';

const run = promisify(execFile);
const CLIENT = path.join(import.meta.dirname, 'paced-client.js');
const CONNECTIONS = 50;
const WARM_UP_S = 1;
const EXTRA_MS = 30_000;

/** Medians over interleaved rounds of each endpoint's latencies at a constant rate. Throws when commands get lost. */
export async function measurePaced(endpoints, { rounds, ratePerSecond, seconds, log }) {
  const runs = new Map(endpoints.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, port } of endpoints) {
      const request = { port, ratePerSecond, seconds, warmUpSeconds: WARM_UP_S, connections: CONNECTIONS };
      const { stdout } = await run(process.execPath, [CLIENT, JSON.stringify(request)], {
        timeout: (seconds + WARM_UP_S) * 1_000 + EXTRA_MS,
      });
      const result = JSON.parse(stdout);
      if (result.answered !== result.sent || result.errors > 0) {
        throw new Error(`${name}: ${result.sent} sent, ${result.answered} answered, ${result.errors} errors`);
      }
      runs.get(name).push(result);
    }
  }
  return endpoints.map(({ name }) => {
    const record = { endpoint: name, ...medians(runs.get(name)) };
    log(`${ratePerSecond}/s ${name}: p50 ${record.p50Ms} ms, p99 ${record.p99Ms} ms, p99.9 ${record.p999Ms} ms`);
    return record;
  });
}
