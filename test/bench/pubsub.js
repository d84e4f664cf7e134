// Deliveries to many subscribers of one channel: through the proxy, and by one redis-server to the same clients.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { cpuSeconds } from './processes.js';
import { medians } from './statistics.js';

const CLIENT = path.join(import.meta.dirname, 'pubsub-client.js');
const WARM_UP_S = 1;
const EXTRA_MS = 60_000;

/** `window`: messages that are on their way at a time. */
export const PUBSUB_CASES = [
  { name: 'one at a time', window: 1 },
  { name: '16 at a time', window: 16 },
];

/** One run of the load: deliveries per second, and processor time of the endpoint for each. */
async function load(endpoint, { window, subscribers, seconds }) {
  const request = { port: endpoint.port, subscribers, window, seconds, warmUpSeconds: WARM_UP_S };
  const child = spawn(process.execPath, [CLIENT, JSON.stringify(request)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const late = setTimeout(() => child.kill('SIGKILL'), (seconds + WARM_UP_S) * 1_000 + EXTRA_MS);
  let output = '';
  let complaint = '';
  let before;
  let spent;
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line === 'begin') before = cpuSeconds([endpoint.pid]);
    else if (line === 'end') spent = cpuSeconds([endpoint.pid]) - before;
    else complaint += `${line}\n`;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(late);
  if (code !== 0) throw new Error(`${endpoint.name}: the subscribers ended with ${code}: ${complaint}`);
  const { deliveries, perSecond } = JSON.parse(output);
  return { perSecond, cpuUs: (spent * 1e6) / deliveries };
}

/**
 * Medians over interleaved rounds.
 * @param endpoints each with `name`, `port` and `pid`
 * @returns {Promise<object[]>} one record per case and endpoint
 */
export async function measurePubsub(endpoints, { rounds, subscribers, seconds, log }) {
  const records = [];
  for (const { name, window } of PUBSUB_CASES) {
    const runs = new Map(endpoints.map((endpoint) => [endpoint.name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const endpoint of endpoints) {
        runs.get(endpoint.name).push(await load(endpoint, { window, subscribers, seconds }));
      }
    }
    for (const endpoint of endpoints) {
      const record = { case: name, subscribers, endpoint: endpoint.name, ...medians(runs.get(endpoint.name)) };
      records.push(record);
      log(
        `pub/sub, ${name}, ${endpoint.name}: ${Math.round(record.perSecond)} deliveries/s, ${record.cpuUs.toFixed(2)} µs each`,
      );
    }
  }
  return records;
}
