// What clients that wait cost the others: GET in pipelines of 16, without and with clients that block in BLPOP.
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { withRedis } from './endpoints.js';
import { start, stop, until } from './processes.js';
import { medians } from './statistics.js';
import { load, WARM_UP } from './throughput.js';

const CLIENTS = path.join(import.meta.dirname, 'blocked-clients.js');
/** The load, of two seconds of processor time or more: it is counted in steps of 10 ms. */
export const BLOCKED_CASE = { pipeline: 16, clients: 50, requests: 1_600_000 };
export const BLOCKED_ROUNDS = 5;
const COMMAND = 'get';
/** Between clients that come or go and what is measured: buffers are given back, connections are closed. */
const SETTLE_MS = 1_000;

async function blockedAt(nodes) {
  let blocked = 0;
  for (const { port } of nodes) {
    const text = await withRedis(port, (redis) => redis.call('INFO', 'clients'));
    blocked += Number(/blocked_clients:(\d+)/.exec(text)?.[1]);
  }
  return blocked;
}

/**
 * Interleaved rounds, each without and with the blocked clients; these come before and leave after what is measured.
 * @param endpoint a proxy with `name`, `port`, `pid` and `backends`
 * @param nodes its servers, which say how many clients block
 * @returns {Promise<object[]>} two records, `blocked` 0 and `clients`, with medians
 */
export async function measureBlocked(endpoint, nodes, { rounds = BLOCKED_ROUNDS, clients, scale, log }) {
  const one = { ...BLOCKED_CASE, requests: Math.round(BLOCKED_CASE.requests * scale) };
  const child = start(process.execPath, [CLIENTS, String(endpoint.port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const tell = async (words) => {
    child.stdin.write(`${words}\n`);
    if ((await lines.next()).done) throw new Error('the blocked clients ended');
  };
  const settle = async (blocked) => {
    await until(`${blocked} blocked clients at the servers`, async () => (await blockedAt(nodes)) === blocked);
    await sleep(SETTLE_MS);
  };
  const runs = new Map([0, clients].map((blocked) => [blocked, []]));
  try {
    for (const command of ['set', COMMAND]) await load(endpoint, WARM_UP, command);
    // Not counted either: what many connections make once, such as larger tables.
    await tell(`block ${clients}`);
    await settle(clients);
    await load(endpoint, one, COMMAND);
    await tell('leave');
    for (let round = 0; round < rounds; round++) {
      await settle(0);
      runs.get(0).push(await load(endpoint, one, COMMAND));
      await tell(`block ${clients}`);
      await settle(clients);
      runs.get(clients).push(await load(endpoint, one, COMMAND));
      await tell('leave');
    }
    await settle(0);
  } finally {
    await stop(child);
  }
  return [...runs].map(([blocked, measured]) => {
    const record = { endpoint: endpoint.name, blocked, ...medians(measured) };
    const all = measured.map(({ cpuUs }) => cpuUs.toFixed(2)).join(', ');
    log(`p16 get, ${blocked} blocked clients: ${record.cpuUs.toFixed(3)} µs of processor time per command (${all})`);
    return record;
  });
}
