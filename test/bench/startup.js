// How long the command line takes to say anything, and quickstart to bring a cluster up.
import { execFile, spawnSync } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { cleanUps } from './processes.js';
import { median } from './statistics.js';

const run = promisify(execFile);
const WARM_UPS = 2;
const UP_TIMEOUT_MS = 120_000;

function wallMs(args) {
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status !== 0) throw new Error(`node ${args.join(' ')} failed: ${stderr}`);
  return performance.now() - started;
}

/** Medians of `forge --version` and `node -e 0`, run in turns. */
export function measureVersion(forge, { rounds, log }) {
  const times = { node: [], forge: [] };
  for (let round = 0; round < rounds + WARM_UPS; round++) {
    const one = { node: wallMs(['-e', '0']), forge: wallMs([forge, '--version']) };
    if (round < WARM_UPS) continue;
    times.node.push(one.node);
    times.forge.push(one.forge);
  }
  const record = { nodeMs: median(times.node), forgeMs: median(times.forge) };
  log(`forge --version ${record.forgeMs.toFixed(0)} ms, node -e 0 ${record.nodeMs.toFixed(0)} ms`);
  return record;
}

/** From nothing to six nodes, a cluster, a proxy and a passed smoke test; then the same again, and away with it. */
export async function measureUp(forge, folder, { log }) {
  const env = { ...process.env, FORGE_HOME: path.join(folder, 'home') };
  const timed = async (...args) => {
    const started = performance.now();
    await run(process.execPath, [forge, ...args], { env, timeout: UP_TIMEOUT_MS });
    return performance.now() - started;
  };
  const down = async () => {
    if (cleanUps.delete(down)) await timed('down', '--purge', '--yes');
  };
  cleanUps.add(down);
  try {
    const firstMs = await timed('up', '--base-port', 'auto', '--smoke-test', '--json');
    const secondMs = await timed('up', '--json');
    log(`forge up: ${(firstMs / 1_000).toFixed(1)} s from nothing, ${(secondMs / 1_000).toFixed(1)} s when it is up`);
    return { firstMs, secondMs };
  } finally {
    await down();
  }
}
