// @ts-check
// Builds dist/ and oclif.manifest.json.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { CACHE, ROOT, tool } from '../support/paths.js';
import { runOrThrow } from '../support/run.js';
import { bunBuild } from './bun.js';
import { licencesOf } from './licences.js';
import { digest, markBuilt, markStale } from './parts.js';

const BUNDLE_MS = 120_000;
const MANIFEST_MS = 60_000;

/**
 * Bundles into `staging` (below the repository, so that packages are found) and writes the manifest there: nothing
 * that is in use is touched. A command that loads hundreds of small files needs twice the time of one that loads a few
 * large ones, and the namespaces of packages that nobody asks for are left out.
 * @param {string} staging
 */
export async function stageCli(staging) {
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  copyFileSync(path.join(ROOT, 'package.json'), path.join(staging, 'package.json'));
  await bundle(staging);
  await runOrThrow(tool('oclif'), ['manifest', staging], {
    cwd: staging,
    timeoutMs: MANIFEST_MS,
    capture: true,
    env: { OCLIF_SKIP_NEW_VERSION_CHECK: 'true', NODE_ENV: 'production' },
  });
  sortCommands(path.join(staging, 'oclif.manifest.json'));
}

/** @param {string} staging */
async function bundle(staging) {
  const source = path.join(ROOT, 'src');
  const commands = readdirSync(path.join(source, 'commands'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.join(source, 'commands', file));
  const metafile = path.join(staging, 'bundle.json');
  const dist = path.join(staging, 'dist');
  const options = [
    ...['--target=node', '--format=esm', '--splitting', '--sourcemap=none'],
    // As it is where forge is installed; oclif looks for sources to compile where it is something else.
    ...['--define', 'process.env.NODE_ENV="production"', '--external', 'typescript'],
    ...['--root', source, '--outdir', dist, '--chunk-naming', 'chunks/[hash].[ext]', `--metafile=${metafile}`],
  ];
  await bunBuild([...options, path.join(source, 'main.ts'), ...commands], { cwd: staging, timeoutMs: BUNDLE_MS });
  const inputs = Object.keys(JSON.parse(readFileSync(metafile, 'utf8')).inputs);
  writeFileSync(path.join(dist, 'LICENCES'), licencesOf(inputs, staging));
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
