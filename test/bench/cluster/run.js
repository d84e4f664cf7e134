#!/usr/bin/env node
// npm run bench:cluster: forge beside redis-cli and valkey-cli, each on a cluster of its own with the same data, in turns.
// Needs the built command line (node scripts/build.js) and nothing else on the machine. Linux only (/proc).
//
//   npm run bench:cluster
//     -- --only PART,...     move, clients, atomic, create
//        --keys N            670,000 when not given
//        --rounds N          3 when not given; figures are medians
//        --rate N            requests a second of the clients; 5,000 when not given
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { canHaveNewerServers, newerServers } from '../../../scripts/newer-servers.js';
import { startForge } from '../endpoints.js';
import { cleanUps, cpuSeconds, stopAll, until } from '../processes.js';
import { median } from '../statistics.js';
import { inspect, startEmpty, startFilled } from './nodes.js';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '..', '..', '..');
const FORGE = [process.execPath, path.join(ROOT, 'bin', 'run.js')];
const PROXY = path.join(ROOT, 'bin', 'forge-proxy');
const PACED_CLIENT = path.join(ROOT, 'test', 'bench', 'paced-client.js');
const PARTS = ['move', 'clients', 'atomic', 'create'];
const TOOL_TIMEOUT_MS = 10 * 60_000;
const SETTLE_MS = 20_000;
const SLOTS = 16_384;
const CLIENTS = 50;
/** Of the clients before and during the move. */
const LOAD_SECONDS = 6;
const WARM_UP_SECONDS = 2;

function readArguments() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: PARTS.join(',') },
      keys: { type: 'string', default: '670000' },
      rounds: { type: 'string', default: '3' },
      rate: { type: 'string', default: '5000' },
    },
  });
  const parts = values.only.split(',');
  const wrong = parts.find((part) => !PARTS.includes(part));
  if (wrong) throw new Error(`--only ${wrong}: take some of ${PARTS.join(', ')}`);
  const whole = (flag) => {
    const value = Number(values[flag]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${flag} must be a whole number above 0`);
    return value;
  };
  return { parts: new Set(parts), keys: whole('keys'), rounds: whole('rounds'), rate: whole('rate') };
}

/** Every operation of forge leaves its journal here, not in the home of whoever measures. */
const environment = (folder) => ({ ...process.env, FORGE_HOME: path.join(folder, 'forge') });

const forgeRebalance = (nodes, method) => [
  ...FORGE,
  ...['cluster', 'rebalance', '--seed', `127.0.0.1:${nodes[0].port}`, '--use-empty-masters', '--threshold', '0'],
  ...['--method', method, '--yes'],
];
const cliRebalance = (cli, nodes, more = []) => [
  ...[cli, '--cluster', 'rebalance', `127.0.0.1:${nodes[0].port}`, '--cluster-use-empty-masters', ...more],
];

/** Runs the tool once on a fresh cluster; gives its time and what it cost, and throws when the result is not right. */
async function timeTool(folder, options, commandFor) {
  const { nodes, stop: stopNodes } = await startFilled(folder, options);
  try {
    return await timed(nodes, folder, options.keys, commandFor(nodes));
  } finally {
    await stopNodes();
  }
}

async function timed(nodes, folder, keys, [command, ...args]) {
  const pids = nodes.map(({ pid }) => pid);
  const cpuBefore = cpuSeconds(pids);
  const started = performance.now();
  await run(command, args, { timeout: TOOL_TIMEOUT_MS, env: environment(folder), maxBuffer: 2 ** 26 });
  const seconds = (performance.now() - started) / 1_000;
  const serverCpuSeconds = cpuSeconds(pids) - cpuBefore;
  let found;
  // valkey-cli and redis-cli return before all nodes have dropped what has moved.
  await until(
    'the cluster is in order',
    async () => {
      found = await inspect(nodes);
      return found.open === 0 && found.slots === SLOTS && (keys === undefined || found.keys === keys);
    },
    { timeoutMs: SETTLE_MS },
  ).catch(() => {
    throw new Error(`${path.basename(command)}: the result is not right: ${JSON.stringify(found)}`);
  });
  const movedSlots = found.slotsOf.at(-1);
  return { seconds, serverCpuSeconds, movedSlots, keysPerSecond: ((keys ?? 0) * movedSlots) / SLOTS / seconds };
}

const summary = (records, field) => median(records.map((record) => record[field]));

function table(title, rows) {
  console.log(`\n${title}`);
  for (const [name, records] of rows) {
    const figures = [
      `${summary(records, 'seconds').toFixed(2).padStart(8)} s`,
      `${Math.round(summary(records, 'keysPerSecond')).toLocaleString('en').padStart(9)} keys/s`,
      `${summary(records, 'serverCpuSeconds').toFixed(2).padStart(6)} s of the servers' processors`,
    ];
    console.log(`  ${name.padEnd(48)}${figures.join('  ')}`);
  }
  const [[, ours], [, theirs]] = rows;
  console.log(`  ${(summary(theirs, 'seconds') / summary(ours, 'seconds')).toFixed(2)} times as fast`);
}

async function compare(title, rounds, contestants) {
  const rows = contestants.map(([name]) => [name, []]);
  for (let round = 0; round < rounds; round++) {
    for (const [index, [, measure]] of contestants.entries()) rows[index][1].push(await measure());
  }
  table(title, rows);
}

async function compareMoves(folder, { keys, rounds }) {
  await compare(`A quarter of the slots, ${keys.toLocaleString('en')} keys of 64 bytes in all, by MIGRATE`, rounds, [
    ['forge cluster rebalance', () => timeTool(folder, { keys }, (nodes) => forgeRebalance(nodes, 'migrate'))],
    ['redis-cli --cluster rebalance', () => timeTool(folder, { keys }, (nodes) => cliRebalance('redis-cli', nodes))],
  ]);
}

async function compareAtomic(folder, { keys, rounds }) {
  if (!canHaveNewerServers()) {
    console.log('\nValkey 9 cannot be had here: its atomic migration is not compared.');
    return;
  }
  const { valkey9: executable, valkey9Cli } = newerServers({ log: console.error });
  const cli = (nodes) => cliRebalance(valkey9Cli, nodes, ['--cluster-use-atomic-slot-migration']);
  await compare('The same on Valkey 9, by its atomic migration', rounds, [
    [
      'forge cluster rebalance',
      () => timeTool(folder, { keys, executable }, (nodes) => forgeRebalance(nodes, 'atomic')),
    ],
    ['valkey-cli --cluster-use-atomic-slot-migration', () => timeTool(folder, { keys, executable }, cli)],
  ]);
}

async function compareCreate(folder, { rounds }) {
  const measure = async (commandFor) => {
    const { nodes, stop: stopNodes } = await startEmpty(folder, 6);
    try {
      return await timed(nodes, folder, undefined, commandFor(nodes.map(({ port }) => `127.0.0.1:${port}`)));
    } finally {
      await stopNodes();
    }
  };
  const forge = (nodes) => [...FORGE, 'init-cluster', nodes.join(','), '--replicas-per-master', '1', '--yes'];
  const cli = (nodes) => ['redis-cli', '--cluster', 'create', ...nodes, '--cluster-replicas', '1', '--cluster-yes'];
  const rows = [
    ['forge init-cluster', []],
    ['redis-cli --cluster create', []],
  ];
  for (let round = 0; round < rounds; round++) {
    rows[0][1].push(await measure(forge));
    rows[1][1].push(await measure(cli));
  }
  console.log('\nThree masters and three replicas from empty nodes');
  for (const [name, records] of rows) console.log(`  ${name.padEnd(48)}${summary(records, 'seconds').toFixed(2)} s`);
}

/** Clients of the proxy, before and while a quarter of the slots moves; medians, as one p99 differs much from the next. */
async function measureClients(folder, { keys, rate, rounds }) {
  console.log(`\nClients of the proxy at ${rate.toLocaleString('en')} requests a second`);
  const rows = [
    ['forge cluster rebalance', (nodes) => forgeRebalance(nodes, 'migrate'), []],
    ['redis-cli --cluster rebalance', (nodes) => cliRebalance('redis-cli', nodes), []],
  ];
  for (let round = 0; round < rounds; round++) {
    for (const [, commandFor, records] of rows) records.push(await whileMoving(folder, { keys, rate }, commandFor));
  }
  for (const [name, , records] of rows) {
    const total = (field) => records.reduce((sum, record) => sum + record[field], 0);
    console.log(
      `  ${name.padEnd(34)}moved in ${summary(records, 'seconds').toFixed(2)} s  p99 ${summary(records, 'quietMs').toFixed(2)} ms ` +
        `before, ${summary(records, 'busyMs').toFixed(2)} ms while moving (${summary(records, 'times').toFixed(2)} times: ` +
        `${records.map(({ times }) => times.toFixed(1)).join(', ')})  ${total('errors')} errors, ${total('lost')} without an answer`,
    );
  }
}

async function whileMoving(folder, { keys, rate }, commandFor) {
  const { nodes, stop: stopNodes } = await startFilled(folder, { keys });
  const proxy = await startForge(PROXY, nodes.slice(0, -1), folder);
  try {
    const quiet = await load(proxy.port, rate);
    const moving = load(proxy.port, rate);
    await new Promise((resolve) => setTimeout(resolve, WARM_UP_SECONDS * 1_000));
    const { seconds } = await timed(nodes, folder, undefined, commandFor(nodes));
    const busy = await moving;
    return {
      seconds,
      quietMs: quiet.p99Ms,
      busyMs: busy.p99Ms,
      times: busy.p99Ms / quiet.p99Ms,
      errors: busy.errors,
      lost: busy.sent - busy.answered,
    };
  } finally {
    await proxy.stop();
    await stopNodes();
  }
}

async function load(port, ratePerSecond) {
  const seconds = LOAD_SECONDS;
  const request = { port, ratePerSecond, seconds, warmUpSeconds: WARM_UP_SECONDS, connections: CLIENTS };
  const { stdout } = await run(process.execPath, [PACED_CLIENT, JSON.stringify(request)], { timeout: TOOL_TIMEOUT_MS });
  return JSON.parse(stdout);
}

const options = readArguments();
const folder = mkdtempSync(path.join(os.tmpdir(), 'forge-bench-cluster-'));
cleanUps.add(() => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void stopAll().finally(() => process.exit(130)));
try {
  console.log(`${os.cpus().length} cores, load ${os.loadavg()[0].toFixed(1)} before the start`);
  if (options.parts.has('create')) await compareCreate(folder, options);
  if (options.parts.has('move')) await compareMoves(folder, options);
  if (options.parts.has('clients')) await measureClients(folder, options);
  if (options.parts.has('atomic')) await compareAtomic(folder, options);
} catch (error) {
  console.error(`bench:cluster: ${error.stderr || error.message}`);
  process.exitCode = 1;
} finally {
  await stopAll();
}
