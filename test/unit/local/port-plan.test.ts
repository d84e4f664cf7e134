import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planGivenPorts, plannedPorts, planPorts } from '../../../src/local/port-plan.js';
import { newShape } from '../../../src/local/shape.js';
import { freePort, freePortBlock } from '../../support/ports.js';

async function hold(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('planGivenPorts', () => {
  it('numbers the nodes upwards, and reserves the bus ports', () => {
    const plan = planGivenPorts(7001, 3, { port: 7379, adminPort: 9901 });
    expect(plan.nodePorts).toEqual([7001, 7002, 7003]);
    expect(plannedPorts(plan).map(({ port }) => port)).toEqual([7001, 7002, 7003, 17001, 17002, 17003, 7379, 9901]);
  });

  it('either fits every port into the range, each once, or refuses', () => {
    const port = fc.integer({ min: -10, max: 70_000 });
    fc.assert(
      fc.property(port, fc.integer({ min: 1, max: 100 }), port, port, (base, nodes, proxy, admin) => {
        let ports: number[];
        try {
          ports = plannedPorts(planGivenPorts(base, nodes, { port: proxy, adminPort: admin })).map(({ port }) => port);
        } catch (error) {
          expect(error).toMatchObject({ kind: 'usage' });
          return;
        }
        expect(ports.every((each) => each >= 1 && each <= 65_535)).toBe(true);
        expect(new Set(ports).size).toBe(2 * nodes + 2);
      }),
    );
  });

  it('says how high a base port may be when the bus ports do not fit', () => {
    expect(() => planGivenPorts(60_000, 6, null)).toThrow(
      expect.objectContaining({ next: [expect.stringContaining('up to 55530')] }),
    );
    expect(() => planGivenPorts(55_530, 6, null)).not.toThrow();
  });

  it('names both uses of a port that is planned twice', () => {
    expect(() => planGivenPorts(7001, 6, { port: 7003, adminPort: 9901 })).toThrow(/for the node 3 and for the proxy/);
  });
});

describe('planPorts', () => {
  it('names the process that holds a port', async () => {
    const base = await freePortBlock(6);
    const server = await hold(base + 10_002);
    try {
      await expect(planPorts(newShape({ basePort: base, proxy: false }), 'seed')).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(
          new RegExp(`${base + 10_002} \\(cluster bus of node 3\\) by .*process ${process.pid}`),
        ),
        next: expect.arrayContaining([expect.stringContaining('--base-port auto')]),
      });
    } finally {
      server.close();
    }
  });

  it('finds free ports by itself, the same for the same cluster, and others when those are busy', async () => {
    const shape = newShape({ basePort: 'auto' });
    const first = await planPorts(shape, '/some/cluster');
    expect(await planPorts(shape, '/some/cluster')).toEqual(first);
    const server = await hold(first.nodePorts[2] as number);
    try {
      const second = await planPorts(shape, '/some/cluster');
      expect(second.nodePorts).not.toContain(first.nodePorts[2]);
      expect(second.nodePorts).toHaveLength(6);
    } finally {
      server.close();
    }
  });

  it('keeps a given proxy port when the nodes are placed automatically, and refuses when it is busy', async () => {
    const port = await freePort();
    const shape = newShape({ basePort: 'auto', proxyPort: port });
    expect((await planPorts(shape, 'seed')).proxy?.port).toBe(port);
    const server = await hold(port);
    try {
      await expect(planPorts(shape, 'seed')).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringContaining(`${port} (proxy)`),
      });
    } finally {
      server.close();
    }
  });

  it('places nodes elsewhere when a given port lies where they would have been', async () => {
    const { nodePorts } = await planPorts(newShape({ basePort: 'auto' }), 'seed');
    const given = nodePorts[1] as number;
    const plan = await planPorts(newShape({ basePort: 'auto', proxyPort: given }), 'seed');
    expect(plan.proxy?.port).toBe(given);
    expect(plan.nodePorts).not.toContain(given);
  });
});
