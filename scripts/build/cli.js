// @ts-check
// Builds dist/ and oclif.manifest.json.
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CACHE, ROOT, tool } from '../support/paths.js';
import { runOrThrow } from '../support/run.js';
import { digest, markBuilt, markStale } from './parts.js';

const TSC_MS = 120_000;
const MANIFEST_MS = 60_000;

/**
 * Compiles into `staging` (below the repository, so that packages are found) and writes the manifest there: nothing
 * that is in use is touched.
 * @param {string} staging
 */
export async function stageCli(staging) {
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  copyFileSync(path.join(ROOT, 'package.json'), path.join(staging, 'package.json'));
  const compile = ['-p', path.join(ROOT, 'tsconfig.json'), '--outDir', path.join(staging, 'dist')];
  await runOrThrow(tool('tsc'), compile, { cwd: ROOT, timeoutMs: TSC_MS });
  await runOrThrow(tool('oclif'), ['manifest', staging], {
    cwd: staging,
    timeoutMs: MANIFEST_MS,
    capture: true,
    env: { OCLIF_SKIP_NEW_VERSION_CHECK: 'true', NODE_ENV: 'production' },
  });
  sortCommands(path.join(staging, 'oclif.manifest.json'));
}

/**
 * The commands come in the order of the folders, which is another one on every machine.
 * @param {string} file
 */
function sortCommands(file) {
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  const names = Object.keys(manifest.commands).sort();
  manifest.commands = Object.fromEntries(names.map((name) => [name, manifest.commands[name]]));
  writeFileSync(file, `${JSON.stringify(manifest, undefined, 2)}\n`);
}

export async function buildCli() {
  const madeFrom = digest('cli');
  const staging = path.join(CACHE, 'build', 'cli');
  const old = path.join(CACHE, 'build', 'cli-old');
  await stageCli(staging);
  markStale('cli');
  rmSync(old, { recursive: true, force: true });
  const dist = path.join(ROOT, 'dist');
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(path.join(staging, 'dist'), dist);
  replaceWhenDifferent(path.join(staging, 'oclif.manifest.json'), path.join(ROOT, 'oclif.manifest.json'));
  markBuilt('cli', madeFrom);
  for (const folder of [old, staging]) rmSync(folder, { recursive: true, force: true });
}

/**
 * The manifest is in git: a build that changes nothing must not touch it.
 * @param {string} fresh
 * @param {string} target
 */
function replaceWhenDifferent(fresh, target) {
  if (existsSync(target) && readFileSync(fresh).equals(readFileSync(target))) return;
  renameSync(fresh, target);
}
