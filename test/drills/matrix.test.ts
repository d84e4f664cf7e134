/**
 * The matrix: what happens to a cluster, and what clients of the proxy may notice of it, beside a client that knows the
 * cluster itself at the same work. The report of all is written to .cache/drills.json.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DrillOptions, type DrillReport, runDrill } from '../../src/drills/drill.js';
import type { Bounds } from '../../src/drills/verdict.js';
import { DrillStand } from '../support/drill-stand.js';
import { ROOT } from '../support/repository.js';

const START_MS = 60_000;
const DRILL_MS = 180_000;
/** `cluster-node-timeout` of forge up. */
const NODE_TIMEOUT_MS = 2_000;
const HANG_MS = 10_000;
const WORKLOAD = { registers: 6, counters: 6, logs: 3, pairs: 3, channels: 6, queues: 3, readers: 3, pauseMs: 5 };

/** Nobody notices but a pause. */
const PLANNED: Bounds = { errors: 0, losses: 0, longestPauseMs: 1_000 };
/** Errors of writes in flight, and what asynchronous replication may lose. */
const SUDDEN: Bounds = { longestPauseMs: NODE_TIMEOUT_MS + 2_000, pauseBeyondMs: 300 };

let stand: DrillStand;
const reports: DrillReport[] = [];

beforeAll(async () => {
  stand = await DrillStand.start();
}, START_MS);
afterAll(async () => {
  await stand?.stop();
  await mkdir(path.join(ROOT, '.cache'), { recursive: true });
  await writeFile(path.join(ROOT, '.cache', 'drills.json'), `${JSON.stringify(reports, undefined, 1)}\n`);
}, START_MS);

async function drill(options: Pick<DrillOptions, 'name' | 'disturb' | 'bounds'>): Promise<DrillReport> {
  const report = await runDrill({
    ...options,
    endpoint: stand.endpoint,
    beside: await stand.beside(),
    workload: WORKLOAD,
    recover: () => stand.whole(),
    signal: new AbortController().signal,
  });
  reports.push(report);
  const { verdict, clients, events } = report;
  const { errorExamples, examples, longestPause } = clients;
  expect(verdict.passed, JSON.stringify({ verdict, events, errorExamples, examples, longestPause }, undefined, 1)).toBe(
    true,
  );
  return report;
}

describe('planned', () => {
  const planned = (name: string, disturb: DrillOptions['disturb']) =>
    it(name, { timeout: DRILL_MS }, async () => {
      await drill({ name, disturb, bounds: PLANNED });
    });

  planned('failover of each master', async (tell) => {
    for (const { id, port, role } of (await stand.status()).nodes) {
      if (role !== 'replica') continue;
      tell(`failover to ${port}`);
      await stand.forge('cluster', 'failover', id, '--yes');
    }
  });

  planned('rolling restart of all nodes', async (tell) => {
    tell('restart');
    await stand.forge('cluster', 'restart', '--yes');
  });

  planned('three masters to four to three', async (tell) => {
    const ports = await stand.startServers(2);
    const [master, replica] = ports.map((port) => `127.0.0.1:${port}`) as [string, string];
    tell('scale add');
    await stand.forge('scale', 'add', `${master},${replica}`, '--replicas', '1', '--yes');
    tell('scale remove');
    await stand.forge('scale', 'remove', `${master},${replica}`, '--yes');
  });

  planned('reload of the proxy', async (tell) => {
    for (let count = 0; count < 3; count++) {
      tell('reload');
      await stand.forge('proxy', 'reload');
      await sleep(500);
    }
  });

  planned('upgrade of the proxy', async (tell) => {
    tell('upgrade');
    await stand.forge('proxy', 'upgrade');
  });
});

describe('sudden', () => {
  const sudden = (name: string, disturb: DrillOptions['disturb'], bounds = SUDDEN) =>
    it(name, { timeout: DRILL_MS }, async () => {
      await drill({ name, disturb, bounds });
    });

  sudden('kill -9 of a master', async (tell) => {
    const [master] = await stand.masters();
    tell(`kill -9 of ${master?.port}`);
    process.kill(master?.pid as number, 'SIGKILL');
  });

  sudden('a master that hangs', async (tell) => {
    const [master] = await stand.masters();
    tell(`SIGSTOP of ${master?.port}`);
    process.kill(master?.pid as number, 'SIGSTOP');
    await sleep(HANG_MS);
    process.kill(master?.pid as number, 'SIGCONT');
    tell('SIGCONT');
  });

  sudden(
    'kill -9 of a replica',
    async (tell) => {
      const replica = (await stand.status()).nodes.find(({ role }) => role === 'replica');
      tell(`kill -9 of ${replica?.port}`);
      process.kill(replica?.pid as number, 'SIGKILL');
    },
    PLANNED,
  );
});
