import { describe, expect, it } from 'vitest';
import type { DeployNode } from '../../../src/config/deploy-settings.js';
import type { ObservedContainer, ObservedHost, ObservedVolume } from '../../../src/deploy/observed.js';
import { planRemoval, type RemovalRequest, removalCommands } from '../../../src/deploy/remove.js';
import { observedHost } from '../../support/deploy-observed.js';

const container = (name: string, changes: Partial<ObservedContainer> = {}): ObservedContainer => ({
  name,
  id: name,
  instance: name.replace(/^orders-/, '').replace(/-(?:previous|next|trial)$/, ''),
  role: 'redis',
  image: 'r:1',
  startedAt: '',
  restarts: 0,
  outOfMemory: false,
  network: 'host',
  published: [],
  volumes: [`${name}-config-1`, `${name}-data`],
  status: 'running',
  exitCode: 0,
  revision: 1,
  imageId: 'i',
  ...changes,
});
const volumesOf = (instance: string): ObservedVolume[] => [
  { name: `orders-${instance}-config-1`, instance, content: 'configuration' },
  { name: `orders-${instance}-data`, instance, content: 'data' },
];
const node = (dockerHost: string, port: number): DeployNode => ({
  name: `redis-${port}`,
  host: dockerHost,
  port,
  busPort: port + 10_000,
  dockerHost,
  announce: { port, busPort: port + 10_000 },
});
const SEEN = new Map<string, ObservedHost>([
  [
    'a1',
    observedHost([container('orders-redis-1'), container('orders-redis-2', { status: 'exited' })], {
      volumes: [...volumesOf('redis-1'), ...volumesOf('redis-2'), ...volumesOf('redis-9')],
    }),
  ],
  ['a2', observedHost([container('orders-redis-1')], { volumes: volumesOf('redis-1') })],
]);
const NOTHING: RemovalRequest = { hosts: [], nodes: [], all: false, names: [], purge: false };
const plan = (request: Partial<RemovalRequest>, seen = SEEN) =>
  planRemoval('orders', seen, { ...NOTHING, ...request }).map(({ host, containers, volumes, kept }) => ({
    host,
    containers: containers.map(({ name }) => name),
    volumes: volumes.map(({ name }) => name),
    kept: kept.map(({ name }) => name),
  }));

describe('what a removal takes away', () => {
  it('is a node with its configuration, and not its data', () => {
    expect(plan({ nodes: [node('a1', 1)] })).toEqual([
      {
        host: 'a1',
        containers: ['orders-redis-1'],
        volumes: ['orders-redis-1-config-1'],
        kept: ['orders-redis-1-data'],
      },
    ]);
  });

  it('is its data as well when that is said', () => {
    expect(plan({ nodes: [node('a2', 1)], purge: true })).toMatchObject([
      { host: 'a2', volumes: ['orders-redis-1-config-1', 'orders-redis-1-data'], kept: [] },
    ]);
  });

  it('is a host, or everything, with volumes that no container has', () => {
    expect(plan({ hosts: ['a1'], purge: true })).toMatchObject([
      { host: 'a1', containers: { length: 2 }, volumes: { length: 6 } },
    ]);
    expect(plan({ all: true })).toMatchObject([
      { host: 'a1', kept: ['orders-redis-1-data', 'orders-redis-2-data', 'orders-redis-9-data'] },
      { host: 'a2', containers: ['orders-redis-1'] },
    ]);
  });

  it.each(['previous', 'next', 'trial'])('takes what a deployment has left of it: -%s', (suffix) => {
    const seen = new Map([['a1', observedHost([container('orders-redis-1'), container(`orders-redis-1-${suffix}`)])]]);
    expect(plan({ nodes: [node('a1', 1)] }, seen)).toMatchObject([
      { containers: ['orders-redis-1', `orders-redis-1-${suffix}`] },
    ]);
    const other = new Map([['a1', observedHost([container('orders-redis-10')])]]);
    expect(plan({ nodes: [node('a1', 1)] }, other)).toEqual([]);
  });

  it('is a container or an unused volume by its name, wherever it is', () => {
    expect(plan({ names: ['orders-redis-1'] }).map(({ host }) => host)).toEqual(['a1', 'a2']);
    expect(plan({ names: ['orders-redis-9-data'], purge: true })).toEqual([
      { host: 'a1', containers: [], volumes: ['orders-redis-9-data'], kept: [] },
    ]);
  });

  it('never is a volume that a container has which stays', () => {
    const shared = container('orders-redis-2', { volumes: ['orders-redis-1-data'] });
    const seen = new Map([
      ['a1', observedHost([container('orders-redis-1'), shared], { volumes: volumesOf('redis-1') })],
    ]);
    expect(plan({ nodes: [node('a1', 1)], purge: true }, seen)).toMatchObject([
      { volumes: ['orders-redis-1-config-1'] },
    ]);
    // Its name alone is no reason to take it.
    expect(() => plan({ names: ['orders-redis-1-data'], purge: true }, seen)).toThrow(/no container or unused volume/);
  });

  it('is refused for a name that nobody has', () => {
    expect(() => plan({ names: ['orders-redis-1', 'nothing'] })).toThrow(
      expect.objectContaining({ kind: 'usage', message: expect.stringMatching(/unused volume nothing\.$/) }),
    );
  });

  it('stops only what runs, before its volumes go', () => {
    const [first] = planRemoval('orders', SEEN, { ...NOTHING, hosts: ['a1'] });
    if (first === undefined) throw new Error('no plan');
    expect(removalCommands(first).map(({ args }) => args.join(' '))).toEqual([
      'stop -t 60 orders-redis-1',
      'rm --force orders-redis-1',
      'rm --force orders-redis-2',
      ...['redis-1', 'redis-2', 'redis-9'].map((each) => `volume rm orders-${each}-config-1`),
    ]);
  });
});
