/** What a cluster of `type: sharded` is made of, with every default in its place: plain data. */
import { MAGLEV_TABLE_SIZE, RING_SIZE_MAX, RING_SIZE_MIN } from './cluster.js';
import type { Address, ClusterConfig, SecretSource } from './schema.js';

/** A server, or a DNS name of servers. */
export interface ShardedEndpoint extends Address {
  /** 1 to 128. */
  readonly weight: number;
  /** Hashed in place of the address; null: the address is. */
  readonly hostname: string | null;
}

export interface ShardedConfig {
  readonly discovery: 'STATIC' | 'STRICT_DNS' | 'SENTINEL';
  /** Empty with SENTINEL. */
  readonly endpoints: readonly ShardedEndpoint[];
  /** Milliseconds between two lookups of each name; for STRICT_DNS. */
  readonly dnsRefreshRateMs: number;
  /** null except with SENTINEL. The password is resolved elsewhere. */
  readonly sentinel: {
    readonly endpoints: readonly Address[];
    readonly masters: readonly string[];
    readonly username: string;
    readonly password: SecretSource | null;
  } | null;
  readonly policy: 'MAGLEV' | 'RING_HASH';
  /** Entries of the Maglev table, a prime. */
  readonly tableSize: number;
  readonly minimumRingSize: number;
  readonly maximumRingSize: number;
  /** Hash of the hosts on the ring. */
  readonly hashFunction: 'XX_HASH' | 'MURMUR_HASH_2';
  readonly hashTags: boolean;
}

const DNS_REFRESH_MS = 5000;

/**
 * The sharding of a cluster. Pure.
 * @param cluster of `type: sharded`, validated
 */
export function shardedConfig(cluster: ClusterConfig): ShardedConfig {
  const { sentinel, ring_hash_lb_config: ring } = cluster;
  return {
    discovery: cluster.discovery ?? 'STATIC',
    endpoints: cluster.endpoints.map(({ host, port, load_balancing_weight: weight, hostname }) => ({
      host,
      port,
      weight: weight ?? 1,
      hostname: hostname ?? null,
    })),
    dnsRefreshRateMs: cluster.dns_refresh_rate ?? DNS_REFRESH_MS,
    sentinel:
      sentinel === undefined
        ? null
        : {
            endpoints: sentinel.endpoints,
            masters: sentinel.masters,
            username: sentinel.auth_username ?? '',
            password: sentinel.auth_password ?? null,
          },
    policy: cluster.lb_policy ?? 'MAGLEV',
    tableSize: cluster.maglev_lb_config?.table_size ?? MAGLEV_TABLE_SIZE,
    minimumRingSize: ring?.minimum_ring_size ?? RING_SIZE_MIN,
    maximumRingSize: ring?.maximum_ring_size ?? RING_SIZE_MAX,
    hashFunction: ring?.hash_function ?? 'XX_HASH',
    hashTags: cluster.settings.enable_hashtagging,
  };
}
