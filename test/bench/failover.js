#!/usr/bin/env node
// @ts-check
// How long a client is without its master, through the proxy and with a client that knows the cluster itself (ioredis),
// both in the same failovers: from `kill -9` of the master, and from CLUSTER FAILOVER, to the first write that succeeds.
//
//   node test/bench/failover.js [--runs 5] [--health-checks]
//
// Needs redis-server, redis-cli and bin/forge-proxy (or FORGE_PROXY_BIN). Prints one line a run and the medians.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { freePort, start, stop, stopAll, until } from './processes.js';
import { median } from './statistics.js';

const run = promisify(execFile);
const MASTERS = 3;
const NODE_TIMEOUT_MS = 2_000;
const SETTLE_MS = 30_000;
/** Between two writes of one client. */
const PACE_MS = 2;
const GIVE_UP_MS = 30_000;

const { values: flags } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, 'health-checks': { type: 'boolean', default: false } },
});

const folder = mkdtempSync(path.join(os.tmpdir(), 'forge-failover-'));
const nodes = new Map();

async function startNode(port) {
  const dir = path.join(folder, String(port));
  mkdirSync(dir, { recursive: true });
  const child = start('redis-server', [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--appendonly', 'no'],
    ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT_MS)],
    ...['--repl-diskless-sync-delay', '0'],
  ]);
  await until(`redis-server on port ${port}`, async () => (await ask(port, 'PING')) === 'PONG', { child });
  nodes.set(port, child);
}

async function ask(port, ...args) {
  const redis = new Redis({ port, lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return await redis.call(args[0], ...args.slice(1));
  } finally {
    redis.disconnect();
  }
}

/** The port of the master that serves the slot, and of a replica of it that is in sync. */
async function shardOf(slot) {
  for (const port of nodes.keys()) {
    const slots = await ask(port, 'CLUSTER', 'SLOTS').catch(() => []);
    const range = slots.find(([first, last]) => first <= slot && slot <= last);
    if (range !== undefined && range.length > 3) return { master: range[2][1], replica: range[3][1] };
  }
  return undefined;
}

async function whole() {
  await until(
    'the cluster is whole',
    async () => {
      for (const port of nodes.keys()) {
        const info = await ask(port, 'CLUSTER', 'INFO');
        if (!info.includes('cluster_state:ok') || !info.includes('cluster_slots_ok:16384')) return false;
        const replication = await ask(port, 'INFO', 'replication');
        if (replication.includes('role:slave') && !replication.includes('master_link_status:up')) return false;
      }
      return true;
    },
    { timeoutMs: SETTLE_MS },
  );
  await sleep(1_000);
}

/** Writes again and again; `since(ms)` resolves with the time of the first write that began and succeeded after it. */
function writer(client, key) {
  let on = true;
  const successes = [];
  const errors = [];
  const loop = (async () => {
    for (let i = 0; on; i++) {
      const beganMs = performance.now();
      try {
        await client.set(key, String(i));
        successes.push({ beganMs, endedMs: performance.now() });
      } catch (error) {
        errors.push(/** @type {Error} */ (error).message);
      }
      await sleep(PACE_MS);
    }
  })();
  return {
    errors,
    async since(fromMs) {
      const found = await until('a write succeeds', () => successes.find(({ endedMs }) => endedMs > fromMs + 1), {
        timeoutMs: GIVE_UP_MS,
      });
      return found.endedMs - fromMs;
    },
    async stop() {
      on = false;
      await loop;
    },
    /** The longest time without a success after `fromMs`: what the client felt. */
    gapAfter(fromMs) {
      let longest = 0;
      let last = fromMs;
      for (const { endedMs } of successes) {
        if (endedMs < fromMs) continue;
        longest = Math.max(longest, endedMs - last);
        last = endedMs;
      }
      return longest;
    },
  };
}

async function measure(event, proxyPort) {
  const key = `failover:${Math.floor(Math.random() * 1e9)}`;
  const slot = Number(await ask([...nodes.keys()][0], 'CLUSTER', 'KEYSLOT', key));
  const { master, replica } = await until('the shard is known', () => shardOf(slot));
  const direct = new Cluster([...nodes.keys()].map((port) => ({ host: '127.0.0.1', port })));
  const proxied = new Redis({ port: proxyPort });
  direct.on('error', () => {});
  proxied.on('error', () => {});
  const writers = [writer(direct, key), writer(proxied, key)];
  await sleep(500);
  const atMs = performance.now();
  if (event === 'kill -9') nodes.get(master).kill('SIGKILL');
  else await ask(replica, 'CLUSTER', 'FAILOVER');
  // A planned failover takes a moment: until it has happened, writes go on.
  const isMaster = async () => (await ask(replica, 'ROLE'))[0] === 'master';
  await until('the replica is promoted', isMaster, { timeoutMs: SETTLE_MS });
  await sleep(3_000);
  await Promise.all(writers.map((each) => each.since(performance.now() - 1_000)));
  await Promise.all(writers.map((each) => each.stop()));
  direct.disconnect();
  proxied.disconnect();
  if (event === 'kill -9') {
    await nodes.get(master).ended;
    await startNode(master);
  }
  await whole();
  const [directMs, proxyMs] = writers.map((each) => each.gapAfter(atMs));
  return { directMs, proxyMs, directErrors: writers[0].errors.length, proxyErrors: writers[1].errors.length };
}

try {
  const ports = [];
  for (let i = 0; i < MASTERS * 2; i++) {
    const port = await freePort();
    ports.push(port);
    await startNode(port);
  }
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  await run('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes']);
  await whole();
  const [port, admin] = [await freePort(), await freePort()];
  const file = path.join(folder, 'proxy.yaml');
  const checks = flags['health-checks'] ? [{ timeout: '300ms', interval: '500ms' }] : [];
  writeFileSync(
    file,
    JSON.stringify({
      admin: { address: `127.0.0.1:${admin}` },
      listeners: [{ address: `127.0.0.1:${port}`, cluster: 'main' }],
      clusters: [{ name: 'main', endpoints: addresses, health_checks: checks, settings: { op_timeout: '15s' } }],
      workers: 1,
      log_level: 'error',
    }),
  );
  const program = process.env['FORGE_PROXY_BIN'] ?? path.join(import.meta.dirname, '../../bin/forge-proxy');
  const child = start(program, ['--config', file]);
  await until('the proxy', async () => (await fetch(`http://127.0.0.1:${admin}/ready`)).status === 200, { child });
  for (const event of ['kill -9', 'CLUSTER FAILOVER']) {
    const results = [];
    for (let i = 0; i < Number(flags.runs); i++) {
      const result = await measure(event, port);
      results.push(result);
      console.log(
        `${event}: without a write for ${result.directMs.toFixed(0)} ms direct (${result.directErrors} errors), ` +
          `${result.proxyMs.toFixed(0)} ms through the proxy (${result.proxyErrors} errors)`,
      );
    }
    const of = (name) => median(results.map((result) => result[name])).toFixed(0);
    console.log(`${event}, median: ${of('directMs')} ms direct, ${of('proxyMs')} ms through the proxy`);
  }
  await stop(child);
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
