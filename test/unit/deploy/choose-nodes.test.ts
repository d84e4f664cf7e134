import { describe, expect, it } from 'vitest';
import type { DeployNode } from '../../../src/config/deploy-settings.js';
import { addressesOf, chooseDeployNodes } from '../../../src/deploy/redis-deployment.js';

const node = (
  dockerHost: string,
  host: string,
  port: number,
  announce: Partial<DeployNode['announce']> = {},
): DeployNode => ({
  name: `redis-${port}`,
  host,
  port,
  busPort: port + 10_000,
  dockerHost,
  announce: { port, busPort: port + 10_000, ...announce },
});
const NODES = [
  node('a1', '10.0.0.1', 6379, { ip: '203.0.113.1', port: 7001 }),
  node('a2', '10.0.0.2', 6379, { hostname: 'two.example' }),
  node('a2', '10.0.0.2', 6380),
  node('a3', '2001:db8::3', 6379),
];
const HOSTS = [
  { name: 'a1', address: '10.0.0.1' },
  { name: 'a2', address: '10.0.0.2', docker: 'ssh://ops@10.0.0.2' },
  { name: 'a3', address: '2001:db8::3', docker: 'unix:///run/docker.sock' },
];
const NOTHING = { hosts: [], nodes: [], all: false };
const nobody = () => false;
const chosen = (choice: Partial<Parameters<typeof chooseDeployNodes>[1]>, isOwn: (host: string) => boolean = nobody) =>
  chooseDeployNodes({ nodes: NODES, hosts: HOSTS }, { ...NOTHING, ...choice }, isOwn).map(
    ({ host, port }) => `${host} ${port}`,
  );

describe('the nodes that are meant', () => {
  it('are all of them, those of a host, or those that are named', () => {
    expect(chosen({ all: true })).toHaveLength(4);
    expect(chosen({ hosts: ['a2'] })).toEqual(['10.0.0.2 6379', '10.0.0.2 6380']);
    expect(chosen({ nodes: ['10.0.0.2:6380'] })).toEqual(['10.0.0.2 6380']);
    // In the order of forge.yaml, each once.
    expect(chosen({ hosts: ['a2'], nodes: ['10.0.0.2:6380', '10.0.0.1:6379'] })).toEqual([
      '10.0.0.1 6379',
      '10.0.0.2 6379',
      '10.0.0.2 6380',
    ]);
  });

  it('are named by any address that they have', () => {
    expect(addressesOf(NODES[0] as DeployNode)).toEqual(['10.0.0.1:6379', '203.0.113.1:7001']);
    expect(chosen({ nodes: ['203.0.113.1:7001'] })).toEqual(['10.0.0.1 6379']);
    expect(chosen({ nodes: ['two.example:6379'] })).toEqual(['10.0.0.2 6379']);
    expect(chosen({ nodes: ['[2001:db8::3]:6379'] })).toEqual(['2001:db8::3 6379']);
  });

  it('are those of this machine when nothing is said', () => {
    expect(chosen({}, (host) => host === '10.0.0.1')).toEqual(['10.0.0.1 6379', '2001:db8::3 6379']);
    expect(() => chooseDeployNodes({ nodes: NODES.slice(1, 3), hosts: HOSTS }, NOTHING, nobody)).toThrow(
      expect.objectContaining({ kind: 'usage', next: [expect.stringContaining('--all')] }),
    );
  });

  it('are none of a host that has none', () => {
    expect(
      chooseDeployNodes({ nodes: NODES.slice(0, 1), hosts: HOSTS }, { ...NOTHING, hosts: ['a2'] }, nobody),
    ).toEqual([]);
  });

  it.each([
    [{ hosts: ['a4'] }, 'There is no host a4.', 'Hosts: a1, a2, a3.'],
    [
      { nodes: ['10.0.0.9:6379'] },
      'There is no node 10.0.0.9:6379.',
      'Nodes: 10.0.0.1:6379, 10.0.0.2:6379, 10.0.0.2:6380, [2001:db8::3]:6379.',
    ],
  ])('are refused where there are none: %j', (choice, message, next) => {
    expect(() => chosen(choice)).toThrow(expect.objectContaining({ kind: 'usage', message, next: [next] }));
  });

  it('are missed in a forge.yaml without any', () => {
    expect(() => chooseDeployNodes({ nodes: [], hosts: HOSTS }, { ...NOTHING, all: true }, nobody)).toThrow(
      expect.objectContaining({ kind: 'usage', message: 'There is no node to deploy.' }),
    );
  });
});
