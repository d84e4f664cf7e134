// @ts-check
// Builds the proxy's executable: TypeScript and the Bun runtime in one file.
import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { CACHE, ROOT } from '../support/paths.js';
import { bunBuild } from './bun.js';
import { digest, EXECUTABLE, markBuilt, markStale } from './parts.js';

const COMPILE_MS = 180_000;
/** So many times as often as else must code of the main thread run, until its configuration is read, to be compiled. */
const START_JIT_POLICY = 10;

export async function buildProxy() {
  const madeFrom = digest('proxy');
  const work = path.join(CACHE, 'build');
  mkdirSync(work, { recursive: true });
  const target = path.join(ROOT, EXECUTABLE);
  const building = path.join(work, path.basename(EXECUTABLE));
  const compile = [
    '--compile',
    '--minify',
    // What both threads need is there once, which saves resident memory.
    '--splitting',
    // The configuration's schema is built once: compiling that would cost more than it saves (see main.ts).
    `--compile-jit-policy=${START_JIT_POLICY}`,
    '--sourcemap=none',
    path.join(ROOT, 'src/proxy/server/main.ts'),
    path.join(ROOT, 'src/proxy/server/worker.ts'),
    '--outfile',
    building,
  ];
  await bunBuild(compile, { cwd: work, timeoutMs: COMPILE_MS });
  markStale('proxy');
  // A proxy that is running keeps its old file; the new one appears whole or not at all.
  renameSync(building, target);
  markBuilt('proxy', madeFrom);
}
