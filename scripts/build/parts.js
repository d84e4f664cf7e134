// @ts-check
// The two things that are built, what each is made of, and whether it is out of date.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CACHE, ROOT } from '../support/paths.js';

export const EXECUTABLE = process.platform === 'win32' ? 'bin/forge-proxy.exe' : 'bin/forge-proxy';

/**
 * @typedef {object} Part
 * @property {string[]} inputs files and folders, relative to the repository
 * @property {string[]} except folders below the inputs that do not count
 * @property {string[]} outputs what must exist after the build
 */

/** @type {Record<'cli' | 'proxy', Part>} */
export const PARTS = {
  cli: {
    // The lock file stands for the versions of Bun and of the packages that are bundled.
    inputs: ['src', 'package.json', 'package-lock.json', 'tsconfig.json', 'scripts/build'],
    except: ['src/proxy/engine', 'src/proxy/server'],
    outputs: ['dist/main.js', 'oclif.manifest.json'],
  },
  proxy: {
    // The lock file stands for the versions of Bun and of the packages that are compiled in.
    inputs: [
      'src/proxy',
      'src/errors.ts',
      'package-lock.json',
      'tsconfig.json',
      'tsconfig.proxy.json',
      'scripts/build',
    ],
    except: ['src/proxy/control'],
    outputs: [EXECUTABLE],
  },
};

/** @typedef {keyof typeof PARTS} PartName */

/**
 * The files below an input, sorted, so that the digest does not depend on the order of the directory.
 * @param {string} root
 * @param {string} input
 * @param {string[]} except
 * @returns {string[]}
 */
function filesBelow(root, input, except) {
  if (except.includes(input)) return [];
  const full = path.join(root, input);
  if (!existsSync(full)) return [];
  /** @type {import('node:fs').Dirent[]} */
  let entries;
  try {
    entries = readdirSync(full, { withFileTypes: true });
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOTDIR') return [input];
    throw error;
  }
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) =>
      entry.isDirectory() ? filesBelow(root, `${input}/${entry.name}`, except) : [`${input}/${entry.name}`],
    )
    .filter((file) => !except.includes(file));
}

/**
 * A digest of everything the part is made of: names and contents, not times, so that a checkout does not rebuild.
 * @param {PartName} name
 * @param {string} [root]
 */
export function digest(name, root = ROOT) {
  const hash = createHash('sha256');
  const { inputs, except } = PARTS[name];
  for (const file of inputs.flatMap((input) => filesBelow(root, input, except))) {
    const content = readFileSync(path.join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/**
 * @param {PartName} name
 * @param {string} root
 */
const stampFile = (name, root) => path.join(root, path.basename(CACHE), 'build', `${name}.stamp`);

/**
 * True when an output is missing or was made from something else than what is there now.
 * @param {PartName} name
 * @param {string} [root]
 */
export function isStale(name, root = ROOT) {
  if (!PARTS[name].outputs.every((output) => existsSync(path.join(root, output)))) return true;
  try {
    return readFileSync(stampFile(name, root), 'utf8') !== digest(name, root);
  } catch {
    return true;
  }
}

/**
 * Called before the outputs are touched: from here to `markBuilt` the part counts as stale, so a kill in between is
 * repaired by the next build.
 * @param {PartName} name
 * @param {string} [root]
 */
export function markStale(name, root = ROOT) {
  rmSync(stampFile(name, root), { force: true });
}

/**
 * @param {PartName} name
 * @param {string} madeFrom the digest from before the build, so that an edit during the build makes it stale again
 * @param {string} [root]
 */
export function markBuilt(name, madeFrom, root = ROOT) {
  const file = stampFile(name, root);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, madeFrom);
  renameSync(`${file}.new`, file);
}
