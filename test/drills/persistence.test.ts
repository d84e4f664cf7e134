/**
 * All nodes end at once, and are started again: what was acknowledged longer than a second before is there. The nodes keep an
 * append-only file that is flushed every second (`appendfsync everysec`, as `forge up` and `forge deploy` have it).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bounds } from '../../src/drills/verdict.js';
import { DrillStand } from '../support/drill-stand.js';
import { Disk } from '../support/drills/disk.js';
import { chance, DRILL_MS, Matrix, START_MS } from '../support/drills/matrix.js';

/** The promise of `appendfsync everysec`. */
const KEPT: Bounds = { keptAfterMs: 1_000 };
/** Whatever the moment is, within the second between two flushes. */
const MOMENT_MAX_MS = 1_000;

let stand: DrillStand;
let disk: Disk;
const matrix = new Matrix('persistence');

beforeAll(async () => {
  disk = await Disk.make();
  stand = await DrillStand.startOn(disk.folder);
}, START_MS);
afterAll(async () => {
  await stand?.stop();
  await disk?.remove();
  await matrix.save();
}, START_MS);

const random = chance('persistence');

/** Nobody starts the nodes again but the operator. */
async function kill(): Promise<() => void> {
  const supervisors = await stand.supervisors();
  const nodes = (await stand.status()).nodes.map(({ pid }) => pid);
  expect([supervisors.length, nodes.length]).toEqual([6, 6]);
  return () => {
    for (const pid of [...supervisors, ...nodes]) process.kill(pid, 'SIGKILL');
  };
}

describe('persistence', () => {
  it('kill -9 of all nodes at once', { timeout: DRILL_MS }, async () => {
    await matrix.drill(stand, {
      name: 'kill -9 of all nodes at once',
      // What was acknowledged is at the kernel: nothing but what is not written yet while the file is flushed may be missing.
      bounds: KEPT,
      disturb: async (tell) => {
        const now = await kill();
        await sleep(random() * MOMENT_MAX_MS);
        tell('kill -9 of all nodes', 'cut');
        now();
        await stand.forge('up');
        tell('started again');
      },
    });
  });

  it('power cut of all nodes at once', { timeout: DRILL_MS }, async () => {
    await matrix.drill(stand, {
      name: 'power cut of all nodes at once',
      bounds: KEPT,
      disturb: async (tell) => {
        const now = await kill();
        const cut = await disk.arm();
        await sleep(random() * MOMENT_MAX_MS);
        tell('power cut', 'cut');
        await cut();
        now();
        await disk.comeBack();
        await stand.forge('up');
        tell('started again');
      },
    });
  });
});
