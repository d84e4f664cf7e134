// @ts-check
// Bun builds the proxy's executable, and bundles the command line.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ROOT, tool } from '../support/paths.js';
import { runOrThrow } from '../support/run.js';

const INSTALL_MS = 300_000;

/**
 * Runs `bun build`. Its working directory is `cwd`, as it leaves temporary files there when it is killed.
 * @param {string[]} args
 * @param {{ cwd: string, timeoutMs: number }} options
 */
export async function bunBuild(args, { cwd, timeoutMs }) {
  await ensureBun();
  await runOrThrow(tool('bun'), ['build', ...args], { cwd, timeoutMs, capture: true });
}

/** npm may be set not to run install scripts; bun's own script puts its executable in place. */
async function ensureBun() {
  const bun = path.join(ROOT, 'node_modules', 'bun');
  if (existsSync(path.join(bun, 'bin', 'bun.exe'))) return;
  await runOrThrow(process.execPath, [path.join(bun, 'install.js')], { cwd: bun, timeoutMs: INSTALL_MS });
}
