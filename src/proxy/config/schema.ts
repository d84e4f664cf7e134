import * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';

// zod/mini keeps the executable's resident memory 5 MB below what zod takes; its messages come from the locale.
z.config(en());

/**
 * The proxy's configuration. Words follow Envoy's (redis_proxy and cluster configuration), so that what operators know
 * carries over; `docs/proxy.md` describes every setting.
 */

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `250ms`, `1.5s`, `2m`, `1h` → milliseconds. */
function duration(minMs: number, maxMs: number) {
  const text = z
    .string({ error: 'a duration such as 250ms, 5s or 1m' })
    .check(z.regex(DURATION, 'a duration such as 250ms, 5s or 1m'));
  const milliseconds = z.transform((value: string) => {
    const [, number, unit] = DURATION.exec(value) as unknown as [string, string, string];
    return Math.round(Number(number) * (MS_PER_UNIT[unit] as number));
  });
  return z.pipe(
    z.pipe(text, milliseconds),
    z.number().check(z.refine((ms) => ms >= minMs && ms <= maxMs, `between ${minMs} ms and ${maxMs} ms`)),
  );
}

/** A setting that need not be given. */
const withDefault = z._default;

const ADDRESS = /^(?:\[([0-9a-fA-F]*:[0-9a-fA-F:.%]*)\]|([^\s:[\]]+)):(\d{1,5})$/;

export interface Address {
  host: string;
  port: number;
}

/** `host:port` or `[ipv6]:port`; null when it is neither. */
export function readAddress(text: string): Address | null {
  const match = ADDRESS.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port > 65535) return null;
  return { host: (match[1] ?? match[2]) as string, port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

const address = z.pipe(
  z.string({ error: 'host:port' }),
  z.transform((text: string, context): Address => {
    const read = readAddress(text);
    if (read !== null) return read;
    context.issues.push({ code: 'custom', message: 'host:port or [ipv6]:port', input: text });
    return z.NEVER;
  }),
);

const name = z.string().check(z.minLength(1));

/** Where a secret is; the configuration itself should not hold it. */
const secret = z
  .strictObject({
    inline: z.optional(z.string()),
    environment: z.optional(name),
    filename: z.optional(name),
  })
  .check(
    z.refine(
      (source) => Object.values(source).filter((value) => value !== undefined).length === 1,
      'exactly one of filename, environment, inline',
    ),
  );

export type SecretSource = z.infer<typeof secret>;

const listener = z.strictObject({
  name: withDefault(name, 'redis'),
  address,
  /** Part of the statistics' names. */
  stat_prefix: withDefault(z.string().check(z.regex(/^[A-Za-z0-9_-]+$/, 'letters, digits, _ and -')), 'egress_redis'),
  /** Name of the cluster that serves this listener. */
  cluster: name,
  downstream_auth_username: z.optional(name),
  downstream_auth_passwords: withDefault(z.array(secret).check(z.maxLength(16)), []),
});

const settings = z.prefault(
  z.strictObject({
    /** How long a command may take in all, waiting and retries counted in. */
    op_timeout: withDefault(duration(10, 3_600_000), 5000),
  }),
  {},
);

const cluster = z.strictObject({
  name,
  type: withDefault(z.literal('redis_cluster'), 'redis_cluster'),
  /** Any nodes of the cluster; the others are found from them. */
  endpoints: z.array(address).check(z.minLength(1), z.maxLength(1024)),
  auth_username: z.optional(name),
  auth_password: z.optional(secret),
  connect_timeout: withDefault(duration(10, 600_000), 1000),
  /** How often the topology is read when nothing calls for it. */
  cluster_refresh_rate: withDefault(duration(100, 3_600_000), 5000),
  cluster_refresh_timeout: withDefault(duration(10, 600_000), 3000),
  /** Least time between two reads of the topology, whatever calls for them. */
  redirect_refresh_interval: withDefault(duration(10, 600_000), 100),
  settings,
});

export const proxyConfig = z
  .strictObject({
    admin: z.optional(z.strictObject({ address })),
    listeners: z.array(listener).check(z.minLength(1), z.maxLength(1)),
    clusters: z.array(cluster).check(z.minLength(1), z.maxLength(1)),
    /** Threads that serve clients; by default one for each core. */
    workers: z.optional(z.int().check(z.minimum(1), z.maximum(256))),
    log_level: withDefault(z.enum(['debug', 'info', 'warn', 'error']), 'info'),
  })
  .check(
    z.superRefine((config, context) => {
      const names = new Set(config.clusters.map((each) => each.name));
      config.listeners.forEach((each, index) => {
        if (names.has(each.cluster)) return;
        context.addIssue({
          code: 'custom',
          path: ['listeners', index, 'cluster'],
          message: `no cluster is named '${each.cluster}'; there is ${[...names].map((known) => `'${known}'`).join(', ')}`,
        });
      });
    }),
  );

export type ProxyConfig = z.infer<typeof proxyConfig>;
export type ClusterConfig = ProxyConfig['clusters'][number];
export type ListenerConfig = ProxyConfig['listeners'][number];
