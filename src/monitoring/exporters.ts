/** What runs on a host so that Prometheus sees it: redis_exporter and node_exporter, as data. Pure. */
import { formatAddress } from '../cluster/address.js';
import type { InstanceFile } from '../runtime/runtime.js';
import type { MonitoredCluster, MonitoredNode } from './cluster.js';
import { TEXTFILE_DIRECTORY } from './textfile.js';

/** Where Debian's packages have them. */
const REDIS_EXPORTER = '/usr/bin/prometheus-redis-exporter';
const NODE_EXPORTER = '/usr/bin/prometheus-node-exporter';
/** Where the host is seen in the container of its node exporter. */
const HOST_ROOT = '/host';
const FILES = '/etc/redisforge/exporter';
/** `nobody`: both only read. */
const USER = '65534:65534';
const SECRET_MODE = 0o600;
const PUBLIC_MODE = 0o644;
/** Less than Prometheus waits, so that a node that hangs is told of as down instead of not at all. */
const CONNECT_TIMEOUT = '5s';

/**
 * What a user needs whom redis_exporter logs in as, in Redis's words. CONFIG is for maxclients and maxmemory. Without
 * CLIENT SETNAME the exporter only logs a remark.
 */
export const EXPORTER_RULES =
  '+ping +info +client|setname +config|get +cluster|info +slowlog|get +slowlog|len +latency|latest +latency|histogram';

export interface ExporterMount {
  /** Absolute, on the host. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: true;
  /** What the host mounts later is seen as well. */
  readonly propagation?: 'rslave';
}

/** One exporter on one host. It needs the host's network, no capability, and a root file system that is read-only. */
export interface ExporterInstance {
  readonly name: 'redis-exporter' | 'node-exporter';
  /** A host of the cluster, as Prometheus reaches it. */
  readonly host: string;
  readonly port: number;
  readonly program: string;
  /** No secret is among them. */
  readonly args: readonly string[];
  /** Owned by `user`. */
  readonly files: readonly InstanceFile[];
  /** `UID:GID`. */
  readonly user: string;
  readonly mounts: readonly ExporterMount[];
  readonly network: 'host';
  /** Answers 200 once it serves, without asking any Redis. */
  readonly healthPath: string;
}

/** With what the Redis exporter logs in; texts of PEM files. */
export interface ExporterLogin {
  /** Without it, as the default user. */
  readonly user?: string;
  readonly password?: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** The exporters of every host, in the order of the hosts. Two to a host at most; a host without nodes has no Redis exporter. */
export function exporterInstances(cluster: MonitoredCluster, login: ExporterLogin): ExporterInstance[] {
  return cluster.hosts.flatMap(({ address }) => {
    const nodes = cluster.nodes.filter(({ exporterHost }) => exporterHost === address);
    const { redisExporterPort, nodeExporterPort } = cluster;
    return [
      ...(redisExporterPort === undefined || nodes.length === 0
        ? []
        : [redisExporter(address, redisExporterPort, nodes, cluster.tls, login)]),
      ...(nodeExporterPort === undefined ? [] : [nodeExporter(address, nodeExporterPort)]),
    ];
  });
}

function redisExporter(
  host: string,
  port: number,
  nodes: readonly MonitoredNode[],
  tls: boolean,
  login: ExporterLogin,
): ExporterInstance {
  const { user, password, ca, certificate, key } = login;
  const files: InstanceFile[] = [];
  const add = (flag: string, name: string, content: string | undefined, mode: number): string[] => {
    if (content === undefined) return [];
    files.push({ path: `${FILES}/${name}`, content, mode });
    return [`--${flag}=${FILES}/${name}`];
  };
  const args = [
    `--web.listen-address=:${port}`,
    // It has no node of its own: Prometheus names the node in each request.
    '--redis.addr=',
    `--connection-timeout=${CONNECT_TIMEOUT}`,
    ...(user === undefined ? [] : [`--redis.user=${user}`]),
    ...(password === undefined
      ? []
      : add('redis.password-file', 'passwords.json', passwordMap(nodes, tls, user, password), SECRET_MODE)),
    ...(tls ? add('tls-ca-cert-file', 'ca.crt', ca, PUBLIC_MODE) : []),
    ...(tls ? add('tls-client-cert-file', 'client.crt', certificate, PUBLIC_MODE) : []),
    ...(tls ? add('tls-client-key-file', 'client.key', key, SECRET_MODE) : []),
  ];
  return {
    ...{ name: 'redis-exporter', host, port, program: REDIS_EXPORTER, args, files, user: USER },
    ...{ mounts: [], network: 'host', healthPath: '/health' },
  };
}

/**
 * The exporter's file of passwords. It gives a password to the nodes that are listed and to no others, whatever address a
 * request names. Exporters up to 1.45 look a node up by its address, newer ones by user and address.
 */
function passwordMap(
  nodes: readonly MonitoredNode[],
  tls: boolean,
  user: string | undefined,
  password: string,
): string {
  const scheme = tls ? 'rediss' : 'redis';
  const entries = nodes.flatMap((node) => {
    const address = formatAddress({ host: node.host, port: node.port });
    const named = user === undefined ? [] : [`${scheme}://${user}@${address}`];
    return [`${scheme}://${address}`, ...named].map((name) => [name, password]);
  });
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}

function nodeExporter(host: string, port: number): ExporterInstance {
  const args = [
    `--web.listen-address=:${port}`,
    `--path.rootfs=${HOST_ROOT}`,
    `--path.procfs=${HOST_ROOT}/proc`,
    `--path.sysfs=${HOST_ROOT}/sys`,
    `--collector.textfile.directory=${TEXTFILE_DIRECTORY}`,
  ];
  const mounts: ExporterMount[] = [
    { source: '/', target: HOST_ROOT, readOnly: true, propagation: 'rslave' },
    // By itself, so that the engine makes the folder on a host where Debian's package is not installed.
    { source: TEXTFILE_DIRECTORY, target: TEXTFILE_DIRECTORY, readOnly: true },
  ];
  return {
    ...{ name: 'node-exporter', host, port, program: NODE_EXPORTER, args, files: [], user: USER },
    ...{ mounts, network: 'host', healthPath: '/' },
  };
}
