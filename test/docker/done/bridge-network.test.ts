/**
 * The same system behind published ports: nodes announce the host's address, and everybody meets there. A whole roll is in
 * host-network.test.ts; here one node of each role is replaced.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasDocker } from '../../support/docker/engine.js';
import { FULL } from '../../support/servers.js';
import { Applications } from './applications.js';
import { System } from './system.js';

/** On two quiet cores all of it takes a minute and a half; a test that waits longer than this for a busy machine is wrong. */
const STEP_MS = 600_000;

describe.skipIf(!hasDocker())('a system on a bridge network', { timeout: STEP_MS }, () => {
  let system: System;
  let applications: Applications;

  beforeAll(async () => {
    system = await System.prepare({ cluster: `b${process.pid}`, network: 'bridge' });
  });
  afterAll(async () => {
    applications?.redis.disconnect();
    await system?.end();
  });

  it('comes up from forge.yaml, passes every test and check, and stays as it is when it is deployed again', async () => {
    await system.comeUp();
    await system.expectAllWell(/^7\./);
    await system.expectUnchangedByDeploys();
  });

  it.runIf(FULL)(
    'rolls another version with another setting to a replica and a master under clients, and loses nothing',
    async () => {
      const { nodes: ports } = system.ports;
      const chosen = [ports.at(0), ports.at(-1)].map((port) => `${system.address}:${port}`);
      applications = await Applications.start(system.endpoint);
      await system.write({ upgraded: true, settings: { 'io-threads': 2 } });
      const choice = chosen.flatMap((node) => ['--node', node]);
      const { nodes = [] } = await system.operator.json('deploy', 'redis', ...choice, '--yes');
      expect(nodes.map(({ action, rolling }) => ({ action, rolling }))).toEqual(
        chosen.map(() => ({ action: 'replace', rolling: true })),
      );
      const { rounds, entries } = await applications.finish();
      const containers = await system.settled();
      expect(
        containers.flatMap(({ node, wanted }) => (wanted === 'unchanged' && node !== null ? [node] : [])).sort(),
      ).toEqual([...chosen].sort());
      expect(containers.filter(({ node }) => chosen.includes(node ?? '')).map(({ version }) => version)).toEqual(
        chosen.map(() => expect.stringMatching(/^8\./)),
      );
      console.log(`${rounds} rounds and ${entries} entries of clients`);
    },
  );
});
