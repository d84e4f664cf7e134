import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../support/repository.js';

const ROUNDS = 15;
const LIMIT = 3;

function milliseconds(args: string[]): number {
  const started = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  expect(status).toBe(0);
  return performance.now() - started;
}

describe('forge --version', () => {
  it('takes at most three times as long as node itself', () => {
    const forge = [path.join(ROOT, 'bin/run.js'), '--version'];
    // The least of many alternating runs: what is left when the machine's other work is taken away.
    let node = Number.POSITIVE_INFINITY;
    let program = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round++) {
      node = Math.min(node, milliseconds(['-e', '0']));
      program = Math.min(program, milliseconds(forge));
    }
    expect(program / node).toBeLessThan(LIMIT);
  });
});
