/** What happens to processes: they die, they hang, and they die when their replica lacks what they have. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../src/drills/link/link.js';
import { rawEndpoint } from '../../src/drills/link/raw.js';
import { severalEndpoints } from '../../src/drills/link/several.js';
import { DrillStand, type StandNode } from '../support/drill-stand.js';
import {
  DRILL_MS,
  Matrix,
  type MatrixDrill,
  PLANNED,
  START_MS,
  type Stand,
  WORKLOAD,
} from '../support/drills/matrix.js';
import { Nodes, SUDDEN, SUDDEN_WITH_WAIT } from '../support/drills/nodes.js';
import { errorsTold, sumOf, toldSince } from '../support/drills/told.js';
import { drillBefore } from '../support/drills/witnesses.js';
import { startProxy } from '../support/proxy.js';

const HANG_MS = 8_000;
/** How long a replica lacks what its master is told. */
const BEHIND_MS = 2_000;
/** One write of each client may be on its way when a node dies: registers, counters, logs, pairs, channels and queues. */
const WRITERS = 27;
/** Messages and pops are no writes that a replica could be waited for with. */
const WITH_WAIT = { ...WORKLOAD, replicas: 1, channels: 0, queues: 0 };
/**
 * Commands that a proxy may take with it: one of each connection of a client (registers have two, and queues), ten of each
 * reader, and the subscriptions.
 */
const CONNECTED = WRITERS + 6 + 3 + 30 + 6;
const WRITES = new Set(['set', 'incr', 'append', 'exec', 'publish', 'rpush']);
/** What the proxy says of a write of which nobody knows whether it was made. */
const UNKNOWN = 'upstream';

let stand: DrillStand;
let nodes: Nodes;
const matrix = new Matrix('sudden');

beforeAll(async () => {
  stand = await DrillStand.start();
  nodes = new Nodes(stand, 'sudden');
  await nodes.shortenTimeout();
}, START_MS);
afterAll(async () => {
  await stand?.stop();
  await matrix.save();
}, START_MS);

type Tell = (text: string) => void;

/** The proxy's configuration, for a second one. */
async function likeTheFirst(): Promise<Record<string, unknown>> {
  const { admin: _, ...config } = (await stand.proxyConfig()) as unknown as Record<string, unknown>;
  const [{ address: __, ...listener }] = config.listeners as [Record<string, unknown>];
  return { ...config, listeners: [listener] };
}

describe('sudden', () => {
  const sudden = (name: string, options: Omit<MatrixDrill, 'name'>, look?: (losses: number) => void) =>
    it(name, { timeout: DRILL_MS }, async () => {
      const { admin } = (await stand.status()).proxy;
      const before = await errorsTold(admin.port);
      let told: Record<string, number> = {};
      const recover = async () => {
        await stand.whole();
        await nodes.shortenTimeout();
        told = toldSince(before, await errorsTold(admin.port));
      };
      const { clients } = await matrix.drill(stand, { name, recover, ...options });
      // Reads are tried again; only what was being written may be answered by an error, each as often as it was told.
      expect(Object.keys(clients.errors).filter((kind) => kind !== UNKNOWN)).toEqual([]);
      expect(Object.keys(told).filter((command) => !WRITES.has(command))).toEqual([]);
      expect(sumOf(told)).toBe(sumOf(clients.errors));
      look?.(clients.losses);
    });

  const kill = async (tell: Tell, role: StandNode['role']) => {
    const { pid, port } = await nodes.choose(role);
    tell(`kill -9 of ${port}`);
    process.kill(pid, 'SIGKILL');
  };

  const hang = async (tell: Tell) => {
    const { port, pid } = await nodes.choose('master');
    tell(`SIGSTOP of ${port}`);
    process.kill(pid, 'SIGSTOP');
    try {
      await sleep(HANG_MS);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    tell('SIGCONT');
  };

  /** Its replica hears nothing of it any more, and has all its votes. */
  const leaveBehind = async (tell: Tell) => {
    const master = await nodes.choose('master');
    const replica = await nodes.replicaOf(master);
    tell(`no replication from ${master.port} to ${replica.port}`);
    const link = await nodes.cutReplication(master, replica);
    try {
      await sleep(BEHIND_MS);
      tell(`kill -9 of ${master.port}`);
      process.kill(master.pid, 'SIGKILL');
    } finally {
      await link.mend();
    }
  };

  sudden('kill -9 of a master', {
    bounds: { ...SUDDEN, errors: WRITERS },
    disturb: (tell) => kill(tell, 'master'),
  });

  sudden('kill -9 of a master, with WAIT 1', {
    workload: WITH_WAIT,
    bounds: { ...SUDDEN_WITH_WAIT, errors: WRITERS },
    disturb: (tell) => kill(tell, 'master'),
  });

  sudden('a master that hangs', { bounds: { ...SUDDEN, errors: WRITERS }, disturb: hang });

  sudden('a master that hangs, with WAIT 1', {
    workload: WITH_WAIT,
    bounds: { ...SUDDEN_WITH_WAIT, errors: WRITERS },
    disturb: hang,
  });

  sudden(
    'kill -9 of a master whose replica is behind',
    { bounds: { ...SUDDEN, errors: WRITERS }, disturb: leaveBehind },
    // It is what replication costs that does not wait: without a loss, the replica was not behind.
    (losses) => expect(losses).toBeGreaterThan(0),
  );

  sudden('kill -9 of a master whose replica is behind, with WAIT 1', {
    workload: WITH_WAIT,
    bounds: { ...SUDDEN_WITH_WAIT, errors: WRITERS },
    disturb: leaveBehind,
  });

  it('one proxy of two killed', { timeout: DRILL_MS }, async () => {
    const password = (await readFile(path.join(stand.directory, 'secrets', 'endpoint'), 'utf8')).trim();
    const proxy = await startProxy({ config: await likeTheFirst() });
    try {
      const other = rawEndpoint({ host: proxy.host, port: proxy.port, password });
      const elsewhere = (endpoint: Endpoint): Stand => ({
        endpoint,
        beside: () => stand.beside(),
        whole: () => stand.whole(),
      });
      const { clients } = await drillBefore(
        matrix,
        {
          name: 'one proxy of two killed: its clients',
          stand: elsewhere(severalEndpoints([stand.endpoint, other])),
          beside: undefined,
          bounds: { errors: CONNECTED, losses: 0, longestPauseMs: 1_000 },
          disturb: async (tell) => {
            const { pid } = (await stand.status()).proxy;
            tell('kill -9 of the proxy');
            process.kill(pid, 'SIGKILL');
            await sleep(HANG_MS / 4);
          },
        },
        { name: 'one proxy of two killed: those of the other', stand: elsewhere(other), bounds: PLANNED },
      );
      expect(Object.keys(clients.errors).sort()).toEqual(['closed', 'subscription']);
    } finally {
      await proxy.stop();
    }
  });

  sudden('kill -9 of a replica', { bounds: PLANNED, disturb: (tell) => kill(tell, 'replica') });
});
