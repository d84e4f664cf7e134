/** A cluster to watch, for tests of what is generated from it. */
import { parseForgeFile } from '../../src/config/forge-file.js';
import { type MonitoredCluster, monitoredCluster } from '../../src/monitoring/cluster.js';

/** Six nodes on three hosts, a proxy and a place for backups: with everything that alerts are raised about. */
export const FORGE_YAML = `
cluster: orders
nodes:
  - 10.0.0.1:6379@zone-a
  - 10.0.0.2:6379@zone-b
  - 10.0.0.3:6379@zone-c
  - 10.0.0.1:6380@zone-a
  - 10.0.0.2:6380@zone-b
  - 10.0.0.3:6380@zone-c
replicas_per_master: 1
proxy: { admin: "10.0.0.9:9901" }
backup: { bucket: "s3://orders-backup" }
`;

/** The cluster that forge.yaml describes, with its defaults. */
export function watched(forgeYaml: string = FORGE_YAML): MonitoredCluster {
  const [cluster] = parseForgeFile(forgeYaml, 'forge.yaml').clusters;
  if (cluster === undefined) throw new Error('the file names no cluster');
  return monitoredCluster(cluster);
}
