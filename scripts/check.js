/**
 * `npm run check`: lint and types, side by side: each uses one core, and the smallest machine has two. What one says is printed in
 * one piece when it has ended.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PROGRAMS = path.join(ROOT, 'node_modules', '.bin');
/** Milliseconds, on a busy machine as well. */
const LIMIT_MS = 600_000;
/** Those that take longest first. */
const CHECKS = [
  ['tsc', '-p', 'tsconfig.test.json'],
  ['biome', 'check', '--error-on-warnings', '--colors=off', '.'],
  ['tsc', '-p', 'tsconfig.json', '--noEmit'],
  ['tsc', '-p', 'tsconfig.proxy.json'],
];
const AT_ONCE = 2;

/** @param {string[]} words @returns {Promise<boolean>} whether it found nothing */
async function passes([program = '', ...words]) {
  const child = spawn(path.join(PROGRAMS, program), words, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
  }
  const code = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (status, signal) => resolve(status ?? signal));
  });
  console.log(`${code === 0 ? '✔' : `✖ (${code})`} ${[program, ...words].join(' ')}`);
  if (code !== 0 && said !== '') console.log(said.trimEnd());
  return code === 0;
}

const left = [...CHECKS];
const lanes = Array.from({ length: AT_ONCE }, async () => {
  let fine = true;
  for (let next = left.shift(); next !== undefined; next = left.shift()) fine = (await passes(next)) && fine;
  return fine;
});
if ((await Promise.all(lanes)).includes(false)) process.exitCode = 1;
