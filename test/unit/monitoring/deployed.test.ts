import { describe, expect, it } from 'vitest';
import { resolveDeploySettings } from '../../../src/config/deploy-settings-resolve.js';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { deployedCluster } from '../../../src/monitoring/deployed.js';

const FORGE_YAML = `
cluster: orders
hosts:
  a1: { docker: "ssh://ops@192.0.2.1", address: 192.0.2.1 }
  b1: { docker: "ssh://ops@192.0.2.2", address: 192.0.2.2 }
  p1: { docker: "ssh://ops@192.0.2.9", address: 192.0.2.9 }
nodes:
  - { host: 10.0.0.1, port: 6379, zone: a, docker_host: a1 }
  - { host: 10.0.0.2, port: 6379, zone: b, docker_host: b1 }
  - { host: 10.0.0.2, port: 6380, zone: b, docker_host: b1 }
replicas_per_master: 0
proxy: { hosts: [p1], admin_port: 9905 }
`;

function deployed(more = '', environment: NodeJS.ProcessEnv = {}) {
  const [cluster] = parseForgeFile(`${FORGE_YAML}${more}`, 'forge.yaml').clusters;
  const { settings } = resolveDeploySettings({
    ...{ cluster, environment: { REDIS_REQUIREPASS: 'secret', ...environment }, named: false, set: [] },
    ...{ folder: '/srv', isOwn: () => false },
  });
  return deployedCluster(settings, cluster);
}

describe('what is watched of a deployment', () => {
  it('is every node by its own address, through the exporter at the address of its Docker host', () => {
    expect(deployed().nodes).toEqual([
      { host: '10.0.0.1', port: 6379, zone: 'a', exporterHost: '192.0.2.1' },
      { host: '10.0.0.2', port: 6379, zone: 'b', exporterHost: '192.0.2.2' },
      { host: '10.0.0.2', port: 6380, zone: 'b', exporterHost: '192.0.2.2' },
    ]);
  });

  it('is every Docker host once, those of proxies and further ones too', () => {
    expect(deployed('monitoring: { hosts: [192.0.2.1, 192.0.2.20] }\n').hosts).toEqual([
      { address: '192.0.2.1', zone: 'a' },
      { address: '192.0.2.2', zone: 'b' },
      { address: '192.0.2.9' },
      { address: '192.0.2.20' },
    ]);
  });

  it('is the proxy on each of its hosts, unless others are named', () => {
    expect(deployed().proxies).toEqual([{ host: '192.0.2.9', port: 9905 }]);
    expect(deployed('monitoring: { proxies: ["10.0.0.30:9901"] }\n').proxies).toEqual([
      { host: '10.0.0.30', port: 9901 },
    ]);
  });

  it('takes from the environment what that says', () => {
    expect(deployed('', { REDIS_EXPORTER_PORT: '9221' }).redisExporterPort).toBe(9221);
    const off = deployed('', { DEPLOY_EXPORTERS: 'no' });
    expect([off.redisExporterPort, off.nodeExporterPort]).toEqual([undefined, undefined]);
  });

  it('sends alerts to the Alertmanager that is deployed, unless others are named', () => {
    const own = 'alertmanager: { host: p1, port: 9999 }';
    expect(deployed().alertmanagers).toEqual([]);
    expect(deployed(`monitoring: { ${own} }\n`).alertmanagers).toEqual(['192.0.2.9:9999']);
    expect(deployed(`monitoring: { ${own}, alertmanagers: ["x:1"] }\n`).alertmanagers).toEqual(['x:1']);
  });

  it('keeps the thresholds of forge.yaml', () => {
    expect(deployed('monitoring: { thresholds: { memory_percent: 70 } }\n').thresholds.memory_percent).toBe(70);
  });
});
