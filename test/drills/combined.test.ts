/** A master dies while the cluster is changed, and while it is backed up; and while both are under way. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tell } from '../../src/drills/drill.js';
import { isLink } from '../../src/drills/link/link.js';
import { DrillStand } from '../support/drill-stand.js';
import { chance, DRILL_MS, Matrix, START_MS } from '../support/drills/matrix.js';
import { NODE_TIMEOUT_MS, Nodes, SUDDEN } from '../support/drills/nodes.js';
import { poll } from '../support/redis.js';

/** Enough that those of a new master, which takes few slots, are on their way for some seconds. */
const KEYS = 16_000;
const KEYS_A_SECOND = 150;
const WEIGHT = 0.25;
const AT_ONCE = 1_000;
const VALUE = 'x'.repeat(200);
const BEGIN_MS = 30_000;
/** How long after the first key has moved, or the backup has begun, the master dies at the latest. */
const MOMENT_MAX_MS = 2_000;
const RESUMES_MAX = 3;
/** What a command that could not end what it began may say: unreachable, not a master any more, too late, partly done. */
const TOLD = [4, 5, 7, 8];

let stand: DrillStand;
let folder: string;
let added: readonly [number, number];
const matrix = new Matrix('combined');
const random = chance('combined');

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-combined-'));
  stand = await DrillStand.start();
  added = (await stand.startServers(2)) as [number, number];
  await fill();
}, START_MS);
afterAll(async () => {
  await stand?.stop();
  await rm(folder, { recursive: true, force: true });
  await matrix.save();
}, START_MS);

async function fill(): Promise<void> {
  const link = await stand.endpoint.connect();
  if (!isLink(link)) throw new Error(link.kind);
  for (let from = 0; from < KEYS; from += AT_ONCE) {
    const outcomes = await link.send(Array.from({ length: AT_ONCE }, (_, at) => ['SET', `filled:${from + at}`, VALUE]));
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
  }
  link.close();
}

const addresses = () => added.map((port) => `127.0.0.1:${port}`).join(',');

/** One of the masters that were there; chosen before, as asking takes its time. */
async function chooseMaster(): Promise<(tell: Tell) => void> {
  // Nodes that were started anew have forgotten it.
  await new Nodes(stand, 'combined').shortenTimeout();
  for (const port of added) {
    await stand.call(port, 'CONFIG', 'SET', 'cluster-node-timeout', String(NODE_TIMEOUT_MS));
  }
  const masters = await stand.masters();
  const master = masters[Math.floor(random() * masters.length)];
  return (tell) => {
    tell(`kill -9 of ${master?.port}`);
    process.kill(master?.pid as number, 'SIGKILL');
  };
}

/** Adds a master with a replica, whatever happens meanwhile: what could not be ended is resumed. */
async function scale(tell: Tell): Promise<void> {
  tell('scale add');
  const fast = ['--pace', 'fast', '--yes'];
  const slowly = ['--weight', String(WEIGHT), '--keys-per-second', String(KEYS_A_SECOND)];
  const words = ['--replicas', '1', ...slowly, ...fast];
  let { code, stdout, stderr } = await stand.attempt('scale', 'add', addresses(), ...words);
  tell(`scale add: ${code}`);
  for (let resumes = 0; code !== 0; resumes++) {
    expect(TOLD, `${stdout}${stderr}`).toContain(code);
    expect(resumes, `${stdout}${stderr}`).toBeLessThan(RESUMES_MAX);
    const { unfinished } = JSON.parse(await stand.forge('resume', '--json'));
    // The deletions that belong to moves were not at the replica yet: keys have two values, and the operator says which stays.
    const keep = stderr.includes('--keep owner') ? ['--keep', 'owner'] : [];
    if (keep.length > 0) tell('the values of the owner are kept');
    ({ code, stdout, stderr } = await stand.attempt('resume', unfinished[0].operationId, ...fast, ...keep));
    tell(`resume: ${code}`);
  }
}

/** The first key has arrived. */
async function moving(): Promise<void> {
  await poll('keys move', BEGIN_MS, async () =>
    /keys=[1-9]/.test(String(await stand.call(added[0], 'INFO', 'keyspace'))),
  );
}

const NAMED = ['--cluster', 'drill'];

/** A backup that says that it is one can be loaded, with every key that was there all the time. */
async function backUp(tell: Tell): Promise<void> {
  tell('backup');
  const { code, stdout, stderr } = await stand.attempt('backup', '--to', folder, ...NAMED, '--parallel', '1', '--json');
  tell(`backup: ${code}`);
  expect(code, `${stdout}${stderr}`).toBe(0);
}

/** Back to three masters, with everything that was there before. */
async function backToThree(): Promise<void> {
  await stand.whole();
  // Both are named. A master that was killed when its last slots had left is a replica of the new one when it is back: it stays.
  await stand.forge('scale', 'remove', addresses(), '--pace', 'fast', '--yes');
  await stand.whole();
}

async function count(): Promise<number> {
  const link = await stand.endpoint.connect();
  if (!isLink(link)) throw new Error(link.kind);
  let there = 0;
  for (let from = 0; from < KEYS; from += AT_ONCE) {
    const outcomes = await link.send(Array.from({ length: AT_ONCE }, (_, at) => ['GET', `filled:${from + at}`]));
    there += outcomes.filter((outcome) => outcome.ok && outcome.reply === VALUE).length;
  }
  link.close();
  return there;
}

describe('combined', () => {
  it('scale add while a master dies', { timeout: DRILL_MS }, async () => {
    const kill = await chooseMaster();
    await matrix.drill(stand, {
      name: 'scale add while a master dies',
      bounds: SUDDEN,
      disturb: async (tell) => {
        const scaled = scale(tell);
        const died = (async () => {
          await moving();
          await sleep(random() * MOMENT_MAX_MS);
          kill(tell);
        })();
        await Promise.all([scaled, died]);
      },
    });
    await backToThree();
    expect(await count()).toBe(KEYS);
  });

  it('backup while a master dies', { timeout: DRILL_MS }, async () => {
    const kill = await chooseMaster();
    await matrix.drill(stand, {
      name: 'backup while a master dies',
      bounds: SUDDEN,
      disturb: async (tell) => {
        const made = backUp(tell);
        const died = (async () => {
          await sleep(random() * MOMENT_MAX_MS);
          kill(tell);
        })();
        await Promise.all([made, died]);
      },
    });
    await stand.forge('backup', 'verify', 'latest', '--load', '--from', folder, ...NAMED);
  });

  it('scale add and backup while a master dies', { timeout: DRILL_MS }, async () => {
    const kill = await chooseMaster();
    await matrix.drill(stand, {
      name: 'scale add and backup while a master dies',
      bounds: SUDDEN,
      disturb: async (tell) => {
        const scaled = scale(tell);
        const rest = (async () => {
          await moving();
          const made = backUp(tell);
          await sleep(random() * MOMENT_MAX_MS);
          kill(tell);
          await made;
        })();
        await Promise.all([scaled, rest]);
      },
    });
    await stand.forge('backup', 'verify', 'latest', '--load', '--from', folder, ...NAMED);
    await backToThree();
    expect(await count()).toBe(KEYS);
  });
});
