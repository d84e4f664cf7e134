// Resident memory: idle, per idle client, and whether ten thousand clients at once are served.
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes, start, stop } from './processes.js';

const CLIENTS = path.join(import.meta.dirname, 'idle-clients.js');
/** Until memory that is no longer needed may have been given back. */
const SETTLE_MS = 3_000;

/**
 * Measures a fresh instance of one endpoint.
 * @param {{ pid: number, port: number }} endpoint just started, without load so far
 */
export async function measureMemory(endpoint, { some, many, log }) {
  await sleep(SETTLE_MS);
  const idleBytes = residentBytes(endpoint.pid);
  const child = start(process.execPath, [CLIENTS, String(endpoint.port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const tell = async (words) => {
    child.stdin.write(`${words}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('the clients ended');
    return JSON.parse(value);
  };
  try {
    const first = await tell(`open ${some}`);
    await sleep(SETTLE_MS);
    const someBytes = residentBytes(endpoint.pid);
    const second = await tell(`open ${many - some}`);
    const { answered } = await tell('check');
    await sleep(SETTLE_MS);
    const manyBytes = residentBytes(endpoint.pid);
    const record = {
      endpoint: endpoint.name,
      idleBytes,
      clients: first.open,
      bytesPerClient: (someBytes - idleBytes) / first.open,
      manyClients: many,
      connected: second.open,
      answered,
      manyBytes,
    };
    log(
      `memory ${endpoint.name}: idle ${(idleBytes / 2 ** 20).toFixed(1)} MiB, ${(record.bytesPerClient / 2 ** 10).toFixed(1)} KiB per ` +
        `client at ${first.open}, ${answered} of ${many} clients served with ${(manyBytes / 2 ** 20).toFixed(1)} MiB`,
    );
    return record;
  } finally {
    await stop(child);
  }
}
