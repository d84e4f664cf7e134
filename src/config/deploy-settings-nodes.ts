/** The nodes of a deployment: where each runs, its ports, and what it tells others about itself. Pure. */
import { isIP } from 'node:net';
import type { DeployHost, DeployNetwork, DeployNode, NodeAnnounce } from './deploy-settings.js';
import type { DeployHosts } from './deploy-settings-hosts.js';
import type { DeployProblem } from './deploy-settings-variables.js';
import type { ForgeNode } from './forge-file.js';

const PORT_MAX = 65_535;
/** What a bus port is above its port, as Redis itself has it. */
const BUS_PORT_OFFSET = 10_000;
const DEFAULT_PORT = 6379;

export interface NodesResult {
  readonly nodes: readonly DeployNode[];
  readonly problems: readonly DeployProblem[];
  readonly warnings: readonly string[];
}

/**
 * The nodes of forge.yaml. Where it lists none, there is one, which the variables of the bash suite describe: on this
 * machine.
 */
export function resolveNodes(
  listed: readonly ForgeNode[],
  environment: NodeJS.ProcessEnv,
  hosts: DeployHosts,
  network: DeployNetwork,
): NodesResult {
  const problems: DeployProblem[] = [];
  const warnings: string[] = [];
  const ignored = ANNOUNCE_VARIABLES.filter((name) => environment[name]);
  if (listed.length > 0 && ignored.length > 0) {
    warnings.push(
      `${ignored.join(', ')}: not used, as forge.yaml lists the nodes; say it by announce and bus_port there`,
    );
  }
  const written = listed.length > 0 ? listed : [ofVariables(environment, problems)];
  const nodes = written.flatMap((node, index): DeployNode[] => {
    const problem = (field: string, message: string) => problems.push({ path: ['nodes', index, field], message });
    const host = node.docker_host === undefined ? hosts.at(node.host) : hosts.listed(node.docker_host);
    if (host === undefined) {
      problem('docker_host', hosts.unknown(node.docker_host ?? ''));
      return [];
    }
    const busPort = node.bus_port ?? node.port + BUS_PORT_OFFSET;
    if (busPort > PORT_MAX) {
      problem('port', `${node.port} and ${BUS_PORT_OFFSET} more is no port for the cluster bus; set bus_port`);
    } else if (busPort === node.port) problem('bus_port', 'is the port for clients as well');
    const { zone, role } = node;
    return [
      {
        name: `redis-${node.port}`,
        host: node.host,
        port: node.port,
        busPort,
        ...(zone === undefined ? {} : { zone }),
        ...(role === undefined ? {} : { role }),
        dockerHost: host.name,
        announce: announceOf(node, host, busPort, network, (message) => problem('announce', message)),
      },
    ];
  });
  return { nodes, problems, warnings };
}

const ANNOUNCE_VARIABLES = [
  'REDIS_CLUSTER_BUS_PORT',
  'REDIS_CLUSTER_ANNOUNCE_IP',
  'REDIS_CLUSTER_ANNOUNCE_PORT',
  'REDIS_CLUSTER_ANNOUNCE_BUS_PORT',
] as const;

function ofVariables(environment: NodeJS.ProcessEnv, problems: DeployProblem[]): ForgeNode {
  const port = (name: string): number | undefined => {
    const text = environment[name]?.trim();
    if (!text) return undefined;
    const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (number >= 1 && number <= PORT_MAX) return number;
    problems.push({ path: ['nodes'], message: 'a port from 1 to 65535', from: name });
    return undefined;
  };
  const ip = environment['REDIS_CLUSTER_ANNOUNCE_IP']?.trim() || undefined;
  if (ip !== undefined && isIP(ip) === 0) {
    problems.push({ path: ['nodes'], message: 'an IP address', from: 'REDIS_CLUSTER_ANNOUNCE_IP' });
  }
  const busPort = port('REDIS_CLUSTER_BUS_PORT');
  const announcedPort = port('REDIS_CLUSTER_ANNOUNCE_PORT');
  const announcedBusPort = port('REDIS_CLUSTER_ANNOUNCE_BUS_PORT');
  return {
    host: '127.0.0.1',
    port: port('REDIS_PORT') ?? DEFAULT_PORT,
    ...(busPort === undefined ? {} : { bus_port: busPort }),
    announce: {
      ...(ip === undefined ? {} : { ip }),
      ...(announcedPort === undefined ? {} : { port: announcedPort }),
      ...(announcedBusPort === undefined ? {} : { bus_port: announcedBusPort }),
    },
  };
}

/**
 * A node on the host's own network can tell its host's address by itself; one behind published ports knows only its
 * container's, which nobody else reaches.
 */
function announceOf(
  node: ForgeNode,
  host: DeployHost,
  busPort: number,
  network: DeployNetwork,
  problem: (message: string) => void,
): NodeAnnounce {
  const said = node.announce ?? {};
  const ip = said.ip ?? [node.host, host.address].find((each) => isIP(each) !== 0);
  const hostname = said.hostname ?? (isIP(node.host) === 0 ? node.host : undefined);
  if (said.ip !== undefined && isIP(said.ip) === 0) problem(`${said.ip} is no IP address`);
  if (network.kind === 'bridge') {
    if (ip === undefined) {
      problem(
        `on the network ${network.name} a node has to be told its address: set announce.ip, or address of its host`,
      );
    } else if (isLoopback(ip)) {
      problem(
        `${ip} means another machine in every container of the network ${network.name}: set announce.ip to an address of the host`,
      );
    }
  }
  return {
    ...(ip === undefined ? {} : { ip }),
    ...(hostname === undefined || hostname === 'localhost' ? {} : { hostname }),
    port: said.port ?? node.port,
    busPort: said.bus_port ?? busPort,
  };
}

function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1';
}
