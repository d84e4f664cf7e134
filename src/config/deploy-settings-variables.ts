/** What the environment and `--set NAME=VALUE` say about a deployment, put over what forge.yaml says. Pure. */
import { parse } from 'yaml';
import type * as z from 'zod/mini';
import { nearest } from '../proxy/config/nearest.js';
import {
  type MonitoringSection,
  monitoringFields,
  type ProxySection,
  proxyFields,
  type RedisSection,
  redisFields,
} from './deploy-settings-schema.js';

/** The sections that a deployment is made of. */
export interface DeploySections {
  readonly redis: RedisSection;
  readonly proxy: ProxySection;
  readonly monitoring: MonitoringSection;
}

export interface DeployProblem {
  /** The place in forge.yaml, from the cluster's own settings. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** The variable or flag that said it, where it is not forge.yaml. */
  readonly from?: string;
}

/** Variables of the bash suite (and a few like them), by the setting that each is. */
const VARIABLES = {
  REDIS_VERSION: 'redis.version',
  REDIS_IMAGE: 'redis.image',
  REDIS_BASE_IMAGE: 'redis.base_image',
  REDIS_MEMORY_LIMIT: 'redis.memory',
  REDIS_CPU_LIMIT: 'redis.cpus',
  REDIS_MAXMEMORY: 'maxmemory',
  REDIS_MAXMEMORY_POLICY: 'maxmemory-policy',
  REDIS_AOF_ENABLED: 'appendonly',
  REDIS_APPEND_FSYNC: 'appendfsync',
  REDIS_LOGLEVEL: 'loglevel',
  REDIS_IO_THREADS: 'io-threads',
  REDIS_TCP_BACKLOG: 'tcp-backlog',
  REDIS_MAX_CLIENTS: 'maxclients',
  ENVOY_LISTENER_PORT: 'proxy.port',
  ENVOY_ADMIN_PORT: 'proxy.admin_port',
  ENVOY_MEMORY_LIMIT: 'proxy.memory',
  ENVOY_CPU_LIMIT: 'proxy.cpus',
  REDIS_EXPORTER_PORT: 'monitoring.redis_exporter.port',
  REDIS_EXPORTER_IMAGE: 'monitoring.redis_exporter.image',
  NODE_EXPORTER_PORT: 'monitoring.node_exporter.port',
  NODE_EXPORTER_IMAGE: 'monitoring.node_exporter.image',
} as const;

/** Variables that say something about the one node of a deployment without `nodes`, or name users. */
export const NODE_VARIABLES = [
  'REDIS_PORT',
  'REDIS_CLUSTER_BUS_PORT',
  'REDIS_CLUSTER_ANNOUNCE_IP',
  'REDIS_CLUSTER_ANNOUNCE_PORT',
  'REDIS_CLUSTER_ANNOUNCE_BUS_PORT',
] as const;

export const USER_VARIABLES = {
  admin: { password: 'REDIS_REQUIREPASS' },
  app: { name: 'REDIS_ACL_USER', password: 'REDIS_ACL_PASS' },
  readonly: { name: 'REDIS_READONLY_USER', password: 'REDIS_READONLY_PASS' },
  monitor: { name: 'REDIS_MONITOR_USER', password: 'REDIS_MONITOR_PASS' },
  replication: { name: 'REDIS_REPLICATION_USER', password: 'REDIS_REPLICATION_PASS' },
} as const satisfies Record<string, { name?: string; password: string }>;

/** Every variable that a deployment is read from; `.env` may hold them. */
export const DEPLOY_VARIABLES: readonly string[] = [
  ...Object.keys(VARIABLES),
  ...NODE_VARIABLES,
  'DOCKER_NETWORK_SUBNET',
  'DEPLOY_EXPORTERS',
  ...Object.values(USER_VARIABLES).flatMap((each) => Object.values(each)),
];

const FIELDS: Readonly<Record<keyof DeploySections, Readonly<Record<string, z.core.SomeType>>>> = {
  redis: redisFields,
  proxy: proxyFields,
  monitoring: monitoringFields,
};

const SETS_MAX = 200;

interface Saying {
  readonly target: string;
  readonly text: string;
  readonly from: string;
  /** Below forge.yaml: only where that says nothing. */
  readonly below: boolean;
}

/** The sections with everything that was said put over them, and what of it is wrong. */
export function overlaid(
  sections: DeploySections,
  said: { readonly environment: NodeJS.ProcessEnv; readonly named: boolean; readonly set: readonly string[] },
): { readonly sections: DeploySections; readonly problems: readonly DeployProblem[]; readonly origins: Origins } {
  const problems: DeployProblem[] = [];
  const origins = new Map<string, string>();
  let result = sections;
  for (const saying of [...ofEnvironment(said.environment, said.named), ...ofFlags(said.set, problems)]) {
    const path = pathOf(saying.target);
    if (saying.below && hasValue(result, path)) continue;
    const outcome = put(result, path, saying.text);
    if (typeof outcome === 'string') problems.push({ path, message: outcome, from: saying.from });
    else {
      result = outcome;
      origins.set(path.join('.'), saying.from);
    }
  }
  return { sections: result, problems, origins };
}

/** By the path of a setting: the variable or flag that said it. What is not here comes from forge.yaml or is a default. */
export type Origins = ReadonlyMap<string, string>;

function ofEnvironment(environment: NodeJS.ProcessEnv, named: boolean): Saying[] {
  return Object.entries(VARIABLES).flatMap(([variable, target]) => {
    const text = environment[variable]?.trim();
    return text ? [{ target, text: target === 'appendonly' ? yesOrNo(text) : text, from: variable, below: named }] : [];
  });
}

/** Shells' words for it. */
function yesOrNo(text: string): string {
  if (/^(?:1|true|on)$/i.test(text)) return 'yes';
  return /^(?:0|false|off)$/i.test(text) ? 'no' : text;
}

function ofFlags(set: readonly string[], problems: DeployProblem[]): Saying[] {
  if (set.length > SETS_MAX) {
    problems.push({ path: [], message: `more than ${SETS_MAX} of them`, from: '--set' });
    return [];
  }
  return set.flatMap((each) => {
    const at = each.indexOf('=');
    if (at > 0)
      return [
        { target: each.slice(0, at), text: each.slice(at + 1), from: `--set ${each.slice(0, at)}`, below: false },
      ];
    // Not repeated: it may be a password that lost its name.
    problems.push({ path: [], message: 'NAME=VALUE is needed', from: '--set' });
    return [];
  });
}

/** `redis.memory` as it is; a name without a dot is one of redis.conf's. */
function pathOf(target: string): string[] {
  return target.includes('.') ? target.split('.') : ['redis', 'settings', target];
}

function hasValue(sections: DeploySections, path: readonly string[]): boolean {
  let value: unknown = sections;
  for (const step of path) value = (value as Record<string, unknown> | undefined)?.[step];
  return value !== undefined;
}

/** The sections with one value more, or what is wrong with it. */
function put(sections: DeploySections, path: readonly string[], text: string): DeploySections | string {
  const [section = '', field = '', ...deeper] = path;
  if (!Object.hasOwn(FIELDS, section)) return `unknown setting; ${hint(section, Object.keys(FIELDS))}`;
  const name = section as keyof DeploySections;
  const fields = FIELDS[name];
  const schema = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (schema === undefined) return `unknown setting; ${hint(field, Object.keys(fields))}`;
  const before = (sections[name] as Record<string, unknown>)[field];
  if (deeper.length > 1 || field === 'users') return 'is said in forge.yaml only';
  const wrap = (value: unknown) => (deeper[0] === undefined ? value : { [deeper[0]]: value });
  const parsed = firstRight(schema, candidates(text, name, field).map(wrap));
  if (typeof parsed === 'string') return parsed;
  const merged =
    deeper.length > 0 && typeof before === 'object' && before !== null && typeof parsed.value === 'object'
      ? { ...before, ...parsed.value }
      : parsed.value;
  return { ...sections, [name]: { ...sections[name], [field]: merged } };
}

/** A shell knows texts only: what they mean is what one of these is to the setting. */
function candidates(text: string, section: string, field: string): unknown[] {
  if (section === 'redis' && field === 'settings') return [text];
  let scalar: unknown;
  try {
    scalar = parse(text);
  } catch {
    return [text];
  }
  return typeof scalar === 'number' || typeof scalar === 'boolean' ? [text, scalar] : [text];
}

function firstRight(schema: z.core.SomeType, values: readonly unknown[]): { value: unknown } | string {
  let message: string | undefined;
  for (const value of values) {
    const result = (schema as z.ZodMiniType).safeParse(value);
    if (result.success) return { value: result.data };
    message ??= result.error.issues[0]?.message;
  }
  return message ?? 'is wrong';
}

function hint(word: string, known: readonly string[]): string {
  const guess = nearest(word, known);
  return guess === null ? `known here: ${known.join(', ')}` : `did you mean '${guess}'?`;
}
