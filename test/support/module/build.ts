/** Compiles the test's own Redis module; a missing compiler fails the test. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The shared object, in a temporary directory that the caller removes (`path.dirname`). */
export function buildModule(): string {
  const source = fileURLToPath(new URL('./forge.c', import.meta.url));
  const target = path.join(mkdtempSync(path.join(os.tmpdir(), 'forge-module-')), 'forge.so');
  const { status, error, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-Wall', '-o', target, source], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`a C compiler is needed for this test: ${error?.message ?? stderr}`);
  return target;
}
