/** A node that can take no more, because its disk or its memory is full: told as it is, and over when there is room again. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DrillStand } from '../support/drill-stand.js';
import { DRILL_MS, Matrix, type MatrixDrill, PLANNED, START_MS } from '../support/drills/matrix.js';
import { Nodes } from '../support/drills/nodes.js';
import { SmallDisk } from '../support/drills/small-disk.js';
import { errorsTold, sumOf, toldSince } from '../support/drills/told.js';
import { drillBefore } from '../support/drills/witnesses.js';

const DISK_MEGABYTES = 32;
const FULL_MS = 3_000;
/** Redis tries once a second whether its file can be written again; a busy machine is late at both ends of the drill. */
const AGAIN_MS = 2_000;
const READERS = { registers: 0, counters: 0, logs: 0, pairs: 0, channels: 0, queues: 0, readers: 3, pauseMs: 5 };

let stand: DrillStand;
let nodes: Nodes;
let disk: SmallDisk | undefined;
const matrix = new Matrix('sudden-limits');

beforeAll(async () => {
  stand = await DrillStand.start();
  nodes = new Nodes(stand, 'sudden-limits');
}, START_MS);
afterAll(async () => {
  disk?.remove();
  await stand?.stop();
  await matrix.save();
}, START_MS);

/**
 * Clients that read and write, and beside them some that only read, who notice nothing.
 * @returns errors by kind, as many as the proxy has told
 */
async function limit(name: string, disturb: MatrixDrill['disturb']): Promise<Readonly<Record<string, number>>> {
  const { admin } = (await stand.status()).proxy;
  const before = await errorsTold(admin.port);
  let told: Record<string, number> = {};
  const recover = async () => {
    await stand.whole();
    told = toldSince(before, await errorsTold(admin.port));
  };
  const bounds = { losses: 0, longestPauseMs: FULL_MS + AGAIN_MS, pauseBeyondMs: 300 };
  const report = await drillBefore(
    matrix,
    { name, stand, disturb, recover, bounds },
    { name: `${name}: reads`, stand, workload: READERS, bounds: PLANNED },
  );
  expect(sumOf(told)).toBe(sumOf(report.clients.errors));
  return report.clients.errors;
}

describe('sudden', () => {
  it('memory limit of a master reached', { timeout: DRILL_MS }, async () => {
    const { port } = await nodes.choose('master');
    const setLimit = (bytes: string) => stand.call(port, 'CONFIG', 'SET', 'maxmemory', bytes);
    const disturb: MatrixDrill['disturb'] = async (tell) => {
      tell(`maxmemory of ${port} is reached`);
      await setLimit('1');
      await sleep(FULL_MS);
      await setLimit('0');
      tell('and raised');
    };
    const { OOM, EXECABORT: _, ...others } = await limit('memory limit reached', disturb);
    expect(OOM).toBeGreaterThan(0);
    expect(others).toEqual({});
  });

  it('disk of a master full', { timeout: DRILL_MS }, async () => {
    const node = await nodes.choose('replica');
    const directory = path.join(stand.directory, 'nodes', String(node.port));
    disk = SmallDisk.over(directory, DISK_MEGABYTES, path.join(stand.directory, 'aside'));
    process.kill(node.pid, 'SIGKILL');
    await stand.whole();
    await stand.forge('cluster', 'failover', node.id, '--yes');
    await stand.whole();
    const small = disk;
    const disturb: MatrixDrill['disturb'] = async (tell) => {
      tell(`disk of ${node.port} is full`);
      small.fill();
      await sleep(FULL_MS);
      small.makeRoom();
      tell('room on the disk');
    };
    const { MISCONF, EXECABORT: _, ...others } = await limit('full disk under AOF', disturb);
    expect(MISCONF).toBeGreaterThan(0);
    expect(others).toEqual({});
  });
});
