/** forge.yaml, environment and flags as one: what a cluster is to be on its Docker hosts. Pure. */
import path from 'node:path';
import { checkSetting, findSetting } from '../redis-config/settings.js';
import { DEFAULT_VERSION, type ServerVersion } from '../redis-config/version.js';
import type {
  DeployNetwork,
  DeployNode,
  DeploySettings,
  ExporterSettings,
  MonitoringDeploySettings,
  ProxyDeploySettings,
  RedisDeploySettings,
  RedisSettings,
} from './deploy-settings.js';
import { findContradictions } from './deploy-settings-check.js';
import { DeployHosts, type IsOwn } from './deploy-settings-hosts.js';
import { resolveNodes } from './deploy-settings-nodes.js';
import type { MonitoringSection, ProxySection, RedisSection } from './deploy-settings-schema.js';
import { resolveUsers } from './deploy-settings-users.js';
import { type DeployProblem, type DeploySections, type Origins, overlaid } from './deploy-settings-variables.js';
import type { ForgeCluster } from './forge-file.js';
import { NOFILE } from './open-files.js';

const DEFAULT_CLUSTER = 'redisforge';
const BASE_IMAGE = 'debian:trixie-slim';
const PROXY_PORTS = [6379, 6380, 6381] as const;
const PROXY_ADMIN_PORT = 9901;
/** As the bash suite had it: ten to fifteen seconds until a replica has taken over. */
const NODE_TIMEOUT_MS = 5_000;
/** Of the container's memory, where maxmemory is not said: the rest is for buffers and for copies while files are written. */
const MAXMEMORY_PART = 0.75;

export interface DeploySources {
  /** Undefined: there is no forge.yaml, and one node of this machine is meant. */
  readonly cluster?: ForgeCluster;
  readonly environment: NodeJS.ProcessEnv;
  /** The cluster was named: then forge.yaml goes before the environment. */
  readonly named: boolean;
  /** `--set NAME=VALUE`, in their order; the last of a name counts. */
  readonly set?: readonly string[];
  /** Names of files are relative to it; absolute. */
  readonly folder: string;
  readonly isOwn: IsOwn;
}

export interface DeployResult {
  /** Whole and usable only where there are no problems. */
  readonly settings: DeploySettings;
  readonly problems: readonly DeployProblem[];
  readonly origins: Origins;
}

/** Everything that is wrong is told at once. */
export function resolveDeploySettings(sources: DeploySources): DeployResult {
  const { cluster, environment, named, folder } = sources;
  const written: DeploySections = {
    redis: cluster?.redis ?? {},
    proxy: cluster?.proxy ?? {},
    monitoring: cluster?.monitoring ?? {},
  };
  const { sections, problems: ofOverlay, origins } = overlaid(written, { environment, named, set: sources.set ?? [] });
  const problems = [...ofOverlay];
  const hosts = new DeployHosts(cluster?.hosts ?? {}, sources.isOwn);
  const network = networkOf(sections.redis, environment);
  const found = resolveNodes(cluster?.nodes ?? [], environment, hosts, network);
  const users = resolveUsers(sections.redis.users ?? {}, environment, named);
  problems.push(...found.problems, ...users.problems);
  const redis = redisOf(sections.redis, { network, users: users.users, folder, origins, problems });
  const proxy = proxyOf(sections.proxy, { nodes: found.nodes, hosts, folder, environment, network, problems });
  const settings: DeploySettings = {
    cluster: cluster?.name ?? DEFAULT_CLUSTER,
    folder,
    nodes: found.nodes,
    replicasPerMaster: cluster?.replicas_per_master ?? (found.nodes.length > 1 ? 1 : 0),
    redis,
    proxy,
    monitoring: monitoringOf(sections.monitoring, environment, hosts, proxy, problems),
    hosts: hosts.used,
    warnings: [],
  };
  const more = findContradictions(settings);
  return {
    settings: { ...settings, warnings: [...found.warnings, ...more.warnings] },
    problems: [...problems, ...more.problems],
    origins,
  };
}

function networkOf(
  { network, subnet }: { network?: string; subnet?: string },
  environment: NodeJS.ProcessEnv,
): DeployNetwork {
  if (network === undefined || network === 'host') return { kind: 'host' };
  // The suite's .env always had it, also for nodes on the host's network.
  const range = subnet ?? (environment['DOCKER_NETWORK_SUBNET']?.trim() || undefined);
  return { kind: 'bridge', name: network, ...(range === undefined ? {} : { subnet: range }) };
}

function limitsOf({ memory, cpus }: { memory?: number; cpus?: number }) {
  return { ...(memory === undefined ? {} : { memoryBytes: memory }), ...(cpus === undefined ? {} : { cpus }) };
}

interface RedisContext {
  readonly network: DeployNetwork;
  readonly users: RedisDeploySettings['users'];
  readonly folder: string;
  readonly origins: Origins;
  readonly problems: DeployProblem[];
}

function redisOf(
  section: RedisSection,
  { network, users, folder, origins, problems }: RedisContext,
): RedisDeploySettings {
  const version = section.version ?? DEFAULT_VERSION;
  const { data = 'volume', tls } = section;
  if (section.subnet !== undefined && network.kind === 'host') {
    problems.push({ path: ['redis', 'subnet'], message: 'the host’s own network has none: name a network as well' });
  }
  const settings = settingsOf(section, version, origins, problems);
  return {
    version,
    image: section.image ?? `redisforge/redis:${version.text}`,
    build: section.build ?? false,
    baseImage: section.base_image ?? BASE_IMAGE,
    network,
    limits: limitsOf(section),
    data: data === 'volume' ? { kind: 'volume' } : { kind: 'directory', path: data },
    nofile: section.nofile ?? NOFILE,
    ...(tls === undefined || tls === false
      ? {}
      : { tls: { directory: path.resolve(folder, tls.directory), authClients: tls.auth_clients } }),
    preferredEndpoint: section.announce?.preferred ?? 'ip',
    users,
    settings,
    nodeTimeoutMs: Number(settings['cluster-node-timeout']?.[0] ?? NODE_TIMEOUT_MS),
  };
}

/** Under the names that this version has; a name that is there twice, by an old and a new word, is a fault. */
function settingsOf(
  section: RedisSection,
  version: ServerVersion,
  origins: Origins,
  problems: DeployProblem[],
): RedisSettings {
  const settings: Record<string, readonly string[]> = {};
  const writtenAs = new Map<string, string>();
  for (const [name, values] of Object.entries(section.settings ?? {})) {
    const at = ['redis', 'settings', name];
    const from = origins.get(at.join('.'));
    const message = checkSetting(name, values, version);
    if (message !== undefined) problems.push({ path: at, message, ...(from === undefined ? {} : { from }) });
    const known = findSetting(name, version)?.name ?? name;
    const other = writtenAs.get(known);
    if (other !== undefined) problems.push({ path: at, message: `is the same setting as ${other}` });
    writtenAs.set(known, name);
    settings[known] = values;
  }
  if (section.memory !== undefined && settings['maxmemory'] === undefined) {
    settings['maxmemory'] = [String(Math.floor(section.memory * MAXMEMORY_PART))];
  }
  return settings;
}

interface ProxyContext {
  readonly nodes: readonly DeployNode[];
  readonly hosts: DeployHosts;
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly network: DeployNetwork;
  readonly problems: DeployProblem[];
}

function proxyOf(section: ProxySection, context: ProxyContext): ProxyDeploySettings {
  const { nodes, hosts, folder, environment, network, problems } = context;
  const names = (section.hosts ?? []).map((name) => hosts.at(name).name);
  const possible = names.length > 0 ? names : oneEachZone(nodes);
  const wanted = section.replicas ?? (names.length > 0 ? names.length : 1);
  if (wanted > possible.length && nodes.length > 0) {
    const message = `${wanted} proxies need as many Docker hosts, and here are ${possible.length}`;
    problems.push({ path: ['proxy', 'replicas'], message });
  }
  const chosen = possible.slice(0, wanted);
  const taken = new Set(
    nodes.filter(({ dockerHost }) => chosen.includes(dockerHost)).flatMap((node) => [node.port, node.busPort]),
  );
  const { config, endpoint } = section;
  return {
    image: section.image ?? 'redisforge/proxy:latest',
    build: section.build ?? false,
    baseImage: section.base_image ?? BASE_IMAGE,
    ...(config === undefined ? {} : { configFile: path.resolve(folder, config) }),
    hosts: chosen,
    port: section.port ?? endpoint?.port ?? PROXY_PORTS.find((port) => !taken.has(port)) ?? PROXY_PORTS[0],
    adminPort: section.admin_port ?? section.admin?.port ?? PROXY_ADMIN_PORT,
    network: section.network === undefined ? network : networkOf(section, environment),
    limits: limitsOf(section),
    ...(section.workers === undefined ? {} : { workers: section.workers }),
  };
}

/** The nodes' Docker hosts, those of other zones first: proxies that do not fail together. */
function oneEachZone(nodes: readonly DeployNode[]): string[] {
  const zones = new Set<string | undefined>();
  const first = nodes.filter(({ zone }) => zone !== undefined && !zones.has(zone) && zones.add(zone));
  return [...new Set([...first, ...nodes].map(({ dockerHost }) => dockerHost))];
}

const EXPORTERS = {
  redis_exporter: { image: 'redisforge/redis-exporter:latest', port: 9121 },
  node_exporter: { image: 'redisforge/node-exporter:latest', port: 9100 },
} as const;
const PLACED = {
  prometheus: { image: 'redisforge/prometheus:latest', port: 9090 },
  alertmanager: { image: 'redisforge/alertmanager:latest', port: 9093 },
  grafana: { image: 'grafana/grafana:latest', port: 3000 },
} as const;
const RETENTION_DAYS = 15;
const SCRAPE_INTERVAL_MS = 15_000;

function monitoringOf(
  section: MonitoringSection,
  environment: NodeJS.ProcessEnv,
  hosts: DeployHosts,
  proxy: ProxyDeploySettings,
  problems: DeployProblem[],
): MonitoringDeploySettings {
  const exporters = !/^(?:no|false|0|off)$/i.test(environment['DEPLOY_EXPORTERS']?.trim() ?? '');
  const exporter = (name: keyof typeof EXPORTERS): ExporterSettings => {
    const said = section[name];
    const { image, port } = EXPORTERS[name];
    if (said === false || (said === undefined && !exporters)) return { enabled: false, image, port, limits: {} };
    return { enabled: true, image: said?.image ?? image, port: said?.port ?? port, limits: limitsOf(said ?? {}) };
  };
  const placed = (name: keyof typeof PLACED) => {
    const said = section[name];
    const where = said?.host ?? proxy.hosts[0];
    if (where === undefined) {
      problems.push({ path: ['monitoring', name, 'host'], message: 'on which Docker host?' });
      return { host: '', ...PLACED[name], limits: {} };
    }
    const { image, port } = PLACED[name];
    const limits = limitsOf(said ?? {});
    return { host: hosts.at(where).name, image: said?.image ?? image, port: said?.port ?? port, limits };
  };
  const { prometheus, alertmanager, grafana } = section;
  const { discord, slack, mail, webhook } = alertmanager ?? {};
  return {
    baseImage: section.base_image ?? BASE_IMAGE,
    redisExporter: exporter('redis_exporter'),
    nodeExporter: {
      ...exporter('node_exporter'),
      followsMounts: section.node_exporter === false || section.node_exporter?.mounts !== 'fixed',
    },
    ...(prometheus === undefined
      ? {}
      : { prometheus: { ...placed('prometheus'), retentionDays: prometheus.retention_days ?? RETENTION_DAYS } }),
    ...(alertmanager === undefined ? {} : { alertmanager: placed('alertmanager') }),
    ...(grafana === undefined
      ? {}
      : {
          grafana: { ...placed('grafana'), ...(grafana.password === undefined ? {} : { password: grafana.password }) },
        }),
    scrapeIntervalMs: section.scrape_interval ?? SCRAPE_INTERVAL_MS,
    receivers: {
      ...(discord === undefined ? {} : { discord }),
      ...(slack === undefined ? {} : { slack }),
      ...(mail === undefined ? {} : { mail: { ...mail, smarthost: `${mail.smarthost.host}:${mail.smarthost.port}` } }),
      ...(webhook === undefined ? {} : { webhook }),
    },
  };
}
