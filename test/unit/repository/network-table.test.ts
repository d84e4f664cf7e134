import { describe, expect, it } from 'vitest';
import { resolveDeploySettings } from '../../../src/config/deploy-settings-resolve.js';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { readText } from '../../support/repository.js';

const PAGE = 'docs/network.md';

/** A cluster whose forge.yaml says nothing of ports. */
const FILE = `
cluster: orders
nodes: [{ host: 10.0.0.1 }, { host: 10.0.0.2 }, { host: 10.0.0.3 }]
replicas_per_master: 0
hosts: { front: { docker: 'ssh://ops@10.0.0.9' } }
proxy: { hosts: [front] }
monitoring: { prometheus: { host: front }, alertmanager: { host: front }, grafana: { host: front } }
`;

/** The ports that are taken, by the setting that would say another. */
function defaults(): Record<string, number | undefined> {
  const [cluster] = parseForgeFile(FILE, 'forge.yaml').clusters;
  if (cluster === undefined) throw new Error('no cluster');
  const { settings, problems } = resolveDeploySettings({
    cluster,
    environment: {},
    named: false,
    folder: '/etc/redisforge',
    isOwn: () => false,
  });
  expect(problems).toEqual([]);
  const { nodes, proxy, monitoring } = settings;
  return {
    nodes: nodes[0]?.port,
    'nodes[].bus_port': nodes[0]?.busPort,
    'proxy.port': proxy.port,
    'proxy.admin_port': proxy.adminPort,
    'monitoring.redis_exporter.port': monitoring.redisExporter.port,
    'monitoring.node_exporter.port': monitoring.nodeExporter.port,
    'monitoring.prometheus.port': monitoring.prometheus?.port,
    'monitoring.alertmanager.port': monitoring.alertmanager?.port,
    'monitoring.grafana.port': monitoring.grafana?.port,
    // Of ssh itself.
    hosts: 22,
  };
}

const rows = [...readText(PAGE).matchAll(/^\| ([^|]+) \| ([^|]+) \| (\d+) \| `([^`]+)` \|/gm)].map(
  ([, from = '', to = '', port, setting = '']) => ({ from, to, port: Number(port), setting }),
);

describe('the table of ports', () => {
  const ports = defaults();

  it.each(rows)('has the default of $setting: $from → $to', ({ port, setting }) => {
    expect(port).toBe(ports[setting]);
  });

  it('names everything that listens, and what reaches nodes or watches them', () => {
    expect(new Set(rows.map(({ setting }) => setting))).toEqual(new Set(Object.keys(ports)));
    const seen = rows.map(({ from, setting }) => `${from}: ${setting}`);
    expect(seen).toEqual(
      expect.arrayContaining(['Redis nodes: nodes', 'Redis nodes: nodes[].bus_port', 'Prometheus: proxy.admin_port']),
    );
  });

  it('is what the other pages open', () => {
    const known = new Set(Object.values(ports));
    const groups = [...readText('docs/cloud.md').matchAll(/^\| (?:`redis-\w+`)? *\| ([\d, ]+) \|/gm)];
    const opened = groups.flatMap(([, list = '']) => list.split(',').map(Number));
    expect(opened.length).toBeGreaterThan(5);
    expect(opened.filter((port) => !known.has(port))).toEqual([]);
  });
});
