/** What does not go together in a deployment, though every setting alone is right. Pure. */
import { memoryBytes } from '../redis-config/values.js';
import type { DeploySettings } from './deploy-settings.js';
import { engineOf } from './deploy-settings-hosts.js';
import type { DeployProblem } from './deploy-settings-variables.js';
import { openFilesNeeded } from './open-files.js';

/** Above this part of the container's memory, copies while a file is written and buffers have little room. */
const MAXMEMORY_PART_MAX = 0.85;
const MASTERS_MIN = 3;

export interface Contradictions {
  readonly problems: readonly DeployProblem[];
  readonly warnings: readonly string[];
}

export function findContradictions(settings: DeploySettings): Contradictions {
  const problems: DeployProblem[] = [];
  const warnings: string[] = [];
  aboutPorts(settings, problems);
  aboutMemory(settings, problems, warnings);
  aboutReplicas(settings, problems, warnings);
  aboutSettings(settings, problems, warnings);
  return { problems, warnings };
}

/** Every port that something listens on, on its Docker host. */
function aboutPorts({ nodes, proxy, monitoring, hosts, redis }: DeploySettings, problems: DeployProblem[]): void {
  const taken = new Map<string, string>();
  const engines = new Map(hosts.map((host) => [host.name, engineOf(host)]));
  const take = (host: string, port: number, what: string, path: (string | number)[]) => {
    const key = `${engines.get(host) ?? host} ${port}`;
    const other = taken.get(key);
    if (other === undefined) taken.set(key, what);
    else problems.push({ path, message: `port ${port} of the Docker host ${host} is that of ${other} as well` });
  };
  nodes.forEach(({ dockerHost, port, busPort }, index) => {
    take(dockerHost, port, `nodes[${index}]`, ['nodes', index]);
    if (busPort !== port) take(dockerHost, busPort, `the cluster bus of nodes[${index}]`, ['nodes', index]);
  });
  for (const host of proxy.hosts) {
    take(host, proxy.port, 'the proxy', ['proxy', 'port']);
    take(host, proxy.adminPort, 'the proxy’s admin pages', ['proxy', 'admin_port']);
  }
  const engineHosts = new Map(hosts.map((host) => [engineOf(host), host.name]));
  for (const host of engineHosts.values()) {
    const { redisExporter, nodeExporter } = monitoring;
    if (redisExporter.enabled && nodes.some((node) => engines.get(node.dockerHost) === engines.get(host))) {
      take(host, redisExporter.port, 'redis_exporter', ['monitoring', 'redis_exporter', 'port']);
    }
    if (nodeExporter.enabled) take(host, nodeExporter.port, 'node_exporter', ['monitoring', 'node_exporter', 'port']);
  }
  for (const name of ['prometheus', 'alertmanager', 'grafana'] as const) {
    const placed = monitoring[name];
    if (placed !== undefined) take(placed.host, placed.port, name, ['monitoring', name, 'port']);
  }
  for (const [section, network] of [['redis', redis.network] as const, ['proxy', proxy.network] as const]) {
    if (network.kind === 'bridge' && network.name === 'none') {
      problems.push({ path: [section, 'network'], message: 'nobody reaches a container of the network none' });
    }
  }
}

function aboutMemory({ redis }: DeploySettings, problems: DeployProblem[], warnings: string[]): void {
  const { memoryBytes: limit } = redis.limits;
  const text = redis.settings['maxmemory']?.[0];
  const maxmemory = text === undefined ? undefined : memoryBytes(text);
  if (limit === undefined || maxmemory === undefined) return;
  if (maxmemory === 0n) {
    const message = 'has no bound, and the container has: Redis would be killed at the limit; set maxmemory';
    problems.push({ path: ['redis', 'settings', 'maxmemory'], message });
  } else if (maxmemory > BigInt(limit)) {
    const message = `the container’s limit of ${mebibytes(limit)} is below maxmemory (${text})`;
    problems.push({ path: ['redis', 'memory'], message });
  } else if (Number(maxmemory) > limit * MAXMEMORY_PART_MAX) {
    warnings.push(
      `redis.memory: maxmemory (${text}) leaves less than ${Math.round((1 - MAXMEMORY_PART_MAX) * 100)} % of ${mebibytes(limit)} for buffers and copies while files are written`,
    );
  }
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)}mb`;
}

function aboutReplicas(settings: DeploySettings, problems: DeployProblem[], warnings: string[]): void {
  const { nodes, replicasPerMaster: replicas, redis, hosts } = settings;
  const masters = nodes.filter(({ role }) => role === 'master').length;
  const asReplicas = nodes.filter(({ role }) => role === 'replica').length;
  const undecided = nodes.length - masters - asReplicas;
  if (nodes.length > 1 && nodes.length < MASTERS_MIN * (1 + replicas)) {
    warnings.push(
      `nodes: ${MASTERS_MIN} masters with ${replicas} replicas each need ${MASTERS_MIN * (1 + replicas)} nodes, and here are ${nodes.length}`,
    );
  } else if (masters * replicas > asReplicas + undecided) {
    const message = `${masters} masters with ${replicas} replicas each, and ${asReplicas + undecided} nodes are left for them`;
    problems.push({ path: ['replicas_per_master'], message });
  }
  const engines = new Set(nodes.flatMap((node) => hosts.filter(({ name }) => name === node.dockerHost).map(engineOf)));
  if (nodes.length > 1 && replicas >= engines.size) {
    warnings.push(
      `nodes: ${engines.size === 1 ? 'all are on one Docker host' : `there are ${engines.size} Docker hosts`}, so that a master and a replica of it may share one`,
    );
  }
  const needed = Number(redis.settings['min-replicas-to-write']?.[0] ?? 0);
  if (needed > replicas) {
    const message = `${needed} is more than the ${replicas} replicas of each master: no write would be taken`;
    problems.push({ path: ['redis', 'settings', 'min-replicas-to-write'], message });
  }
}

function aboutSettings({ redis, proxy }: DeploySettings, problems: DeployProblem[], warnings: string[]): void {
  const one = (name: string) => redis.settings[name]?.[0];
  const save = redis.settings['save'] ?? [];
  if (one('appendonly')?.toLowerCase() === 'no' && !save.some((line) => /\d/.test(line))) {
    warnings.push('redis.settings.appendonly: no file is written at all: a node that is restarted has lost its data');
  }
  const threads = Number(one('io-threads') ?? 1);
  if (redis.limits.cpus !== undefined && threads > Math.ceil(redis.limits.cpus)) {
    warnings.push(
      `redis.settings.io-threads: ${threads} threads, and the container has ${redis.limits.cpus} processors`,
    );
  }
  const needed = openFilesNeeded(redis.settings);
  if (needed > redis.nofile) {
    const said = one('maxclients');
    const message = `${said ?? 'the 10000 of the template'} clients need more than the ${redis.nofile} open files of redis.nofile`;
    problems.push({ path: ['redis', ...(said === undefined ? ['nofile'] : ['settings', 'maxclients'])], message });
  }
  const { tag } = /:(?<tag>(?:valkey-)?\d+\.\d+)[^/]*$/.exec(redis.image)?.groups ?? {};
  const { major, minor, product } = redis.version;
  if (tag !== undefined && tag.replace('valkey-', '') !== `${major}.${minor}`) {
    warnings.push(`redis.image: ${redis.image} does not look like ${product} ${major}.${minor} (redis.version)`);
  }
  if (proxy.network.kind === 'bridge' && redis.network.kind === 'bridge' && proxy.network.name !== redis.network.name) {
    warnings.push(`proxy.network: another one (${proxy.network.name}) than that of the nodes (${redis.network.name})`);
  }
}
