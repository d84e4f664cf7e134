// Two workers beside one: what a command costs, and how evenly connections are spread.
import net from 'node:net';
import { medians } from './statistics.js';
import { load, WARM_UP } from './throughput.js';

export const WORKERS = 2;
export const SPREAD_CONNECTIONS = 200;
const WORKERS_CASE = { pipeline: 16, clients: SPREAD_CONNECTIONS, requests: 800_000 };
const COMMAND = 'get';
const ANSWER_MS = 10_000;

/** The worker that a connection came to: ids go round the workers. */
function workerOf(port, { user, password }) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), ANSWER_MS);
    let text = '';
    socket.setEncoding('latin1');
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      text += chunk;
      const id = /:(\d+)\r\n/.exec(text)?.[1];
      if (id === undefined) return;
      clearTimeout(timer);
      resolve({ socket, worker: (Number(id) - 1) % WORKERS });
    });
    socket.write(`AUTH ${user} ${password}\r\nCLIENT ID\r\n`);
  });
}

async function spread({ port, login }) {
  const connections = await Promise.all(Array.from({ length: SPREAD_CONNECTIONS }, () => workerOf(port, login)));
  const counts = Array(WORKERS).fill(0);
  for (const { socket, worker } of connections) {
    counts[worker]++;
    socket.destroy();
  }
  const even = SPREAD_CONNECTIONS / WORKERS;
  return Math.max(...counts.map((count) => Math.abs(count - even) / even));
}

/**
 * Interleaved rounds of the same load.
 * @param endpoints the proxy with one worker and with two, each with `login`
 * @returns {Promise<object[]>} a record for each, with medians; that of two has `spread`, the largest share by which a
 *   worker had more or fewer connections than an even part
 */
export async function measureWorkers([one, two], { rounds, scale, log }) {
  const size = { ...WORKERS_CASE, requests: Math.round(WORKERS_CASE.requests * scale) };
  const runs = new Map([one, two].map((endpoint) => [endpoint, []]));
  for (const endpoint of runs.keys()) for (const command of ['set', COMMAND]) await load(endpoint, WARM_UP, command);
  const spreads = [];
  for (let round = 0; round < rounds; round++) {
    for (const [endpoint, measured] of runs) measured.push(await load(endpoint, size, COMMAND));
    spreads.push({ spread: await spread(two) });
  }
  return [...runs].map(([endpoint, measured]) => {
    const record = { endpoint: endpoint.name, ...medians(measured), ...(endpoint === two ? medians(spreads) : {}) };
    log(`p16 get, ${endpoint.name}: ${record.cpuUs.toFixed(3)} µs of processor time per command`);
    return record;
  });
}
