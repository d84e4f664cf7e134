import { z } from 'zod';

/**
 * The proxy's configuration. Words follow Envoy's (redis_proxy and cluster configuration), so that what operators know
 * carries over; `docs/proxy.md` describes every setting.
 */

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `250ms`, `1.5s`, `2m`, `1h` → milliseconds. */
function duration(minMs: number, maxMs: number) {
  return z
    .string({ error: 'a duration such as 250ms, 5s or 1m' })
    .regex(DURATION, 'a duration such as 250ms, 5s or 1m')
    .transform((text) => {
      const [, number, unit] = DURATION.exec(text) as unknown as [string, string, string];
      return Math.round(Number(number) * (MS_PER_UNIT[unit] as number));
    })
    .refine((ms) => ms >= minMs && ms <= maxMs, `between ${minMs} ms and ${maxMs} ms`);
}

const ADDRESS = /^(?:\[([0-9a-fA-F:.%]+)\]|([^\s:[\]]+)):(\d{1,5})$/;

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

const address = z.string({ error: 'host:port' }).transform((text, context): Address => {
  const read = readAddress(text);
  if (read !== null) return read;
  context.addIssue({ code: 'custom', message: 'host:port or [ipv6]:port' });
  return z.NEVER;
});

/** Where a secret is; the configuration itself should not hold it. */
const secret = z
  .strictObject({
    inline: z.string().optional(),
    environment: z.string().min(1).optional(),
    filename: z.string().min(1).optional(),
  })
  .refine((source) => Object.values(source).filter((value) => value !== undefined).length === 1, {
    message: 'exactly one of filename, environment, inline',
  });

export type SecretSource = z.infer<typeof secret>;

const listener = z.strictObject({
  name: z.string().min(1).default('redis'),
  address,
  /** Part of the statistics' names. */
  stat_prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/, 'letters, digits, _ and -')
    .default('egress_redis'),
  /** Name of the cluster that serves this listener. */
  cluster: z.string().min(1),
  downstream_auth_username: z.string().min(1).optional(),
  downstream_auth_passwords: z.array(secret).max(16).default([]),
});

const settings = z
  .strictObject({
    /** How long a command may take in all, waiting and retries counted in. */
    op_timeout: duration(10, 3_600_000).default(5000),
  })
  .prefault({});

const cluster = z.strictObject({
  name: z.string().min(1),
  type: z.literal('redis_cluster').default('redis_cluster'),
  /** Any nodes of the cluster; the others are found from them. */
  endpoints: z.array(address).min(1).max(1024),
  auth_username: z.string().min(1).optional(),
  auth_password: secret.optional(),
  connect_timeout: duration(10, 600_000).default(1000),
  /** How often the topology is read when nothing calls for it. */
  cluster_refresh_rate: duration(100, 3_600_000).default(5000),
  cluster_refresh_timeout: duration(10, 600_000).default(3000),
  /** Least time between two reads of the topology, whatever calls for them. */
  redirect_refresh_interval: duration(10, 600_000).default(100),
  settings,
});

export const proxyConfig = z
  .strictObject({
    admin: z.strictObject({ address }).optional(),
    listeners: z.array(listener).min(1).max(1),
    clusters: z.array(cluster).min(1).max(1),
    /** Threads that serve clients; by default one for each core. */
    workers: z.int().min(1).max(256).optional(),
    log_level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  })
  .superRefine((config, context) => {
    const names = new Set(config.clusters.map((each) => each.name));
    config.listeners.forEach((each, index) => {
      if (names.has(each.cluster)) return;
      context.addIssue({
        code: 'custom',
        path: ['listeners', index, 'cluster'],
        message: `no cluster is named '${each.cluster}'; there is ${[...names].map((name) => `'${name}'`).join(', ')}`,
      });
    });
  });

export type ProxyConfig = z.infer<typeof proxyConfig>;
export type ClusterConfig = ProxyConfig['clusters'][number];
export type ListenerConfig = ProxyConfig['listeners'][number];
