#!/usr/bin/env node
// npm run fuzz: everything that reads what others wrote, with inputs that are nearly right, for as long as you like.
//
//   npm run fuzz                     10 seconds for each thing that is tried
//   npm run fuzz -- --seconds N      another time
//     --seed N                       the seed of another run, which is tried again
//     --only TEXT                    only what has this text in its name
import { spawn } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = path.resolve(import.meta.dirname, '..', '..');
const SECONDS_MAX = 86_400;
const SEEDS = 1e9;

function whole(flag, text, most) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > most)
    throw new Error(`--${flag} must be a number up to ${most}`);
  return String(value);
}

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, seed: { type: 'string' }, only: { type: 'string' } },
});
const seed = values.seed ?? String(Math.floor(Math.random() * SEEDS));
const environment = {
  ...process.env,
  FORGE_FUZZ_SECONDS: whole('seconds', values.seconds, SECONDS_MAX),
  FORGE_SEED: whole('seed', seed, SEEDS),
};
const vitest = path.join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
const words = ['run', '--maxWorkers', '1', 'test/unit/fuzz', 'test/integration/fuzz'];
if (values.only !== undefined) words.push('--testNamePattern', values.only);
const child = spawn(process.execPath, [vitest, ...words], { cwd: ROOT, env: environment, stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
