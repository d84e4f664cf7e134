// A server to ask: one that runs already, or one started for the question and stopped after it.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;
const POLL_MS = 50;

/**
 * Calls `ask` with an ioredis connection to `server`: HOST:PORT, or the path (or name on PATH) of a server's
 * executable, started on a free loopback port with an empty temporary folder and further `args`.
 */
export async function withServer(server, ask, args = []) {
  const address = /^(.+):(\d+)$/.exec(server);
  if (address) return withConnection(address[1], Number(address[2]), ask);
  const port = await freePort();
  const folder = mkdtempSync(path.join(tmpdir(), 'forge-server-'));
  const child = spawn(server, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, ...args], {
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => {
    child.once('error', resolve);
    child.once('exit', (code, signal) => resolve(new Error(`it ended with ${signal ?? `status ${code}`}`)));
  });
  try {
    const failure = await Promise.race([ended, listening(port)]);
    if (failure) throw new Error(`${server} did not start: ${failure.message}`);
    return await withConnection('127.0.0.1', port, ask);
  } finally {
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(patience);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withConnection(host, port, ask) {
  const redis = new Redis({ host, port, lazyConnect: true, retryStrategy: null, connectTimeout: START_TIMEOUT_MS });
  redis.on('error', () => {}); // the rejected command says it
  try {
    await redis.connect();
    return await ask(redis);
  } finally {
    redis.disconnect();
  }
}

/** Resolves with nothing when the port answers, with an error when it does not within START_TIMEOUT_MS. */
async function listening(port) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    try {
      return await withConnection('127.0.0.1', port, async (redis) => void (await redis.ping()));
    } catch {
      await sleep(POLL_MS);
    }
  }
  return new Error(`no answer on port ${port} within ${START_TIMEOUT_MS / 1000} s`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The fields of an INFO reply. */
export function parseInfo(text) {
  return Object.fromEntries(
    text
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}
