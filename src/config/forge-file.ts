/** What forge.yaml says: clusters, their nodes, and where their secrets are. Pure. */
import * as z from 'zod/mini';
import { formatAddress, type NodeAddress, parseAddress } from '../cluster/address.js';
import { ForgeError } from '../errors.js';
import { name as anyName, oneOf, whole } from '../proxy/config/values.js';
import { parseYaml } from '../proxy/config/yaml.js';
import { backup } from './backup-schema.js';
import {
  hosts,
  monitoring,
  type NodeAnnounceSection,
  nodeDeployFields,
  proxy,
  redis,
} from './deploy-settings-schema.js';
import { logs } from './logs-schema.js';
import { file, secretPlace } from './schema-values.js';

/** The largest cluster that Redis recommends has 1,000 nodes. */
const NODES_MAX = 10_000;
const CLUSTERS_MAX = 1_000;
const DEFAULT_PORT = 6379;
/** As `--weight` has it. */
const WEIGHT_MAX = 100_000;

const CLUSTER_NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;
const clusterName = z
  .string({ error: 'the name of the cluster' })
  .check(z.regex(CLUSTER_NAME, 'up to 32 lower-case letters, digits and dashes, a letter or digit first'));

export type { SecretPlace } from './schema-values.js';

const weight = z
  .number({ error: 'a number from 0 to 100000' })
  .check(z.gte(0, 'a number from 0 to 100000'), z.lte(WEIGHT_MAX, 'a number from 0 to 100000'));

const nodeFields = z.strictObject(
  {
    host: z.string({ error: 'a host name or an IP address' }),
    port: z._default(whole(1, 65_535), DEFAULT_PORT),
    zone: z.optional(z.string()),
    role: z.optional(oneOf(['master', 'replica'])),
    weight: z.optional(weight),
    ...nodeDeployFields,
  },
  {
    error: (issue) =>
      issue.code === 'invalid_type' ? 'host:port@zone, or host, port, zone, role and weight' : undefined,
  },
);

/** `redis-1:6379@zone-a`, or the same by fields. */
const node = z.pipe(
  z.transform((value: unknown, context): unknown => {
    if (typeof value !== 'string') return value;
    const parsed = readAddress(value);
    if (typeof parsed !== 'string') return parsed;
    context.issues.push({ code: 'custom', message: parsed, input: undefined });
    return z.NEVER;
  }),
  z.pipe(
    nodeFields,
    z.transform((fields: z.infer<typeof nodeFields>, context): ForgeNode => {
      const host = fields.host.includes(':') ? `[${fields.host.replace(/^\[|\]$/g, '')}]` : fields.host;
      const zone = fields.zone === undefined ? '' : `@${fields.zone}`;
      const parsed = readAddress(`${host}:${fields.port}${zone}`);
      if (typeof parsed !== 'string') {
        const { host: _host, port: _port, zone: _zone, ...rest } = fields;
        return { ...parsed, ...rest };
      }
      context.issues.push({ code: 'custom', message: parsed, input: undefined });
      return z.NEVER;
    }),
  ),
);

export interface ForgeNode extends NodeAddress {
  /** What it is to be when the cluster is formed; a failover changes it. */
  role?: 'master' | 'replica';
  /** Its share of the slots as a master, where one without a weight has 1; 0 for none. */
  weight?: number;
  /** A name of `hosts`: where it is deployed. */
  docker_host?: string;
  bus_port?: number;
  announce?: NodeAnnounceSection;
}

/** The address, or what is wrong with it; a text that looks like it holds a password is never repeated. */
function readAddress(text: string): NodeAddress | string {
  try {
    return parseAddress(text, { defaultPort: DEFAULT_PORT });
  } catch (error) {
    if (error instanceof ForgeError) return error.message;
    throw error;
  }
}

const tls = z.pipe(
  z.transform((value: unknown): unknown => (value === true ? {} : value)),
  z.strictObject(
    {
      ca: z.optional(file),
      certificate: z.optional(file),
      key: z.optional(file),
      server_name: z.optional(anyName),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'true, or ca, certificate, key and server_name' : undefined) },
  ),
);

const settings = {
  nodes: z._default(
    z.array(node).check(
      z.maxLength(NODES_MAX),
      z.superRefine((nodes, context) => {
        const seen = new Set<string>();
        nodes.forEach((each, index) => {
          const text = formatAddress(each);
          if (seen.has(text)) context.addIssue({ code: 'custom', path: [index], message: `${text} is there twice` });
          seen.add(text);
        });
      }),
    ),
    [],
  ),
  credentials: z.optional(
    z
      .strictObject({ username: z.optional(anyName), password: z.optional(secretPlace) })
      .check(z.refine((each) => Object.keys(each).length > 0, 'username, password or both')),
  ),
  tls: z.optional(tls),
  replicas_per_master: z.optional(whole(0, 100)),
  hosts,
  redis,
  proxy,
  monitoring,
  backup,
  logs,
};

const several = z.strictObject({
  /** The one that is meant when none is named. */
  default: z.optional(clusterName),
  clusters: z.record(clusterName, z.strictObject(settings)),
});
const single = z.strictObject({ cluster: clusterName, ...settings });

export type ClusterSettings = Omit<z.infer<typeof single>, 'cluster'>;

export interface ForgeCluster extends ClusterSettings {
  readonly name: string;
}

export interface ForgeFile {
  readonly clusters: readonly ForgeCluster[];
  /** The cluster that is meant when none is named; undefined when there are several and none is the default. */
  readonly defaultName?: string;
}

/**
 * Reads forge.yaml: one cluster, or several under `clusters`. An empty file is one without clusters.
 * @param source the file's name, for messages
 * @throws ConfigError with every fault, its line, and the nearest right key for an unknown one
 */
export function parseForgeFile(text: string, source: string): ForgeFile {
  if (/^(?:\s|#.*|---)*$/.test(text)) return { clusters: [] };
  if (!/^["']?clusters["']?\s*:/m.test(text)) {
    const { cluster, ...rest } = parseYaml(text, source, single);
    return { clusters: [{ name: cluster, ...rest }], defaultName: cluster };
  }
  const parsed = parseYaml(text, source, several, ({ default: chosen, clusters }) => {
    const names = Object.keys(clusters);
    const problems = [];
    if (names.length === 0 || names.length > CLUSTERS_MAX) {
      problems.push({ path: ['clusters'], message: `1 to ${CLUSTERS_MAX} clusters` });
    }
    if (chosen !== undefined && !names.includes(chosen)) {
      problems.push({ path: ['default'], message: `one of ${names.join(', ')}` });
    }
    return problems;
  });
  const clusters = Object.entries(parsed.clusters).map(([name, each]) => ({ name, ...each }));
  const defaultName = parsed.default ?? (clusters.length === 1 ? clusters[0]?.name : undefined);
  return { clusters, ...(defaultName === undefined ? {} : { defaultName }) };
}
