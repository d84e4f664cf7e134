#!/usr/bin/env node
// @ts-check
// Whether reading the map of a large cluster is seen by its clients: latency under a paced load with a map of 100 masters
// (4 ranges and 2 replicas each) that is read once a second, beside one that is read once an hour.
//
//   node test/bench/topology.js [--rounds 5] [--rate 4000] [--seconds 8]
//
// The map is told by a scripted node. Its 100 masters are 100 addresses (127.0.0.x) of three real servers.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { withRedis } from './endpoints.js';
import { measurePaced } from './paced.js';
import { cpuSeconds, freePort, start, stopAll, until } from './processes.js';

const MASTERS = 100;
const RANGES_PER_MASTER = 4;
const REPLICAS = 2;
const SLOTS = 16_384;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    rate: { type: 'string', default: '4000' },
    seconds: { type: 'string', default: '8' },
  },
});

const bulk = (text) => `$${text.length}\r\n${text}\r\n`;

/** CLUSTER SLOTS as a node of such a cluster says it. */
function slotMap(ports) {
  const count = MASTERS * RANGES_PER_MASTER;
  const node = (number, replica) => {
    const host = `127.0.${replica}.${1 + Math.floor(number / ports.length)}`;
    const id = `${replica}${String(number).padStart(39, '0')}`;
    return `*4\r\n${bulk(host)}:${ports[number % ports.length]}\r\n${bulk(id)}*0\r\n`;
  };
  let text = `*${count}\r\n`;
  for (let i = 0; i < count; i++) {
    const [first, end] = [Math.floor((i * SLOTS) / count), Math.floor(((i + 1) * SLOTS) / count)];
    text += `*${3 + REPLICAS}\r\n:${first}\r\n:${end - 1}\r\n`;
    for (let replica = 0; replica <= REPLICAS; replica++) text += node(i % MASTERS, replica);
  }
  return text;
}

/** Answers every CLUSTER SLOTS, in a thread of its own. */
function startSeed(port, map) {
  const code = `
    const net = require('node:net');
    const { workerData: { port, map } } = require('node:worker_threads');
    net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => socket.write(/SLOTS/.test(chunk) ? map : '-ERR not here\\r\\n'));
    }).listen(port, '127.0.0.1');`;
  return new Worker(code, { eval: true, workerData: { port, map } });
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'forge-topology-'));
let seed;
try {
  const ports = [];
  for (let i = 0; i < 3; i++) {
    const port = await freePort();
    const child = start('redis-server', [
      ...['--port', String(port), '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', '', '--dir', folder],
    ]);
    await until(`port ${port}`, () => withRedis(port, (redis) => redis.ping()), { child });
    ports.push(port);
  }
  const map = slotMap(ports);
  const seedPort = await freePort();
  seed = startSeed(seedPort, map);
  const reachable = () =>
    new Promise((resolve) => {
      const socket = net.connect(seedPort, '127.0.0.1');
      socket.on('error', () => resolve(false));
      socket.on('connect', () => {
        socket.destroy();
        resolve(true);
      });
    });
  await until('the scripted node', reachable);
  const program = process.env['FORGE_PROXY_BIN'] ?? path.join(import.meta.dirname, '../../bin/forge-proxy');
  const endpoints = [];
  for (const rate of ['1h', '1s']) {
    const [port, admin] = [await freePort(), await freePort()];
    const file = path.join(folder, `proxy-${rate}.yaml`);
    writeFileSync(
      file,
      JSON.stringify({
        admin: { address: `127.0.0.1:${admin}` },
        listeners: [{ address: `127.0.0.1:${port}`, cluster: 'main' }],
        clusters: [{ name: 'main', endpoints: [`127.0.0.1:${seedPort}`], cluster_refresh_rate: rate }],
        workers: 1,
        log_level: 'error',
      }),
    );
    const child = start(program, ['--config', file]);
    await until('the proxy', async () => (await fetch(`http://127.0.0.1:${admin}/ready`)).status === 200, { child });
    endpoints.push({ name: `read every ${rate}`, port, pid: child.pid, admin });
  }
  console.log(`a map of ${MASTERS} masters: ${map.length} bytes`);
  const idle = endpoints.map(({ pid }) => cpuSeconds([pid]));
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  for (const [i, { name, pid }] of endpoints.entries()) {
    console.log(
      `${name}, idle: ${(((cpuSeconds([pid]) - idle[i]) / 20) * 1000).toFixed(1)} ms of processor time a second`,
    );
  }
  await measurePaced(endpoints, {
    rounds: Number(flags.rounds),
    ratePerSecond: Number(flags.rate),
    seconds: Number(flags.seconds),
    log: (line) => console.log(line),
  });
  for (const { name, admin } of endpoints) {
    const page = await (await fetch(`http://127.0.0.1:${admin}/stats?filter=update_success`)).text();
    console.log(`${name}: ${page.trim()}`);
  }
} finally {
  await seed?.terminate();
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
