import { type ClusterConfig, formatAddress } from '../../config/schema.js';
import type { ShardedConfig, ShardedEndpoint } from '../../config/sharded.js';
import type { Logger } from '../logger.js';
import { RefreshedHosts } from './refreshed-hosts.js';
import type { ShardHost } from './sharded.js';

/** Loaded when names are looked up: it takes 5 MB. */
const isIP = (text: string) => process.getBuiltinModule('node:net').isIP(text);

/** Addresses of one name that are used. */
const ADDRESSES_MAX = 256;
/** Milliseconds between two rounds of lookups at least. */
const INTERVAL_MS = 100;

/** Finds the addresses of a name. */
export type Lookup = (name: string) => Promise<readonly { address: string; family: number }[]>;

/** The system's own resolver: its hosts file, its search list, its name servers. */
const systemLookup: Lookup = (name) => Bun.dns.lookup(name, { backend: 'libc', socketType: 'tcp' });

/**
 * Looks names up again and again, as Envoy's STRICT_DNS does: every address of a name is a host. The last good answer
 * stays while a name cannot be looked up, and the first table waits until all names have been found once, because keys
 * that were divided among some of the servers only would be in the wrong places.
 */
export class DnsHosts extends RefreshedHosts {
  private readonly answers = new Map<ShardedEndpoint, string[]>();

  constructor(
    cluster: ClusterConfig,
    private readonly config: ShardedConfig,
    private readonly found: (hosts: readonly ShardHost[]) => void,
    logger: Logger,
    private readonly lookup: Lookup = systemLookup,
  ) {
    super({
      what: `DNS of cluster ${cluster.name}`,
      rateMs: config.dnsRefreshRateMs,
      intervalMs: INTERVAL_MS,
      logger,
    });
  }

  protected async refresh(): Promise<void> {
    const { endpoints } = this.config;
    const results = await Promise.allSettled(endpoints.map((endpoint) => this.resolve(endpoint)));
    const errors: string[] = [];
    endpoints.forEach((endpoint, i) => {
      const result = results[i] as PromiseSettledResult<string[]>;
      if (result.status === 'fulfilled') this.answers.set(endpoint, result.value);
      else errors.push(`${endpoint.host}: ${(result.reason as Error).message}`);
    });
    if (this.answers.size === endpoints.length) this.found(this.hosts());
    if (errors.length > 0) throw new Error(errors.join('; '));
  }

  private async resolve({ host }: ShardedEndpoint): Promise<string[]> {
    if (isIP(host) !== 0) return [host];
    const answer = await this.lookup(host);
    // Both families of one server would be two hosts.
    const family = answer.some((each) => each.family === 4) ? 4 : 6;
    const addresses = new Set(answer.filter((each) => each.family === family).map(({ address }) => address));
    if (addresses.size === 0) throw new Error('has no address');
    return [...addresses].sort().slice(0, ADDRESSES_MAX);
  }

  private hosts(): ShardHost[] {
    const hosts = new Map<string, ShardHost>();
    for (const endpoint of this.config.endpoints) {
      const addresses = this.answers.get(endpoint) as string[];
      const { port, weight, hostname } = endpoint;
      // A name of its own stands for one server: the address that it had, while that is still among the answers.
      const used = hostname === null ? addresses : [this.steady(endpoint, addresses)];
      for (const host of used) {
        const key = hostname ?? formatAddress({ host, port });
        if (!hosts.has(key)) hosts.set(key, { key, host, port, weight, replicas: [] });
      }
    }
    return [...hosts.values()];
  }

  private readonly chosen = new Map<ShardedEndpoint, string>();

  private steady(endpoint: ShardedEndpoint, addresses: readonly string[]): string {
    const last = this.chosen.get(endpoint);
    const address = last !== undefined && addresses.includes(last) ? last : (addresses[0] as string);
    this.chosen.set(endpoint, address);
    return address;
  }
}
