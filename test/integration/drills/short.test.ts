/**
 * What clients notice when a cluster is changed and when it breaks, in short: the whole is `npm run test:drills`. Each
 * drill has its bounds; wrong replies are never allowed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DrillOptions, type DrillReport, runDrill } from '../../../src/drills/drill.js';
import { DrillStand } from '../../support/drill-stand.js';
import { DRAIN_ARGUMENTS, untilGone } from '../../support/drills/upgraded.js';

/** Enough to meet every shard all the time, and little enough that a busy machine keeps up. */
const WORKLOAD = { registers: 6, counters: 6, logs: 3, pairs: 3, channels: 3, queues: 3, readers: 3, pauseMs: 5 };
const CALM_MS = 500;
/** Nothing is seen of what was planned but a pause: as long as a failover takes, on a machine that may be busy. */
const PLANNED = { errors: 0, losses: 0, longestPauseMs: 5_000 };
/** `cluster-node-timeout` of forge up, and what an election, and the way back, may take on a busy machine. */
const SUDDEN = { longestPauseMs: 15_000 };
const DRILL_MS = 120_000;
/** What the proxy says of writes whose outcome is not known, and of commands that it had nobody to send to. */
const TOLD = new Set(['upstream', 'no upstream host']);

let stand: DrillStand;

beforeAll(async () => {
  stand = await DrillStand.start();
}, DRILL_MS);

afterAll(async () => {
  await stand?.stop();
}, DRILL_MS);

async function drill(options: Pick<DrillOptions, 'name' | 'disturb' | 'bounds'>): Promise<DrillReport> {
  const report = await runDrill({
    ...options,
    endpoint: stand.endpoint,
    workload: WORKLOAD,
    recover: () => stand.whole(),
    calmMs: CALM_MS,
    signal: new AbortController().signal,
  });
  const { verdict, clients, events } = report;
  const { errorExamples, examples, longestPause, operations } = clients;
  expect(verdict.passed, JSON.stringify({ verdict, events, errorExamples, examples, longestPause }, undefined, 1)).toBe(
    true,
  );
  expect(operations).toBeGreaterThan(500);
  return report;
}

describe('clients of the proxy', () => {
  it('see nothing of a planned failover of every master', { timeout: DRILL_MS }, async () => {
    await drill({
      name: 'planned failover',
      bounds: PLANNED,
      disturb: async (tell) => {
        const { nodes } = await stand.status();
        for (const { id, port } of nodes.filter(({ role }) => role === 'replica')) {
          tell(`failover to ${port}`);
          await stand.forge('cluster', 'failover', id, '--yes');
        }
      },
    });
  });

  it('see nothing of an upgrade of the proxy', { timeout: DRILL_MS }, async () => {
    await drill({
      name: 'upgrade',
      bounds: PLANNED,
      disturb: async (tell) => {
        const { pid } = (await stand.status()).proxy;
        tell('upgrade');
        await stand.forge('proxy', 'upgrade', ...DRAIN_ARGUMENTS);
        expect((await stand.status()).proxy.pid).not.toBe(pid);
        await untilGone(pid as number);
        tell('the old process has ended');
      },
    });
  });

  it('are told the truth when a master is killed', { timeout: DRILL_MS }, async () => {
    const { clients } = await drill({
      name: 'kill -9 of a master',
      bounds: SUDDEN,
      disturb: async (tell) => {
        const [master] = await stand.masters();
        tell(`kill -9 of ${master?.port}`);
        process.kill(master?.pid as number, 'SIGKILL');
      },
    });
    // Reads are tried again; only what was being written when the master died may be answered by an error.
    const kinds = Object.keys(clients.errors);
    expect(kinds.filter((kind) => !TOLD.has(kind))).toEqual([]);
  });
});
