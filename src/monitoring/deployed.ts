/** What is watched of a cluster that `forge deploy` puts on Docker hosts. Pure. */
import { formatAddress } from '../cluster/address.js';
import type { DeploySettings } from '../config/deploy-settings.js';
import type { ForgeCluster } from '../config/forge-file.js';
import { type MonitoredCluster, type MonitoredNode, monitoredCluster } from './cluster.js';

/**
 * As `monitoredCluster`, with what environment and flags made of it: every Docker host has exporters, at its own address.
 * @param cluster what forge.yaml says, for thresholds and further targets; undefined without forge.yaml
 */
export function deployedCluster(settings: DeploySettings, cluster?: ForgeCluster): MonitoredCluster {
  const {
    redisExporterPort: _,
    nodeExporterPort: __,
    ...said
  } = monitoredCluster(cluster ?? { name: settings.cluster, nodes: [] });
  const { monitoring, proxy, redis, hosts: dockerHosts } = settings;
  const addressOf = (name: string) => dockerHosts.find((host) => host.name === name)?.address ?? name;
  const nodes = settings.nodes.map(({ host, port, zone, dockerHost }): MonitoredNode => {
    return { host, port, ...(zone === undefined ? {} : { zone }), exporterHost: addressOf(dockerHost) };
  });
  const zoneOf = (address: string) => nodes.find(({ exporterHost }) => exporterHost === address)?.zone;
  const addresses = new Set([...dockerHosts.map(({ address }) => address), ...(cluster?.monitoring?.hosts ?? [])]);
  const hosts = [...addresses].map((address) => {
    const zone = zoneOf(address);
    return { address, ...(zone === undefined ? {} : { zone }) };
  });
  const { hosts: proxyHosts, replicas, admin } = cluster?.proxy ?? {};
  const elsewhere = admin !== undefined && proxyHosts === undefined && replicas === undefined;
  const proxies = proxy.hosts.map((name) => ({ host: addressOf(name), port: proxy.adminPort }));
  const { alertmanager, redisExporter, nodeExporter } = monitoring;
  const alertmanagers =
    alertmanager === undefined ? [] : [formatAddress({ host: addressOf(alertmanager.host), port: alertmanager.port })];
  return {
    ...said,
    ...{ name: settings.cluster, nodes, hosts },
    // Where forge.yaml says nothing of a proxy there is none to miss.
    proxies: cluster?.proxy === undefined || cluster.monitoring?.proxies || elsewhere ? said.proxies : proxies,
    ...(redisExporter.enabled ? { redisExporterPort: redisExporter.port } : {}),
    ...(nodeExporter.enabled ? { nodeExporterPort: nodeExporter.port } : {}),
    tls: redis.tls !== undefined,
    replicasPerMaster: settings.replicasPerMaster,
    scrapeIntervalMs: monitoring.scrapeIntervalMs,
    // One that nobody names and nobody deploys would be down for ever.
    alertmanagers: cluster?.monitoring?.alertmanagers === undefined ? alertmanagers : said.alertmanagers,
  };
}
