import { describe, expect, it } from 'vitest';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { DEFAULT_THRESHOLDS } from '../../../src/monitoring/cluster.js';
import { FORGE_YAML, watched } from '../../support/monitoring.js';

const withSettings = (more: string, nodes = 'nodes: [10.0.0.1:6379]') =>
  watched(`cluster: orders\n${nodes}\n${more}\n`);
const faults = (monitoring: string) => {
  try {
    parseForgeFile(`cluster: orders\nnodes: [10.0.0.1:6379]\nmonitoring: ${monitoring}\n`, 'forge.yaml');
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('what is watched', () => {
  it('has defaults for everything that forge.yaml leaves open', () => {
    expect(watched('cluster: orders\nnodes: [10.0.0.1:6379@a]\n')).toEqual({
      name: 'orders',
      nodes: [{ host: '10.0.0.1', port: 6379, zone: 'a', exporterHost: '10.0.0.1' }],
      hosts: [{ address: '10.0.0.1', zone: 'a' }],
      proxies: [],
      redisExporterPort: 9121,
      nodeExporterPort: 9100,
      tls: false,
      replicasPerMaster: 0,
      backup: false,
      scrapeIntervalMs: 15_000,
      alertmanagers: ['127.0.0.1:9093'],
      alertmanagerVersion: '0.28',
      runbooks: 'docs/alerts.md',
      thresholds: DEFAULT_THRESHOLDS,
    });
  });

  it('has each host once, however many nodes it has, and further ones at the end', () => {
    const { hosts } = watched(`${FORGE_YAML}monitoring: { hosts: [10.0.0.9, 10.0.0.1] }\n`);
    expect(hosts).toEqual([
      { address: '10.0.0.1', zone: 'zone-a' },
      { address: '10.0.0.2', zone: 'zone-b' },
      { address: '10.0.0.3', zone: 'zone-c' },
      { address: '10.0.0.9' },
    ]);
  });

  it('asks a node through the exporter of the Docker host that it is on', () => {
    const { nodes, hosts } = withSettings(
      'hosts: { a1: { address: 192.0.2.1 } }',
      'nodes: [{ host: redis-1, docker_host: a1 }, { host: redis-2, port: 6380 }]',
    );
    expect(nodes.map(({ host, exporterHost }) => [host, exporterHost])).toEqual([
      ['redis-1', '192.0.2.1'],
      ['redis-2', 'redis-2'],
    ]);
    expect(hosts).toEqual([{ address: '192.0.2.1' }, { address: 'redis-2' }]);
  });

  it.each([
    ['proxy: { admin: "10.0.0.9:9902" }', ['10.0.0.9:9902']],
    ['proxy: { admin: "10.0.0.9:9902" }\nmonitoring: { proxies: ["[::1]:9901"] }', ['::1:9901']],
    ['hosts: { p: { address: 192.0.2.9 } }\nproxy: { hosts: [p, q], admin_port: 9905 }', ['192.0.2.9:9905', 'q:9905']],
    ['proxy: { hosts: [p] }', ['p:9901']],
    ['proxy: { endpoint: "10.0.0.9:6379" }', []],
  ])('finds the proxies of %s', (settings, proxies) => {
    expect(withSettings(settings).proxies.map(({ host, port }) => `${host}:${port}`)).toEqual(proxies);
  });

  it.each([
    ['tls: true', true],
    ['tls: { ca: ca.crt }', true],
    ['redis: { tls: true }', true],
    ['redis: { tls: false }', false],
    ['redis: { memory: 1gb }', false],
  ])('knows from %s whether nodes speak TLS', (settings, tls) => {
    expect(withSettings(settings).tls).toBe(tls);
  });

  it('takes the replicas of a master from what is said, else from the roles of the nodes', () => {
    const roles = 'nodes: [{host: a, role: master}, {host: b, role: replica}, {host: c, role: replica}]';
    expect(withSettings('', roles).replicasPerMaster).toBe(2);
    expect(withSettings('replicas_per_master: 1', roles).replicasPerMaster).toBe(1);
    expect(withSettings('').replicasPerMaster).toBe(0);
  });

  it('sends alerts to those that are named, else to the one that is deployed', () => {
    expect(withSettings('monitoring: { alertmanagers: ["a:1", "b:2"] }').alertmanagers).toEqual(['a:1', 'b:2']);
    const placed = 'hosts: { m: { address: 192.0.2.5 } }\nmonitoring: { alertmanager: { host: m, port: 9999 } }';
    expect(withSettings(placed).alertmanagers).toEqual(['192.0.2.5:9999']);
  });

  it('keeps the default of every threshold that is not set', () => {
    const { thresholds } = withSettings('monitoring: { thresholds: { backup_age: 2h, memory_percent: 50 } }');
    expect(thresholds).toEqual({ ...DEFAULT_THRESHOLDS, backup_age: 7_200_000, memory_percent: 50 });
  });

  it.each([
    ['{ thresholds: { memory_percent: 100 } }', 'memory_percent'],
    ['{ thresholds: { memory_percents: 80 } }', "did you mean 'memory_percent'"],
    ['{ thresholds: { replication_lag: 10 } }', 'a duration such as'],
    ['{ proxies: ["10.0.0.9"] }', 'host:port'],
    ['{ hosts: ["10.0.0.9 evil"] }', 'an address or a host name'],
    ['{ alertmanager_version: "0.27" }', 'alertmanager_version'],
    ['{ runbooks: "https://x/#y" }', 'an address without #'],
    ['{ alertmanager: { webhook: { address: "http://user:pw@host/" } } }', 'without user, password'],
    [
      '{ alertmanager: { webhook: { address: "http://host/", url: { environment: X } } } }',
      'exactly one of url, address',
    ],
    ['{ alertmanager: { discord: { webhook: "https://discord/secret" } } }', 'a secret is never written here'],
  ])('refuses %s', (monitoring, message) => {
    expect(faults(monitoring)).toContain(message);
  });

  it('never repeats an address that may hold a password', () => {
    expect(faults('{ alertmanager: { webhook: { address: "http://user:hunter2@host/" } } }')).not.toContain('hunter2');
    expect(faults('{ alertmanager: { slack: { webhook: "https://hooks/hunter2" } } }')).not.toContain('hunter2');
  });
});
