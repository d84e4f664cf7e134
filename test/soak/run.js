#!/usr/bin/env node
// npm run soak: the proxy under clients that come and go for a quarter of an hour. Says whether its memory has grown
// since it reached its plateau, and whether any client was told something wrong. Linux only (/proc).
//
//   npm run soak                     15 minutes
//   npm run soak -- --minutes N      another time, at least 2
//     --workers N                    threads of the proxy (1)
//     --reload-seconds N             between two reloads (20)
//     --json FILE                    the figures
//
//   npm run soak -- --drills         15 minutes of failures and changes in an order by a seed (drills.ts)
//     --seed N                       repeats a run; a new one is taken, and printed, when not told
//     --minutes N                    another time, at least 1
//     --json FILE                    everything that was seen
// FORGE_PROXY_BIN names another executable.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { startCluster } from '../bench/endpoints.js';
import { cleanUps, freePort, residentBytes, start, stopAll, until } from '../bench/processes.js';
import { median } from '../bench/statistics.js';
import { configuration, PASSWORD, USERNAME } from './configuration.js';

const ROOT = path.resolve(import.meta.dirname, '..', '..');
const MIB = 1024 * 1024;
const SAMPLE_MS = 2_000;
/** The plateau is taken from this share of the time to … */
const PLATEAU = { from: 0.25, to: 0.45 };
/** … and compared with the last part. */
const LAST_FROM = 0.85;
const GROWTH_MAX = 1.1;
const MINUTES_MIN = 2;
const DRILL_MINUTES_MIN = 1;
const EXTRA_MS = 60_000;

const log = (line) => console.error(line);

function readArguments() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '15' },
      workers: { type: 'string', default: '1' },
      'reload-seconds': { type: 'string', default: '20' },
      json: { type: 'string' },
      drills: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    },
  });
  const number = (flag, least) => {
    const value = Number(values[flag]);
    if (!(value >= least)) throw new Error(`--${flag} must be a number, ${least} or more`);
    return value;
  };
  return {
    minutes: number('minutes', values.drills ? DRILL_MINUTES_MIN : MINUTES_MIN),
    workers: number('workers', 1),
    reloadSeconds: number('reload-seconds', 1),
    json: values.json,
    drills: values.drills,
    seed: number('seed', 0),
  };
}

async function main() {
  const options = readArguments();
  if (options.drills) {
    await drill(options);
    return;
  }
  const proxy = process.env.FORGE_PROXY_BIN ?? path.join(ROOT, 'bin', 'forge-proxy');
  if (!existsSync(proxy)) throw new Error('bin/forge-proxy is not built: node scripts/build.js --proxy');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'forge-soak-'));
  cleanUps.add(() => rmSync(folder, { recursive: true, force: true }));
  try {
    const result = await soak(options, proxy, folder);
    if (options.json) writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
    report(result);
    if (!result.holds) process.exitCode = 9;
  } finally {
    await stopAll();
  }
}

async function drill({ seed, minutes, json }) {
  log(`seed ${seed}`);
  const { describeSoak, soakDrills } = await import('./drills.js');
  const result = await soakDrills({ seed, minutes, log, cleanUps });
  if (json) writeFileSync(json, `${JSON.stringify(result, undefined, 2)}\n`);
  for (const line of describeSoak(result)) console.log(line);
  if (!result.holds) process.exitCode = 9;
}

async function soak({ minutes, workers, reloadSeconds }, proxy, folder) {
  const nodes = await startCluster(folder);
  const [port, admin] = [await freePort(), await freePort()];
  const file = path.join(folder, 'proxy.yaml');
  let edition = 0;
  const write = () =>
    writeFileSync(
      file,
      configuration({ nodes, port, admin, workers, accessLog: path.join(folder, 'access.log'), edition: edition++ }),
    );
  write();
  const child = start(proxy, ['--config', file], {
    stdio: ['ignore', 'ignore', openSync(path.join(folder, 'proxy.log'), 'a')],
  });
  await until('forge-proxy', () => fetch(`http://127.0.0.1:${admin}/ready`).then(({ status }) => status === 200), {
    child,
  });
  const seconds = minutes * 60;
  const churn = promisify(execFile)(
    process.execPath,
    [
      path.join(import.meta.dirname, 'churn.js'),
      JSON.stringify({ port, seconds, username: USERNAME, password: PASSWORD }),
    ],
    { timeout: seconds * 1_000 + EXTRA_MS, maxBuffer: 16 * MIB },
  );
  const samples = [];
  const startedMs = performance.now();
  let reloads = 0;
  let ended = false;
  child.ended.then(() => {
    ended = true;
  });
  while (performance.now() - startedMs < seconds * 1_000) {
    await sleep(SAMPLE_MS);
    if (ended) throw new Error('the proxy ended');
    const atMs = performance.now() - startedMs;
    samples.push({ atMs, bytes: residentBytes(child.pid) });
    if (atMs >= (reloads + 1) * reloadSeconds * 1_000) {
      write();
      child.kill('SIGHUP');
      reloads++;
    }
    if (samples.length % 15 === 0)
      log(`${Math.round(atMs / 1_000)} s: ${(samples.at(-1).bytes / MIB).toFixed(1)} MiB, ${reloads} reloads`);
  }
  const { done, wrongs, wrong } = JSON.parse((await churn).stdout);
  const within = (from, to) =>
    median(
      samples
        .filter(({ atMs }) => atMs >= from * seconds * 1_000 && atMs <= to * seconds * 1_000)
        .map(({ bytes }) => bytes),
    );
  const plateau = within(PLATEAU.from, PLATEAU.to);
  const last = within(LAST_FROM, 1);
  const largest = Math.max(...samples.map(({ bytes }) => bytes));
  const growth = last / plateau;
  return {
    minutes,
    workers,
    plateau,
    last,
    largest,
    growth,
    reloads,
    done,
    wrongs,
    wrong,
    holds: growth <= GROWTH_MAX && wrongs === 0,
  };
}

function report({ minutes, plateau, last, largest, growth, reloads, done, wrongs, wrong, holds }) {
  const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`;
  console.log(`${minutes} minutes, ${reloads} reloads`);
  for (const [what, times] of Object.entries(done)) console.log(`  ${what}: ${times} times`);
  console.log(
    `resident: plateau ${mib(plateau)}, at the end ${mib(last)} (${growth.toFixed(2)} ×), largest ${mib(largest)}`,
  );
  console.log(`wrong: ${wrongs}`);
  for (const each of wrong) console.log(`  ${each}`);
  console.log(holds ? 'holds' : 'DOES NOT HOLD');
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    log(`soak: ${signal}, stopping what was started`);
    void stopAll().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  });
}

try {
  await main();
} catch (error) {
  console.error(`soak: ${error.message}`);
  process.exitCode = 1;
}
