/** Exporters, Prometheus, Alertmanager and Grafana as containers. Pure. */
import type { ContainerLimits, DeployHost, DeploySettings, PlacedSettings } from '../config/deploy-settings.js';
import type { ContainerMount } from '../docker/commands/container.js';
import type { ExporterInstance } from '../monitoring/exporters.js';
import { CONTAINER_USER, type ContainerRole, type DesiredContainer } from './container.js';
import { type NodeFile, ownedByRoot } from './redis-container.js';

export type MonitoringRole = Exclude<ContainerRole, 'redis' | 'proxy'>;

export const MONITORING_ROLES: ReadonlySet<string> = new Set<MonitoringRole>([
  'redis-exporter',
  'node-exporter',
  'prometheus',
  'alertmanager',
  'grafana',
]);

/** Where each finds its files. */
export const MONITORING_TARGETS: Readonly<Record<MonitoringRole, string>> = {
  'redis-exporter': '/etc/redisforge/exporter',
  'node-exporter': '/etc/redisforge/exporter',
  prometheus: '/etc/redisforge/prometheus',
  alertmanager: '/etc/redisforge/alertmanager',
  grafana: '/etc/redisforge/grafana',
};
/** templates/monitoring/fetch.sh and reload.sh, among the files of Prometheus and Alertmanager. */
export const FETCH_FILE = 'fetch.sh';
export const RELOAD_FILE = 'reload.sh';
export const GRAFANA_PASSWORD_FILE = 'secrets/admin-password';

const DATA_TARGET = '/data';
const GRAFANA_DATA_TARGET = '/var/lib/grafana';
const LOG = { maxSizeMb: 10, maxFiles: 3 };
const HEALTH = { intervalMs: 10_000, timeoutMs: 6_000, startMs: 20_000, retries: 3 };
/** Prometheus has a connection to each target, and maps its blocks. */
const NOFILE = 8_192;
/** Prometheus writes what it holds in memory. */
const STOP_TIMEOUT_S = 60;
const EXPORTER_STOP_TIMEOUT_S = 10;
const MEBIBYTE = 2 ** 20;
/** Where forge.yaml says nothing: far more than a cluster of some hundred nodes takes. */
const MEMORY_BYTES: Readonly<Record<MonitoringRole, number>> = {
  'redis-exporter': 256 * MEBIBYTE,
  'node-exporter': 256 * MEBIBYTE,
  prometheus: 4_096 * MEBIBYTE,
  alertmanager: 512 * MEBIBYTE,
  grafana: 1_024 * MEBIBYTE,
};

export interface ListenAddress {
  /** Empty: every address. */
  readonly host: string;
  readonly port: number;
}

/**
 * Where Prometheus and Alertmanager listen: only at the address of their host, where that is one of IPv4; a name may stand for
 * several addresses.
 */
export function listenAddress({ address }: Pick<DeployHost, 'address'>, port: number): ListenAddress {
  return { host: /^[0-9.]+$/.test(address) ? address : '', port };
}

/** The same, as it is reached from the host itself. */
export function fromInside({ host, port }: ListenAddress): ListenAddress {
  return { host: host === '' ? '127.0.0.1' : host, port };
}

/** With what an image has: bash, else wget. `$1` is the host, `$2` the port, `$3` the path. */
const PROBE_SCRIPT = [
  'if ! command -v bash >/dev/null; then exec wget -q -T 5 -O /dev/null "http://$1:$2$3"; fi',
  String.raw`exec bash -c 'exec 3<>"/dev/tcp/$1/$2" && printf "GET %s HTTP/1.0\r\n\r\n" "$3" >&3 && read -r -t 5 answer <&3 && [[ $answer == HTTP/1.*" 200 "* ]]' probe "$@"`,
].join('; ');

/** Succeeds when a page answers 200. It is no file: nothing can be copied out of the node exporter, which has the host below it. */
export function httpProbe({ host, port }: ListenAddress, path: string): string[] {
  return ['sh', '-c', PROBE_SCRIPT, 'probe', host, String(port), path];
}

interface Parts {
  readonly role: MonitoringRole;
  readonly host: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly limits: ContainerLimits;
  readonly mounts?: readonly ContainerMount[];
  /** Where its data is, for roles that keep some. */
  readonly data?: string;
  readonly files: readonly NodeFile[];
  /** Where it answers 200 as long as it serves. */
  readonly health: ListenAddress & { readonly path: string };
}

function container({ cluster }: Pick<DeploySettings, 'cluster'>, parts: Parts): DesiredContainer {
  const { role, host, image, data, health, limits } = parts;
  const name = monitoringContainerName({ cluster }, role);
  const filesTarget = MONITORING_TARGETS[role];
  const probe = httpProbe(health, health.path);
  const volume = `${name}-data`;
  return {
    cluster,
    host,
    role,
    instance: role,
    options: {
      name,
      image,
      args: parts.args,
      env: parts.env ?? {},
      user: `${CONTAINER_USER.uid}:${CONTAINER_USER.gid}`,
      // They reach nodes, proxies and each other by the addresses that forge.yaml names.
      network: 'host',
      publish: [],
      mounts: [...(parts.mounts ?? []), ...(data === undefined ? [] : [{ volume, target: data }])],
      tmpfs: ['/tmp'],
      restart: 'unless-stopped',
      memoryBytes: limits.memoryBytes ?? MEMORY_BYTES[role],
      ...(limits.cpus === undefined ? {} : { cpus: limits.cpus }),
      nofile: NOFILE,
      health: { command: probe, ...HEALTH },
      log: LOG,
      labels: {},
      stopTimeoutS: data === undefined ? EXPORTER_STOP_TIMEOUT_S : STOP_TIMEOUT_S,
      pull: 'never',
    },
    data: data === undefined ? [] : [{ volume, target: data }],
    files: parts.files.length === 0 ? [] : ownedByRoot(parts.files),
    filesTarget,
    probe,
  };
}

export function monitoringContainerName({ cluster }: Pick<DeploySettings, 'cluster'>, role: MonitoringRole): string {
  return `${cluster}-${role}`;
}

/** @param host the Docker host at whose address the exporter is */
export function exporterContainer(
  settings: DeploySettings,
  host: Pick<DeployHost, 'name'>,
  exporter: ExporterInstance,
): DesiredContainer {
  const { redisExporter, nodeExporter } = settings.monitoring;
  const { image, limits } = exporter.name === 'redis-exporter' ? redisExporter : nodeExporter;
  const follows = exporter.name === 'node-exporter' && nodeExporter.followsMounts;
  const target = MONITORING_TARGETS[exporter.name];
  return container(settings, {
    role: exporter.name,
    host: host.name,
    image,
    args: exporter.args,
    limits,
    mounts: exporter.mounts.map(({ source, target: inside, propagation }) => ({
      directory: source,
      target: inside,
      readOnly: true,
      ...(follows && propagation !== undefined ? { propagation } : {}),
    })),
    files: exporter.files.map(({ path, content }) => ({ path: path.slice(target.length + 1), content })),
    health: { host: '127.0.0.1', port: exporter.port, path: exporter.healthPath },
  });
}

export function prometheusContainer(
  settings: DeploySettings,
  host: DeployHost,
  { port, image, limits, retentionDays }: NonNullable<DeploySettings['monitoring']['prometheus']>,
  files: readonly NodeFile[],
): DesiredContainer {
  const listen = listenAddress(host, port);
  return container(settings, {
    ...{ role: 'prometheus', host: host.name, image, limits, files, data: DATA_TARGET },
    args: [
      `--config.file=${MONITORING_TARGETS.prometheus}/prometheus.yml`,
      `--storage.tsdb.path=${DATA_TARGET}`,
      `--storage.tsdb.retention.time=${retentionDays}d`,
      `--web.listen-address=${listen.host}:${port}`,
      `--web.external-url=${addressUrl(host, port)}`,
    ],
    // It answers while it still reads what it wrote last.
    health: { ...fromInside(listen), path: '/-/healthy' },
  });
}

export function alertmanagerContainer(
  settings: DeploySettings,
  host: DeployHost,
  { port, image, limits }: PlacedSettings,
  files: readonly NodeFile[],
): DesiredContainer {
  const listen = listenAddress(host, port);
  return container(settings, {
    ...{ role: 'alertmanager', host: host.name, image, limits, files, data: DATA_TARGET },
    args: [
      `--config.file=${MONITORING_TARGETS.alertmanager}/alertmanager.yml`,
      `--storage.path=${DATA_TARGET}`,
      `--web.listen-address=${listen.host}:${port}`,
      `--web.external-url=${addressUrl(host, port)}`,
      // There is one: it gossips with nobody.
      '--cluster.listen-address=',
    ],
    health: { ...fromInside(listen), path: '/-/healthy' },
  });
}

export function grafanaContainer(
  settings: DeploySettings,
  host: DeployHost,
  { port, image, limits }: PlacedSettings,
  files: readonly NodeFile[],
): DesiredContainer {
  const target = MONITORING_TARGETS.grafana;
  const listen = listenAddress(host, port);
  return container(settings, {
    ...{ role: 'grafana', host: host.name, image, limits, files, data: GRAFANA_DATA_TARGET },
    args: [],
    env: {
      GF_SERVER_HTTP_ADDR: listen.host,
      GF_SERVER_HTTP_PORT: String(port),
      GF_SERVER_ROOT_URL: `${addressUrl(host, port)}/`,
      GF_PATHS_PROVISIONING: `${target}/provisioning`,
      GF_PATHS_DATA: GRAFANA_DATA_TARGET,
      GF_PATHS_LOGS: '/tmp',
      GF_SECURITY_ADMIN_PASSWORD__FILE: `${target}/${GRAFANA_PASSWORD_FILE}`,
      // Neither figures nor questions leave the house.
      GF_ANALYTICS_REPORTING_ENABLED: 'false',
      GF_ANALYTICS_CHECK_FOR_UPDATES: 'false',
    },
    health: { ...fromInside(listen), path: '/api/health' },
  });
}

/** As people and other programs reach it. */
export function addressUrl({ address }: Pick<DeployHost, 'address'>, port: number): string {
  return `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
