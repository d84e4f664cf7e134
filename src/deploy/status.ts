/** How what runs on the Docker hosts is, beside what forge.yaml says. Changes nothing. */
import { formatAddress } from '../cluster/address.js';
import type { DeployNode } from '../config/deploy-settings.js';
import { ForgeError } from '../errors.js';
import type { DesiredContainer } from './container.js';
import type { Deployment } from './deployment.js';
import type { ObservedContainer, ObservedHost } from './observed.js';
import { type DeployAction, type DeployActionKind, type DeployObstacle, stateReason } from './plan.js';
import { programFacts } from './program-facts.js';
import { askRedis, type RedisLogin, readAsked } from './redis-cli.js';
import type { RedisDeployment } from './redis-deployment.js';

/** Nodes of one deployment that are asked at once. */
const NODES_AT_ONCE = 8;

/**
 * - what `forge deploy` would do with it
 * - `extra`: forge.yaml does not name it
 * - `left`: a deployment that was ended halfway has left it
 * - `other`: whether forge.yaml wants it could not be found out; only how it runs is judged here
 */
export type Wanted = DeployActionKind | 'extra' | 'left' | 'other';

export interface ContainerStatus {
  /** As forge.yaml names the node; null for everything else. */
  readonly node: string | null;
  readonly host: string;
  readonly container: string;
  readonly role: string;
  /** Null when there is no container. */
  readonly image: string | null;
  /** What the program itself says, such as `8.0.2`; null when it cannot be asked. */
  readonly version: string | null;
  /** As docker has it: `running`, `exited`, `created`, …; `absent` without a container. */
  readonly phase: string;
  readonly startedAt: string | null;
  readonly restarts: number;
  /** `healthy`, `unhealthy`, `starting`; null when nothing looks. */
  readonly health: string | null;
  /** Resident, bytes. */
  readonly memoryBytes: number | null;
  /** Null without a limit. */
  readonly memoryLimitBytes: number | null;
  readonly ports: readonly string[];
  readonly wanted: Wanted;
  /** What is different, a line each. */
  readonly differences: readonly string[];
  /** What is wrong with how it runs; null when nothing is. */
  readonly fault: string | null;
}

export interface HostFault {
  readonly host: string;
  readonly message: string;
  readonly next: readonly string[];
}

export interface KeptVolume {
  readonly host: string;
  readonly volume: string;
  readonly content: string;
}

export interface DeployStatus {
  readonly cluster: string;
  /** Whether everything runs, is healthy, and is as it is to be. */
  readonly asWanted: boolean;
  readonly containers: readonly ContainerStatus[];
  /** Hosts that could not be looked at. */
  readonly hosts: readonly HostFault[];
  /** Volumes that no container has. */
  readonly kept: readonly KeptVolume[];
}

export interface StatusChoice {
  /** Also what forge.yaml does not name. */
  readonly extras: boolean;
}

/** What another command than `forge deploy redis` deploys. */
export interface StatusPart {
  /** Of its containers. */
  readonly roles: ReadonlySet<string>;
  /** forge.yaml wants it; else it is judged only where there is some of it. */
  readonly expected: boolean;
  /** Undefined: nothing of it is wanted. @throws ForgeError for what it needs and is not there, such as a secret */
  deployment(): Promise<Deployment | undefined>;
  /** Of the host, on which a container serves. */
  portsOf(role: string): readonly number[];
}

/**
 * @param redis looks at every host that is meant, though no node is on it
 * @throws ForgeError when no host at all can be looked at
 */
export async function deployStatus(
  redis: RedisDeployment,
  { extras }: StatusChoice,
  parts: readonly StatusPart[] = [],
): Promise<DeployStatus> {
  const { deployment } = redis;
  const faults: HostFault[] = [];
  await deployment.look((host, { message, next }) => faults.push({ host, message, next }));
  const { actions, obstacles } = deployment.plan();
  const wanted = await inTurn(actions, async (action) => wantedStatus(redis, action, obstacles));
  const others = await Promise.all(parts.map((part) => partStatus(part, deployment)));
  const keyOf = ({ host, options }: DesiredContainer) => `${deployment.engineKey(host)} ${options.name}`;
  const names = new Set([deployment.desired, ...others.map(({ desired }) => desired)].flat().map(keyOf));
  const judged = new Set([...NODE_ROLES, ...others.flatMap(({ roles }) => roles)]);
  const found = oncePerEngine(deployment).flatMap((name): ContainerStatus[] => {
    const seen = deployment.seen(name);
    return seen === undefined || !extras ? [] : extraStatuses(names, judged, name, deployment.engineKey(name), seen);
  });
  faults.push(...others.flatMap(({ fault }) => (fault === undefined ? [] : [fault])));
  const containers = [...wanted, ...others.flatMap((each) => each.containers), ...found].sort((a, b) =>
    a.host === b.host ? 0 : a.host < b.host ? -1 : 1,
  );
  return {
    cluster: deployment.cluster,
    asWanted: faults.length === 0 && containers.every(isAsWanted),
    containers,
    hosts: faults,
    kept: extras ? keptVolumes(deployment) : [],
  };
}

/** Hosts that could be looked at, of each engine the first. */
function oncePerEngine(deployment: Deployment): string[] {
  const reached = deployment.hosts.filter((host) => deployment.seen(host) !== undefined);
  const engines = reached.map((host) => deployment.engineKey(host));
  return reached.filter((_, index) => engines.indexOf(engines[index] ?? '') === index);
}

interface JudgedPart {
  readonly containers: readonly ContainerStatus[];
  readonly desired: readonly DesiredContainer[];
  /** Those that were judged. */
  readonly roles: readonly string[];
  readonly fault?: HostFault;
}

const NOT_JUDGED: JudgedPart = { containers: [], desired: [], roles: [] };

async function partStatus(part: StatusPart, seenAlready: Deployment): Promise<JudgedPart> {
  const reached = seenAlready.hosts.filter((host) => seenAlready.seen(host) !== undefined);
  const some = reached.some((host) => seenAlready.seen(host)?.containers.some(({ role }) => part.roles.has(role)));
  if (!part.expected && !some) return NOT_JUDGED;
  try {
    const deployment = await part.deployment();
    if (deployment === undefined) return { ...NOT_JUDGED, roles: [...part.roles] };
    // Hosts that do not answer are told of already.
    await deployment.look(() => {});
    const { actions, obstacles } = deployment.plan();
    const containers = await inTurn(actions, async (action): Promise<ContainerStatus> => {
      const { desired, observed } = action;
      const published = observed?.published ?? [];
      const runs = observed?.status === 'running';
      const facts = runs ? await programFacts(deployment.engine(desired.host), observed) : NO_FACTS;
      return {
        node: null,
        role: desired.role,
        ...plannedStatus(action, obstacles),
        ...containerFacts(observed, published.length > 0 ? published : part.portsOf(desired.role).map(String)),
        version: facts.version,
        memoryBytes: facts.memoryBytes,
        fault: observed === undefined ? ABSENT : containerFault(observed),
      };
    });
    return { containers, desired: deployment.desired, roles: [...part.roles] };
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    const { message, next } = error;
    return { ...NOT_JUDGED, fault: { host: error.host ?? [...part.roles].join(', '), message, next } };
  }
}

/** What is the same of all that forge.yaml wants. That it does not run is its fault, and no difference besides. */
function plannedStatus({ desired, observed, kind, reasons }: DeployAction, obstacles: readonly DeployObstacle[]) {
  const state = kind === 'start' && observed !== undefined ? stateReason(observed) : undefined;
  const inTheWay = obstacles.filter((each) => each.host === desired.host && isAbout(each, desired));
  return {
    host: desired.host,
    container: desired.options.name,
    wanted: kind,
    differences: [...inTheWay.map(({ message }) => message), ...reasons.filter((reason) => reason !== state)],
  };
}

const ABSENT = 'there is no container';

/** Pure. */
export function isAsWanted({ wanted, fault }: Pick<ContainerStatus, 'wanted' | 'fault'>): boolean {
  return fault === null && (wanted === 'unchanged' || wanted === 'other');
}

async function wantedStatus(
  redis: RedisDeployment,
  action: DeployAction,
  obstacles: readonly DeployObstacle[],
): Promise<ContainerStatus> {
  const { desired, observed } = action;
  const node = redis.nodeOf(action);
  const { name } = desired.options;
  const facts =
    observed?.status === 'running' ? await nodeFacts(redis.deployment, desired.host, name, redis.login) : NO_FACTS;
  return {
    node: formatAddress(node),
    role: desired.role,
    ...plannedStatus(action, obstacles),
    ...containerFacts(observed, portsOf(node, observed)),
    version: facts.version,
    memoryBytes: facts.memoryBytes,
    fault: (observed === undefined ? ABSENT : containerFault(observed)) ?? facts.fault,
  };
}

function isAbout({ kind, name }: DeployObstacle, { options }: DesiredContainer): boolean {
  return kind === 'no-image' ? name === options.image : name.startsWith(options.name);
}

function extraStatuses(
  wantedKeys: ReadonlySet<string>,
  judged: ReadonlySet<string>,
  host: string,
  engine: string,
  seen: ObservedHost,
): ContainerStatus[] {
  const names = new Set(
    [...wantedKeys].filter((key) => key.startsWith(`${engine} `)).map((key) => key.slice(engine.length + 1)),
  );
  return seen.containers.flatMap((observed): ContainerStatus[] => {
    if (names.has(observed.name)) return [];
    const wanted = wantedOfExtra(observed, names, judged);
    return [
      {
        node: null,
        host,
        container: observed.name,
        role: observed.role || '-',
        ...containerFacts(observed, observed.published),
        version: null,
        memoryBytes: null,
        wanted,
        differences: DIFFERENCE_OF[wanted],
        fault: containerFault(observed),
      },
    ];
  });
}

const DIFFERENCE_OF: Readonly<Partial<Record<Wanted, readonly string[]>>> &
  Record<'extra' | 'left' | 'other', string[]> = {
  extra: ['forge.yaml does not name it'],
  left: ['left by a deployment that was ended halfway; the same command again puts it right'],
  other: [],
};

/** Without a role nobody else has use for it. */
const NODE_ROLES: ReadonlySet<string> = new Set(['redis', '']);

/**
 * What a container is that forge.yaml does not name. Pure.
 * @param judged roles of which all containers are known that forge.yaml wants
 */
export function wantedOfExtra(
  { name, role }: Pick<ObservedContainer, 'name' | 'role'>,
  wantedNames: ReadonlySet<string>,
  judged: ReadonlySet<string> = NODE_ROLES,
): 'extra' | 'left' | 'other' {
  if (wantedNames.has(name.replace(/-(?:previous|next|trial)$/, ''))) return 'left';
  return judged.has(role) ? 'extra' : 'other';
}

function containerFacts(observed: ObservedContainer | undefined, ports: readonly string[]) {
  return {
    image: observed?.image ?? null,
    phase: observed?.status ?? 'absent',
    startedAt: observed?.status === 'running' ? observed.startedAt : null,
    restarts: observed?.restarts ?? 0,
    health: observed?.health ?? null,
    memoryLimitBytes: observed?.memoryLimitBytes ?? null,
    ports,
  };
}

/** What of its state is not in order; null when nothing is. Pure. */
export function containerFault({
  status,
  health,
  exitCode,
  outOfMemory,
}: Pick<ObservedContainer, 'status' | 'health' | 'exitCode' | 'outOfMemory'>): string | null {
  if (status === 'running') return health === 'unhealthy' ? 'its health check fails' : null;
  if (status === 'restarting') return `it ends again and again (code ${exitCode})${outOfMemory ? MEMORY : ''}`;
  if (status === 'exited') return `it has ended (code ${exitCode})${outOfMemory ? MEMORY : ''}`;
  return status === 'created' ? 'it was never started' : `it is ${status}`;
}

const MEMORY = ': it was out of memory';

function portsOf({ port, busPort }: DeployNode, observed: ObservedContainer | undefined): readonly string[] {
  if (observed !== undefined && observed.published.length > 0) return observed.published;
  return [String(port), String(busPort)];
}

interface NodeFacts {
  readonly version: string | null;
  readonly memoryBytes: number | null;
  readonly fault: string | null;
}

const NO_FACTS: NodeFacts = { version: null, memoryBytes: null, fault: null };

async function nodeFacts(deployment: Deployment, host: string, name: string, login: RedisLogin): Promise<NodeFacts> {
  try {
    return factsOf(readAsked(await deployment.engine(host).run(askRedis(name, login, ['INFO']))));
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    return { ...NO_FACTS, fault: 'it does not answer' };
  }
}

/** What INFO says of a server's version and memory, and whether it serves. Pure. */
export function factsOf(info: string): NodeFacts {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const version = field('valkey_version') ?? field('redis_version');
  if (version === undefined) {
    const said = info.trim().split('\n')[0]?.trim() ?? '';
    return { ...NO_FACTS, fault: said === '' ? 'it does not answer' : `it does not let forge ask: ${said}` };
  }
  const memory = Number(field('used_memory_rss'));
  return {
    version,
    memoryBytes: Number.isFinite(memory) ? memory : null,
    fault: field('loading') === '1' ? 'it loads its data' : writeFault(field),
  };
}

function writeFault(field: (name: string) => string | undefined): string | null {
  if (field('aof_last_write_status') === 'err') {
    const refuses = field('role') === 'master' ? ', and refuses writes' : '';
    return `it cannot write its append-only file${refuses}: is the disk full?`;
  }
  return field('rdb_last_bgsave_status') === 'err' ? 'its last snapshot failed: is the disk full?' : null;
}

function keptVolumes(deployment: Deployment): KeptVolume[] {
  return oncePerEngine(deployment).flatMap((host) => {
    const seen = deployment.seen(host);
    return unusedVolumes(seen).map(({ name, content }) => ({ host, volume: name, content: content || 'unknown' }));
  });
}

/** Volumes of the cluster that no container of it has. Pure. */
export function unusedVolumes(seen: Pick<ObservedHost, 'containers' | 'volumes'> | undefined): ObservedHost['volumes'] {
  const used = new Set((seen?.containers ?? []).flatMap(({ volumes }) => volumes));
  return (seen?.volumes ?? []).filter(({ name }) => !used.has(name));
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let index = 0; index < items.length; index += NODES_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(index, index + NODES_AT_ONCE).map(work))));
  }
  return results;
}
