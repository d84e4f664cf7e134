/** What happens to processes: they die, and they hang. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { DrillStand } from '../support/drill-stand.js';
import { DRILL_MS, Matrix, type MatrixDrill, PLANNED, START_MS, SUDDEN } from '../support/drills/matrix.js';

const HANG_MS = 10_000;

let stand: DrillStand;
const matrix = new Matrix('sudden');

beforeAll(async () => {
  stand = await DrillStand.start();
}, START_MS);
afterAll(async () => {
  await stand?.stop();
  await matrix.save();
}, START_MS);

describe('sudden', () => {
  const sudden = (name: string, disturb: MatrixDrill['disturb'], bounds = SUDDEN) =>
    it(name, { timeout: DRILL_MS }, async () => {
      await matrix.drill(stand, { name, disturb, bounds });
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
