/** What operators do on purpose: nobody may notice more than a short pause. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DrillStand } from '../support/drill-stand.js';
import { DRILL_MS, Matrix, type MatrixDrill, PLANNED, START_MS } from '../support/drills/matrix.js';
import { DRAIN_ARGUMENTS, untilGone } from '../support/drills/upgraded.js';

/** How long a configuration is in use before the next one comes. */
const SERVED_MS = 1_000;

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

  planned('replacement of a master, and of its successor', async (tell) => {
    const [fresh] = (await stand.startServers(1)).map((port) => `127.0.0.1:${port}`) as [string];
    const [master] = await stand.masters();
    const old = `127.0.0.1:${master?.port}`;
    tell(`${old} is replaced by ${fresh}`);
    await stand.forge('cluster', 'replace', old, fresh, '--yes');
    tell(`${fresh} is replaced by ${old}`);
    await stand.forge('cluster', 'replace', fresh, old, '--yes');
  });

  planned('reload of the proxy with other settings', async (tell) => {
    const before = await stand.proxyConfig();
    const [listener, main] = [before.listeners[0], before.clusters[0]] as [object, { settings?: object }];
    for (const round of [1, 2, 3, 4]) {
      tell('reload');
      // Keys go by a route and another cluster's connections, and back.
      const other = { ...main, name: `other${round}`, settings: { op_timeout: `${4 + round}s` } };
      const prefix_routes = {
        routes: [{ prefix: 'forge-drill:', cluster: other.name }],
        catch_all_route: { cluster: 'main' },
      };
      await stand.configureProxy({
        ...before,
        listeners: [{ ...listener, cluster: undefined, prefix_routes }],
        clusters: [main, other],
      });
      await stand.forge('proxy', 'reload');
      await sleep(SERVED_MS);
    }
    tell('reload as it was');
    await stand.configureProxy(before);
    await stand.forge('proxy', 'reload');
    await sleep(SERVED_MS);
  });

  planned('upgrade of the proxy, twice', async (tell) => {
    for (const time of ['once', 'once more']) {
      const { pid } = (await stand.status()).proxy;
      tell(`upgrade ${time}`);
      await stand.forge('proxy', 'upgrade', ...DRAIN_ARGUMENTS);
      expect((await stand.status()).proxy.pid).not.toBe(pid);
      await untilGone(pid as number);
      tell('the old process has ended');
      await sleep(SERVED_MS);
    }
  });
});
