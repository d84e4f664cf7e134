/** What forge.yaml says of who needs certificates. Pure. */
import type { ForgeCluster } from '../config/forge-file.js';
import type { WantedNode } from './wanted.js';

export interface SettingsWanted {
  readonly nodes: readonly WantedNode[];
  readonly proxyNames: readonly string[];
  readonly serverName?: string;
}

/**
 * Nodes with all names and addresses that forge.yaml knows of them: their own, what they announce, and the address of their
 * Docker host; names of the proxy: its endpoint, and the hosts that it is deployed on.
 */
export function wantedOfCluster(cluster: ForgeCluster | undefined): SettingsWanted {
  if (cluster === undefined) return { nodes: [], proxyNames: [] };
  const { nodes, hosts = {}, proxy, tls } = cluster;
  const addressOf = (name: string | undefined) => (name === undefined ? undefined : hosts[name]?.address);
  const endpoint = proxy?.endpoint;
  const proxyHosts = (proxy?.hosts ?? []).flatMap((name) => [addressOf(name) ?? name]);
  return {
    nodes: nodes.map(({ host, port, announce, docker_host: dockerHost }) => {
      const known = [announce?.ip, announce?.hostname, addressOf(dockerHost ?? host)];
      return {
        host,
        port,
        addresses: [...new Set(known.filter((each) => each !== undefined && each !== host))] as string[],
      };
    }),
    proxyNames: [...new Set([...(endpoint === undefined ? [] : [endpoint.host]), ...proxyHosts])],
    ...(tls?.server_name === undefined ? {} : { serverName: tls.server_name }),
  };
}
