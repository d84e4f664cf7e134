/** Where the package's own files are: the program lies in `src`, or bundled in `dist`, at any depth below its root. */
import { existsSync } from 'node:fs';
import path from 'node:path';

/** Deeper than any file of the program. */
const LEVELS_MAX = 8;

let root: string | undefined;

function findRoot(): string {
  let folder = import.meta.dirname;
  for (let level = 0; level < LEVELS_MAX; level++) {
    if (existsSync(path.join(folder, 'package.json'))) return folder;
    folder = path.dirname(folder);
  }
  throw new Error(`package-root: no package.json above ${import.meta.dirname}`);
}

/** Absolute path of a file or folder of the package, which may be missing: `packageFile('templates', 'redis.conf')`. */
export function packageFile(...names: readonly string[]): string {
  root ??= findRoot();
  return path.join(root, ...names);
}
