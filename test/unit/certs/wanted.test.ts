import { describe, expect, it } from 'vitest';
import { wantedOfCluster } from '../../../src/certs/from-settings.js';
import { isLayoutFile, nodeFolders, pairFiles, roleOfFile } from '../../../src/certs/layout.js';
import { CERTIFICATES_MAX, type WantedSources, wantedCertificates } from '../../../src/certs/wanted.js';
import { parseForgeFile } from '../../../src/config/forge-file.js';

const LOCAL = ['localhost', '127.0.0.1', '::1'];
const brief = (sources: WantedSources) =>
  Object.fromEntries(
    wantedCertificates(sources).map(({ folder, names, extraNames }) => [
      folder,
      [...names, ...extraNames].map(({ value }) => value),
    ]),
  );

describe('the certificates that are wanted', () => {
  it('are one for each node; where a host has several, their ports are in the names of their folders', () => {
    expect(
      brief({
        nodes: [
          { host: 'a', port: 6379 },
          { host: 'b', port: 6379, addresses: ['10.0.0.2', 'b.internal'] },
          { host: 'b', port: 6380 },
          { host: '2001:db8::3', port: 6379 },
        ],
      }),
    ).toEqual({
      'nodes/a': ['a', ...LOCAL],
      'nodes/b-6379': ['b', '10.0.0.2', 'b.internal', ...LOCAL],
      'nodes/b-6380': ['b', ...LOCAL],
      'nodes/2001:db8::3': ['2001:db8::3', ...LOCAL],
      proxy: LOCAL,
    });
  });

  it('are for the name of all nodes and for what DNS says, too', () => {
    const resolved = new Map([['a', ['10.0.0.1']]]);
    const wanted = wantedCertificates({ nodes: [{ host: 'a', port: 1 }], serverName: 'redis.internal', resolved });
    expect(wanted[0]?.names.map(({ value }) => value)).toEqual(['a', 'redis.internal', ...LOCAL]);
    // No reason to renew: tomorrow DNS may say something else.
    expect(wanted[0]?.extraNames.map(({ value }) => value)).toEqual(['10.0.0.1']);
  });

  it('are of hosts, clients and the proxy as flags name them', () => {
    expect(
      brief({
        hosts: ['redis-1,10.0.0.1', '10.0.0.2'],
        clients: ['app', 'app', 'ops'],
        proxyNames: ['cache', '*.a.b'],
      }),
    ).toEqual({
      'nodes/redis-1': ['redis-1', '10.0.0.1', ...LOCAL],
      'nodes/10.0.0.2': ['10.0.0.2', ...LOCAL],
      'clients/app': [],
      'clients/ops': [],
      proxy: ['cache', '*.a.b', ...LOCAL],
    });
    expect(brief({ clients: ['app'] })).toEqual({ 'clients/app': [] });
  });

  it('of a host that is named in several places are one', () => {
    expect(brief({ nodes: [{ host: 'a', port: 1 }], hosts: ['a,10.0.0.1', 'a,10.0.0.9'] })['nodes/a']).toEqual([
      'a',
      ...LOCAL,
      '10.0.0.1',
      '10.0.0.9',
    ]);
  });

  it('are refused when two would be in one folder, or differ by the case of letters alone', () => {
    const nodes = [1, 2].map((port) => ({ host: 'a', port }));
    expect(() => wantedCertificates({ nodes, hosts: ['a-1'] })).toThrow(/in one folder/);
    expect(() => wantedCertificates({ clients: ['app', 'App'] })).toThrow(/in one folder/);
  });

  it('are refused when there are too many', () => {
    const hosts = Array.from({ length: CERTIFICATES_MAX }, (_, i) => `h${i}`);
    expect(() => wantedCertificates({ hosts })).toThrow(`${CERTIFICATES_MAX + 1} certificates`);
  });
});

describe('forge.yaml', () => {
  it('tells hosts, addresses that are announced, Docker hosts, the name of all nodes and those of the proxy', () => {
    const { clusters } = parseForgeFile(
      `cluster: orders
nodes:
  - redis-1:6379
  - { host: redis-2, port: 6380, docker_host: b, announce: { ip: 10.0.9.2, hostname: two.example } }
hosts:
  redis-1: { docker: "ssh://ops@10.0.0.1", address: 10.0.0.1 }
  b: { docker: "ssh://ops@10.0.0.2", address: 10.0.0.2 }
tls: { server_name: redis.internal }
proxy: { endpoint: "cache.example:6379", hosts: [b, edge] }
`,
      'forge.yaml',
    );
    expect(wantedOfCluster(clusters[0])).toEqual({
      nodes: [
        { host: 'redis-1', port: 6379, addresses: ['10.0.0.1'] },
        { host: 'redis-2', port: 6380, addresses: ['10.0.9.2', 'two.example', '10.0.0.2'] },
      ],
      proxyNames: ['cache.example', '10.0.0.2', 'edge'],
      serverName: 'redis.internal',
    });
    expect(wantedOfCluster(undefined)).toEqual({ nodes: [], proxyNames: [] });
  });
});

describe('the layout', () => {
  it('knows whose a file is', () => {
    for (const [role, folder] of [
      ['node', 'nodes/redis-1'],
      ['client', 'clients/app'],
      ['proxy', 'proxy'],
    ] as const) {
      for (const file of Object.values(pairFiles(role, folder))) {
        expect(roleOfFile(file)).toEqual({ role, folder });
        expect(isLayoutFile(file)).toBe(true);
      }
    }
    expect(isLayoutFile('ca-bundle.crt')).toBe(true);
    for (const file of ['server.crt', 'nodes/server.crt', 'nodes/a/b/server.crt', 'nodes/a/client.crt', 'ca.srl']) {
      expect(isLayoutFile(file), file).toBe(false);
    }
  });

  it('looks for the files of a node in its own folder before that of its host', () => {
    expect(nodeFolders('a', 6379)).toEqual(['nodes/a-6379', 'nodes/a']);
  });
});
