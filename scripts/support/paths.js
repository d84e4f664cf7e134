// @ts-check
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's folder. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** What the build and the set-up keep between runs; not in git, safe to delete. */
export const CACHE = path.join(ROOT, '.cache');

/**
 * The command line of a tool from node_modules.
 * @param {string} name
 */
export const tool = (name) => path.join(ROOT, 'node_modules', '.bin', name);
