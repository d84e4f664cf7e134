/**
 * Programs of these tests as plain JavaScript: a process starts in a quarter of the time that it takes to have its
 * TypeScript translated on the way, and tests start hundreds of them.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { digest } from '../../../scripts/build/parts.js';
import { withLock } from '../../../scripts/support/lock.js';
import { CACHE, tool } from '../../../scripts/support/paths.js';
import { ROOT } from '../repository.js';

/** What is run. */
const PROGRAMS = ['killed.ts', 'killed-command.ts'].map((name) => `test/support/operations/${name}`);
/** What that imports of the tests, how it is translated, and the versions of the packages. */
const IMPORTED = ['test/support/operations/join.ts', 'test/support/operations/compiled.ts', 'package-lock.json'];
const FOLDER = path.join(CACHE, 'test-programs');
const TRANSLATE_MS = 60_000;
/** Longer than any run of tests: one that began before an edit still starts what it has translated. */
const KEPT_MS = 24 * 3_600_000;

let folder: Promise<string> | undefined;

/**
 * Translates what is there now, unless that was done before.
 * @returns the folder that has them as `test/support/operations/….js`
 */
export function compiledPrograms(): Promise<string> {
  folder ??= translated();
  return folder;
}

async function translated(): Promise<string> {
  const result = path.join(FOLDER, contents());
  if (!existsSync(result)) {
    await withLock(path.join(CACHE, 'test-programs.lock'), async () => {
      if (!existsSync(result)) await translate(result);
      removeOld();
    });
  }
  await utimes(result, new Date(), new Date());
  return result;
}

function removeOld(): void {
  for (const name of readdirSync(FOLDER)) {
    const other = path.join(FOLDER, name);
    if (statSync(other).mtimeMs < Date.now() - KEPT_MS) rmSync(other, { recursive: true, force: true });
  }
}

/** Whatever is edited has another name: nothing that is out of date is ever run. */
function contents(): string {
  const hash = createHash('sha256').update(digest('cli'));
  for (const file of [...PROGRAMS, ...IMPORTED]) hash.update(readFileSync(path.join(ROOT, file)));
  return hash.digest('hex').slice(0, 16);
}

/**
 * With its packages in few files: finding some hundred of them takes as long again as all that a command does. What reads
 * files beside its sources (templates, the proxy's executable) does not find them there; no change of a cluster does.
 */
async function translate(result: string): Promise<void> {
  const staging = `${result}.new`;
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  const commands = readdirSync(path.join(ROOT, 'src/commands'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join('src/commands', name));
  const files = [...PROGRAMS, ...commands].map((name) => path.join(ROOT, name));
  const options = ['build', '--target', 'node', '--splitting', '--root', ROOT, '--outdir', staging];
  await promisify(execFile)(tool('bun'), [...options, ...files], { cwd: staging, timeout: TRANSLATE_MS });
  renameSync(staging, result);
}
