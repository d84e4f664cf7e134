/** The sections of forge.yaml that `forge deploy` is about: hosts, redis, proxy, monitoring. Pure. */
import * as z from 'zod/mini';
import { ForgeError } from '../errors.js';
import { address, name as anyName, distinct, duration, oneOf, whole } from '../proxy/config/values.js';
import { parseServerVersion, type ServerVersion } from '../redis-config/version.js';
import { watchFields, webhook } from './monitoring-schema.js';
import { dockerName, file, image, memory, secretPlace } from './schema-values.js';

const HOSTS_MAX = 1_000;
const CPUS_MAX = 1_024;
/** Users of a node beside the known ones. */
const USERS_MAX = 1_000;
/** Names that redis.conf has are some 250. */
const SETTINGS_MAX = 500;
const LINES_MAX = 64;

const port = whole(1, 65_535);

/** A setting that may be switched off. `what` is told where it is neither. */
const orOff = <Schema extends z.core.SomeType>(schema: Schema, what: string) =>
  z.pipe(
    // A word of YAML 1.1; YAML 1.2 reads it as text.
    z.transform((value: unknown): unknown => (value === 'off' ? false : value)),
    z.union([z.literal(false), schema], { error: ({ errors }) => unionMessage(errors, what) }),
  );

/** What the last schema of a union has to say of something inside it; `what` where the kind of value is wrong. */
function unionMessage(errors: unknown, what: string): string {
  const first = (errors as readonly (readonly { code: string; path: unknown[]; message: string }[])[]).at(-1)?.[0];
  return first === undefined || (first.code === 'invalid_type' && first.path.length === 0) ? what : first.message;
}

const ENDPOINT = /^(?:unix:\/\/\/\S+|ssh:\/\/(?:[^\s@/:]+@)?[^\s@/]+(?:\/\S*)?|tcp:\/\/[^\s@/]+)$/;

const hostEntry = z
  .strictObject({
    docker: z.optional(
      z
        .string()
        .check(
          z.regex(ENDPOINT, 'unix:///var/run/docker.sock, ssh://user@host or tcp://host:2376, without a password'),
        ),
    ),
    context: z.optional(dockerName),
    address: z.optional(
      z.string().check(z.regex(/^[A-Za-z0-9_.:-]{1,253}$/, 'an address or a host name, without a port')),
    ),
  })
  .check(z.refine((host) => host.docker === undefined || host.context === undefined, 'docker or context, not both'));

export const hosts = z.optional(
  z
    .record(dockerName, hostEntry)
    .check(z.refine((all) => Object.keys(all).length <= HOSTS_MAX, `up to ${HOSTS_MAX} hosts`)),
);

const version = z.pipe(
  z.string({ error: 'a version in quotes, such as "8.0" or "valkey-9.1"' }),
  z.transform((text: string, context): ServerVersion => {
    try {
      return parseServerVersion(text);
    } catch (error) {
      if (!(error instanceof ForgeError)) throw error;
      context.issues.push({ code: 'custom', message: `${error.message} ${error.next.join(' ')}`, input: text });
      return z.NEVER;
    }
  }),
);

const cpus = z
  .number({ error: 'a number of processors such as 2 or 0.5' })
  .check(z.gte(0.01, 'at least 0.01'), z.lte(CPUS_MAX, `at most ${CPUS_MAX}`));

const SUBNET = /^(?:\d{1,3}\.){3}\d{1,3}\/\d{1,2}$|^[0-9a-fA-F:]+\/\d{1,3}$/;
const network = {
  network: z.optional(dockerName),
  subnet: z.optional(z.string().check(z.regex(SUBNET, 'a subnet such as 172.28.0.0/16'))),
};

const DATA = 'volume, or the absolute path of a folder on the Docker host';
const data = z.string({ error: DATA }).check(z.regex(/^(?:volume|\/[^\p{Cc}:,]*)$/u, DATA));

const scalar = z.union([z.string(), z.number(), z.boolean()], { error: 'a value, or a list of values' });
const setting = z.pipe(
  z.union([scalar, z.array(scalar).check(z.maxLength(LINES_MAX))], { error: 'a value, or a list of values' }),
  z.transform((value): readonly string[] => (Array.isArray(value) ? value : [value]).map(settingText)),
);

function settingText(value: string | number | boolean): string {
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
}

const settings = z
  .record(z.string(), setting)
  .check(z.refine((all) => Object.keys(all).length <= SETTINGS_MAX, `up to ${SETTINGS_MAX} settings`));

const userName = z
  .string({ error: 'the name of a user' })
  .check(z.regex(/^[A-Za-z0-9_-]{1,64}$/, 'up to 64 letters, digits, dashes and underscores'));
const rules = z.string({ error: 'rules such as ~cache:* +@read' }).check(
  z.maxLength(4096),
  z.regex(/^[^\p{Cc}]*$/u, 'one line'),
  z.refine((text) => !/(?:^|\s)[#<>!]|(?:^|\s)nopass(?:\s|$)/.test(text), 'no passwords among the rules'),
);
/** Rules of these are what forge itself needs. */
const fixedUser = z.strictObject({ name: z.optional(userName), password: z.optional(secretPlace) });
const user = z.strictObject({
  name: z.optional(userName),
  password: z.optional(secretPlace),
  rules: z.optional(rules),
});
const withoutName = z.strictObject({ password: z.optional(secretPlace) });
const users = z.strictObject({
  admin: z.optional(fixedUser),
  app: z.optional(user),
  readonly: z.optional(orOff(user, 'off, or name, password and rules')),
  monitor: z.optional(orOff(user, 'off, or name, password and rules')),
  replication: z.optional(fixedUser),
  default: z.optional(orOff(withoutName, 'off, or password')),
  further: z.optional(
    z
      .record(userName, z.strictObject({ password: secretPlace, rules }))
      .check(z.refine((all) => Object.keys(all).length <= USERS_MAX, `up to ${USERS_MAX} users`)),
  ),
});

const tls = z.pipe(
  z.transform((value: unknown): unknown => (value === true ? {} : value)),
  z.union(
    [
      z.literal(false),
      z.strictObject({
        directory: z._default(file, 'certs'),
        auth_clients: z._default(oneOf(['yes', 'no', 'optional']), 'optional'),
      }),
    ],
    { error: ({ errors }) => unionMessage(errors, 'true, false, or directory and auth_clients') },
  ),
);

export const redisFields = {
  version: z.optional(version),
  image: z.optional(image),
  base_image: z.optional(image),
  build: z.optional(z.boolean()),
  ...network,
  memory: z.optional(memory),
  cpus: z.optional(cpus),
  data: z.optional(data),
  nofile: z.optional(whole(1_024, 1_048_576)),
  tls: z.optional(tls),
  announce: z.optional(z.strictObject({ preferred: z.optional(oneOf(['ip', 'hostname', 'unknown-endpoint'])) })),
  users: z.optional(users),
  settings: z.optional(settings),
};
export const redis = z.optional(z.strictObject(redisFields));

export const proxyFields = {
  /** The proxy's own configuration. */
  config: z.optional(file),
  /** Where applications connect. */
  endpoint: z.optional(address),
  admin: z.optional(address),
  image: z.optional(image),
  base_image: z.optional(image),
  build: z.optional(z.boolean()),
  hosts: z.optional(distinct(dockerName, 1, HOSTS_MAX)),
  replicas: z.optional(whole(1, HOSTS_MAX)),
  port: z.optional(port),
  admin_port: z.optional(port),
  workers: z.optional(whole(1, 256)),
  ...network,
  memory: z.optional(memory),
  cpus: z.optional(cpus),
};
export const proxy = z.optional(z.strictObject(proxyFields));

const program = {
  image: z.optional(image),
  port: z.optional(port),
  memory: z.optional(memory),
  cpus: z.optional(cpus),
};
const exporter = z.strictObject(program);
const nodeExporter = z.strictObject({ ...program, mounts: z.optional(oneOf(['followed', 'fixed'])) });
const placed = { host: z.optional(dockerName), ...program };
const RETENTION_DAYS_MAX = 36_500;

export const monitoringFields = {
  redis_exporter: z.optional(orOff(exporter, 'off, or image and port')),
  node_exporter: z.optional(orOff(nodeExporter, 'off, or image and port')),
  prometheus: z.optional(z.strictObject({ ...placed, retention_days: z.optional(whole(1, RETENTION_DAYS_MAX)) })),
  alertmanager: z.optional(
    z.strictObject({
      ...placed,
      discord: z.optional(z.strictObject({ webhook: secretPlace })),
      slack: z.optional(z.strictObject({ webhook: secretPlace, channel: z.optional(anyName) })),
      mail: z.optional(
        z.strictObject({
          to: z
            .array(z.string().check(z.regex(/^[^\s@,]+@[^\s@,]+$/, 'an address of mail')))
            .check(z.minLength(1), z.maxLength(100)),
          from: z.string().check(z.regex(/^[^\s@,]+@[^\s@,]+$/, 'an address of mail')),
          smarthost: address,
          username: z.optional(anyName),
          password: z.optional(secretPlace),
        }),
      ),
      webhook: z.optional(webhook),
    }),
  ),
  grafana: z.optional(z.strictObject({ ...placed, password: z.optional(secretPlace) })),
  base_image: z.optional(image),
  scrape_interval: z.optional(duration(1_000, 3_600_000)),
  ...watchFields,
};
export const monitoring = z.optional(z.strictObject(monitoringFields));

export type HostsSection = NonNullable<z.infer<typeof hosts>>;
export type RedisSection = NonNullable<z.infer<typeof redis>>;
export type UsersSection = NonNullable<RedisSection['users']>;
export type ProxySection = NonNullable<z.infer<typeof proxy>>;
export type MonitoringSection = NonNullable<z.infer<typeof monitoring>>;

/** What a node of `nodes` may say for its deployment. */
export const nodeDeployFields = {
  docker_host: z.optional(dockerName),
  bus_port: z.optional(port),
  announce: z.optional(
    z.strictObject({
      ip: z.optional(z.string().check(z.regex(/^[0-9a-fA-F.:]{2,45}$/, 'an IP address'))),
      hostname: z.optional(z.string().check(z.regex(/^[A-Za-z0-9_.-]{1,253}$/, 'a host name'))),
      port: z.optional(port),
      bus_port: z.optional(port),
    }),
  ),
};
export type NodeAnnounceSection = NonNullable<z.infer<(typeof nodeDeployFields)['announce']>>;
