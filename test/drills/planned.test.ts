/** What operators do on purpose: nobody may notice more than a short pause. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { DrillStand } from '../support/drill-stand.js';
import { DRILL_MS, Matrix, type MatrixDrill, PLANNED, START_MS } from '../support/drills/matrix.js';

let stand: DrillStand;
const matrix = new Matrix('planned');

beforeAll(async () => {
  stand = await DrillStand.start();
}, START_MS);
afterAll(async () => {
  await stand?.stop();
  await matrix.save();
}, START_MS);

describe('planned', () => {
  const planned = (name: string, disturb: MatrixDrill['disturb']) =>
    it(name, { timeout: DRILL_MS }, async () => {
      await matrix.drill(stand, { name, disturb, bounds: PLANNED });
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
