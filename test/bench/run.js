#!/usr/bin/env node
// npm run bench: the proxy beside nutcracker and a direct connection, in one run. Linux only (/proc).
//
//   npm run bench                          everything; writes docs/benchmarks.md
//   npm run bench -- --quick               a short run that shows that it works; writes nothing
//     --only PART,...                      throughput, paced, blocked, workers, tls, memory, pubsub, version, up
//     --case CASE,...                      p1, p1c500, p16, p100
//     --rounds N   --scale F               rounds; a factor on the number of requests
//     --endpoint NAME=PORT[:PID]           one more endpoint, started by somebody else (may be repeated)
//     --json FILE   --out FILE             the raw figures; another place for the document
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { measureBlocked } from './blocked.js';
import {
  direct,
  foreign,
  single,
  startCluster,
  startForge,
  startForgeService,
  startForgeSharded,
  startNutcracker,
  startServers,
} from './endpoints.js';
import { describeMachine } from './machine.js';
import { measureMemory } from './memory.js';
import { measurePaced } from './paced.js';
import { cleanUps, stopAll } from './processes.js';
import { measurePubsub } from './pubsub.js';
import { renderReport } from './report.js';
import { measureUp, measureVersion } from './startup.js';
import { CASES, measureThroughput } from './throughput.js';
import { makeCertificate, measureTls, startHaproxy } from './tls.js';
import { verdicts } from './verdicts.js';
import { measureWorkers, WORKERS } from './workers.js';

const ROOT = path.resolve(import.meta.dirname, '..', '..');
const PARTS = ['throughput', 'paced', 'blocked', 'workers', 'tls', 'memory', 'pubsub', 'version', 'up'];
const FULL = { rounds: 3, scale: 1, pacedSeconds: 5, pubsubSeconds: 5, blockedRounds: 5, versionRounds: 21 };
const QUICK = { rounds: 1, scale: 0.3, pacedSeconds: 2, pubsubSeconds: 2, blockedRounds: 1, versionRounds: 3 };
const PACED_PER_SECOND = 10_000;
const SOME_CLIENTS = 5_000;
const MANY_CLIENTS = 10_000;
const SUBSCRIBERS = 1_000;
const BLOCKED_CLIENTS = 1_000;

const log = (line) => console.error(line);

function readArguments() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      case: { type: 'string', default: '' },
      rounds: { type: 'string' },
      scale: { type: 'string' },
      endpoint: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      out: { type: 'string' },
    },
  });
  const list = (text, known, flag) => {
    const words = text.split(',').filter(Boolean);
    const wrong = words.find((word) => !known.includes(word));
    if (wrong) throw new Error(`--${flag} ${wrong}: take some of ${known.join(', ')}`);
    return new Set(words);
  };
  const size = values.quick ? QUICK : FULL;
  const positive = (flag, fallback) => {
    const value = Number(values[flag] ?? fallback);
    if (!(value > 0)) throw new Error(`--${flag} must be a number above 0`);
    return value;
  };
  const parts = list(values.only, PARTS, 'only');
  return {
    ...size,
    parts: parts.size > 0 ? parts : new Set(PARTS),
    cases: list(
      values.case,
      CASES.map(({ name }) => name),
      'case',
    ),
    rounds: Math.ceil(positive('rounds', size.rounds)),
    blockedRounds: Math.ceil(positive('rounds', size.blockedRounds)),
    scale: positive('scale', size.scale),
    foreign: values.endpoint.map(foreign),
    json: values.json,
    out:
      values.out ??
      (values.quick || parts.size > 0 || values.case ? undefined : path.join(ROOT, 'docs', 'benchmarks.md')),
  };
}

async function main() {
  const options = readArguments();
  const proxy = path.join(ROOT, 'bin', 'forge-proxy');
  const forge = path.join(ROOT, 'bin', 'run.js');
  for (const [file, how] of [
    [proxy, 'node scripts/build.js --proxy'],
    [path.join(ROOT, 'dist'), 'node scripts/build.js --cli'],
  ]) {
    if (!existsSync(file)) throw new Error(`${path.relative(ROOT, file)} is not built: ${how}`);
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), 'forge-bench-'));
  cleanUps.add(() => rmSync(folder, { recursive: true, force: true }));
  try {
    const results = await measure(options, { proxy, forge, folder });
    const document = renderReport(results, {
      machine: describeMachine(proxy),
      command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
      rounds: options.rounds,
      date: new Date().toISOString().slice(0, 10),
      paced: { ratePerSecond: PACED_PER_SECOND, seconds: options.pacedSeconds },
    });
    if (options.json) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
    if (options.out) writeFileSync(options.out, document);
    console.log(options.out ? `Written to ${path.relative(process.cwd(), options.out)}` : document);
    for (const { what, bound, measured } of verdicts(results).filter(({ holds }) => !holds)) {
      console.log(`missed: ${what}: ${measured}, bound ${bound}`);
    }
  } finally {
    await stopAll();
  }
}

async function measure(options, { proxy, forge, folder }) {
  const { parts, rounds } = options;
  const results = {};
  // Before anything else runs on the machine.
  if (parts.has('version')) results.version = measureVersion(forge, { rounds: options.versionRounds, log });
  if (parts.has('up')) results.up = await measureUp(forge, folder, { log });
  if (!['throughput', 'paced', 'blocked', 'workers', 'tls', 'memory', 'pubsub'].some((part) => parts.has(part)))
    return results;

  const nodes = await startCluster(folder);
  const servers = await startServers(folder);
  if (parts.has('memory')) {
    results.memory = [];
    for (const begin of [() => startForge(proxy, nodes, folder), () => startNutcracker(servers, folder)]) {
      const fresh = await begin();
      results.memory.push(await measureMemory(fresh, { some: SOME_CLIENTS, many: MANY_CLIENTS, log }));
      await fresh.stop();
    }
  }
  const proxies = [await startForge(proxy, nodes, folder), await startNutcracker(servers, folder), ...options.foreign];
  if (parts.has('throughput')) {
    const { scale, cases } = options;
    const service = await startForgeService(proxy, nodes, folder, { cases: ['p1', 'p16', 'p100'] });
    const all = [...proxies, service, await startForgeSharded(proxy, servers, folder), direct(nodes)];
    results.throughput = await measureThroughput(all, { rounds, scale, only: cases, log });
  }
  if (parts.has('paced')) {
    const paced = { rounds, ratePerSecond: PACED_PER_SECOND, seconds: options.pacedSeconds, log };
    results.paced = await measurePaced([...proxies, single(servers[0])], paced);
  }
  if (parts.has('blocked')) {
    const how = { rounds: options.blockedRounds, clients: BLOCKED_CLIENTS, scale: options.scale, log };
    results.blocked = await measureBlocked(proxies[0], nodes, how);
  }
  if (parts.has('workers')) {
    const both = [];
    for (const workers of [1, WORKERS]) {
      const name = `${workers} worker${workers === 1 ? '' : 's'}`;
      both.push(await startForgeService(proxy, nodes, folder, { workers, name }));
    }
    results.workers = await measureWorkers(both, { rounds: rounds + 2, scale: options.scale, log });
    for (const each of both) await each.stop();
  }
  if (parts.has('tls')) {
    const certificate = makeCertificate(folder);
    const both = [
      await startForgeService(proxy, nodes, folder, { name: 'forge service', tls: certificate }),
      await startHaproxy(servers[0], certificate, folder),
    ];
    results.tls = await measureTls(both, { rounds: rounds + 2, scale: options.scale, log });
    for (const each of both) await each.stop();
  }
  if (parts.has('pubsub')) {
    const seconds = options.pubsubSeconds;
    const beside = [proxies[0], single(servers[0])];
    results.pubsub = await measurePubsub(beside, { rounds, subscribers: SUBSCRIBERS, seconds, log });
  }
  return results;
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    log(`bench: ${signal}, stopping what was started`);
    void stopAll().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  });
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
