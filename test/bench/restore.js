#!/usr/bin/env node
// npm run bench:restore: a backup of three masters into three empty masters, beside `redis-cli --pipe` with the same keys,
// one process for each master, in turns. Needs the built command line and nothing else on the machine. Linux only.
//
//   npm run bench:restore
//     -- --keys N        1,000,000 when not given
//        --bytes N       of each value; 64 when not given
//        --rounds N      3 when not given; figures are medians
import { execFile, spawn } from 'node:child_process';
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { parseArgs, promisify } from 'node:util';
import { boundary, keyOf, slotOf, startFilled } from './cluster/nodes.js';
import { withRedis } from './endpoints.js';
import { cleanUps, stopAll } from './processes.js';
import { median } from './statistics.js';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '..', '..');
const MASTERS = 3;
const LIMIT_MS = 20 * 60_000;
const OUTPUT_MAX = 16 * 1024 * 1024;
const CHUNK_KEYS = 5_000;

function readArguments() {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '1000000' },
      bytes: { type: 'string', default: '64' },
      rounds: { type: 'string', default: '3' },
    },
  });
  return Object.fromEntries(
    Object.entries(values).map(([name, text]) => {
      const value = Number(text);
      if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`);
      return [name, value];
    }),
  );
}

/** What `redis-cli --pipe` reads: the keys of one master, as they were filled in. */
async function writeCommands(file, index, { keys, bytes }) {
  const [first, end] = [boundary(index, MASTERS), boundary(index + 1, MASTERS)];
  const value = 'x'.repeat(bytes);
  const out = createWriteStream(file);
  let text = '';
  for (let i = 0; i < keys; i++) {
    const key = keyOf(i);
    const slot = slotOf(key);
    if (slot >= first && slot < end) {
      text += `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n${value}\r\n`;
    }
    if (i % CHUNK_KEYS !== 0 && i !== keys - 1) continue;
    if (!out.write(text)) await new Promise((resolve) => out.once('drain', resolve));
    text = '';
  }
  out.end();
  await finished(out);
}

async function pipeInto(port, file) {
  const child = spawn('redis-cli', ['-p', String(port), '--pipe'], { stdio: ['pipe', 'ignore', 'inherit'] });
  createReadStream(file).pipe(child.stdin);
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  if (code !== 0) throw new Error(`redis-cli --pipe ended with ${code}`);
}

async function forge(words, environment) {
  const { stdout } = await run(process.execPath, [path.join(ROOT, 'bin', 'run.js'), ...words, '--json'], {
    env: { ...process.env, ...environment },
    timeout: LIMIT_MS,
    maxBuffer: OUTPUT_MAX,
  });
  return JSON.parse(stdout);
}

const clear = (nodes) => Promise.all(nodes.map(({ port }) => withRedis(port, (redis) => redis.flushall())));

async function requireKeys(nodes, keys) {
  const sizes = await Promise.all(nodes.map(({ port }) => withRedis(port, (redis) => redis.dbsize())));
  const found = sizes.reduce((sum, size) => sum + size, 0);
  if (found !== keys) throw new Error(`${found} of ${keys} keys are there`);
}

async function main() {
  const { keys, bytes, rounds } = readArguments();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'forge-bench-restore-'));
  cleanUps.add(() => rmSync(folder, { recursive: true, force: true }));
  const { nodes } = await startFilled(folder, { masters: MASTERS, keys, valueBytes: bytes });
  const masters = nodes.slice(0, MASTERS);
  const store = path.join(folder, 'store');
  const environment = { FORGE_HOME: path.join(folder, 'home') };
  const common = ['--config', '/dev/null', '--env-file', '/dev/null', '--seed', `127.0.0.1:${nodes[0].port}`];
  await forge(['backup', '--to', store, '--cluster', 'bench', ...common], environment);
  const files = masters.map((_, index) => path.join(folder, `commands-${index}`));
  for (const [index, file] of files.entries()) await writeCommands(file, index, { keys, bytes });
  const figures = { whole: [], keys: [], pipe: [] };
  for (let round = 0; round < rounds; round++) {
    await clear(masters);
    let started = performance.now();
    const result = await forge(
      ['restore', 'latest', '--from', store, '--cluster', 'bench', '--yes', ...common],
      environment,
    );
    figures.whole.push((performance.now() - started) / 1_000);
    figures.keys.push(result.elapsedMs / 1_000);
    await requireKeys(masters, keys);
    await clear(masters);
    started = performance.now();
    await Promise.all(masters.map(({ port }, index) => pipeInto(port, files[index])));
    figures.pipe.push((performance.now() - started) / 1_000);
    await requireKeys(masters, keys);
  }
  const rate = (seconds) => `${Math.round(keys / seconds).toLocaleString('en')} keys/s`;
  const line = (what, seconds) =>
    console.log(`${what.padEnd(56)} ${seconds.toFixed(2).padStart(8)} s  ${rate(seconds)}`);
  console.log(`${keys.toLocaleString('en')} keys of ${bytes} bytes, ${MASTERS} masters, medians of ${rounds}`);
  line('forge restore, its start and the look at all bytes too', median(figures.whole));
  line('forge restore, from the first key to all verified', median(figures.keys));
  line('redis-cli --pipe, one for each master', median(figures.pipe));
}

try {
  await main();
} finally {
  await stopAll();
}
