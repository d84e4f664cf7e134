import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from '../../../../src/proxy/config/load.js';
import { routeTable } from '../../../../src/proxy/config/routes.js';
import { shardedConfig } from '../../../../src/proxy/config/sharded.js';
import { mutations } from '../../../support/mutations.js';

/** A configuration whose cluster is the given lines, from line 4 on, indented by 4. */
const withCluster = (lines: string) => `listeners: [{ address: 'a:1', cluster: c }]
clusters:
  - name: c
${lines.replace(/^/gm, '    ')}
`;

function problems(text: string): string[] {
  try {
    parseConfig(text, 'p');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const sharded = (lines: string) => withCluster(`type: sharded\n${lines}`);
const read = (lines: string) => shardedConfig(parseConfig(sharded(lines), 'p').clusters[0] as never);

describe('a sharded cluster', () => {
  it('has Maglev, tags and static endpoints by default', () => {
    expect(read("endpoints: ['a:1', { address: 'b:2', load_balancing_weight: 3, hostname: x }]")).toEqual({
      discovery: 'STATIC',
      endpoints: [
        { host: 'a', port: 1, weight: 1, hostname: null },
        { host: 'b', port: 2, weight: 3, hostname: 'x' },
      ],
      dnsRefreshRateMs: 5000,
      sentinel: null,
      policy: 'MAGLEV',
      tableSize: 65_537,
      minimumRingSize: 1024,
      maximumRingSize: 8_388_608,
      hashFunction: 'XX_HASH',
      hashTags: true,
    });
  });

  it('may be a ring of names, without tags', () => {
    const lines = `discovery: STRICT_DNS
dns_refresh_rate: 2s
endpoints: [a:1]
lb_policy: RING_HASH
ring_hash_lb_config: { minimum_ring_size: 100, maximum_ring_size: 200, hash_function: MURMUR_HASH_2 }
settings: { enable_hashtagging: false }`;
    expect(read(lines)).toMatchObject({
      discovery: 'STRICT_DNS',
      dnsRefreshRateMs: 2000,
      policy: 'RING_HASH',
      minimumRingSize: 100,
      maximumRingSize: 200,
      hashFunction: 'MURMUR_HASH_2',
      hashTags: false,
    });
  });

  it('may be found by Sentinel, and has replicas then', () => {
    const lines = `discovery: SENTINEL
sentinel: { endpoints: [s:26379], masters: [one, two], auth_password: { environment: P } }
settings: { read_policy: PREFER_REPLICA }`;
    expect(read(lines).sentinel).toEqual({
      endpoints: [{ host: 's', port: 26_379 }],
      masters: ['one', 'two'],
      username: '',
      password: { environment: 'P' },
    });
  });

  it.each([
    ['endpoints: []', 'p:5:16: clusters[0].endpoints: at least one host:port'],
    ['endpoints: [a:1, a:1]', 'p:5:22: clusters[0].endpoints[1]: is in the list already'],
    [
      'endpoints: [{ address: a:1, load_balancing_weight: 0 }]',
      /^p:5:56: clusters\[0\]\.endpoints\[0\]\.load_balancing_weight: Too small/,
    ],
    ['endpoints: [{ address: a:1, load_balancing_weight: 129 }]', /load_balancing_weight: Too big/],
    ['endpoints: [{ address: a:1, weight: 2 }]', /^p:5:33: clusters\[0\]\.endpoints\[0\]\.weight: unknown setting/],
    [
      'endpoints: [{ address: a:1, hostnam: x }]',
      "p:5:33: clusters[0].endpoints[0].hostnam: unknown setting; did you mean 'hostname'?",
    ],
    ['endpoints: [5]', 'p:5:17: clusters[0].endpoints[0]: host:port, or { address, load_balancing_weight, hostname }'],
    ['endpoints: [a:1]\nlb_policy: maglev', "p:6:16: clusters[0].lb_policy: did you mean 'MAGLEV'?"],
    ['endpoints: [a:1]\nlb_policy: ROUND_ROBIN', 'p:6:16: clusters[0].lb_policy: one of MAGLEV, RING_HASH'],
    [
      'endpoints: [a:1]\nmaglev_lb_config: { table_size: 65536 }',
      'p:6:37: clusters[0].maglev_lb_config.table_size: must be prime',
    ],
    ['endpoints: [a:1]\nmaglev_lb_config: { table_size: 5000012 }', /table_size: Too big/],
    ['endpoints: [a:1, b:1, c:1]\nmaglev_lb_config: { table_size: 2 }', /table_size: less than the 3 servers/],
    [
      'endpoints: [a:1]\nring_hash_lb_config: {}',
      'p:6:26: clusters[0].ring_hash_lb_config: needs lb_policy: RING_HASH',
    ],
    ['endpoints: [a:1]\nlb_policy: RING_HASH\nmaglev_lb_config: {}', /maglev_lb_config: needs lb_policy: MAGLEV/],
    [
      'endpoints: [a:1]\nlb_policy: RING_HASH\nring_hash_lb_config: { maximum_ring_size: 10 }',
      /ring_hash_lb_config\.minimum_ring_size: more than maximum_ring_size/,
    ],
    ['endpoints: [a:1]\ndns_refresh_rate: 1s', /dns_refresh_rate: needs discovery: STRICT_DNS/],
    ['endpoints: [a:1]\nsentinel: { endpoints: [s:1], masters: [m] }', /sentinel: needs discovery: SENTINEL/],
    ['discovery: SENTINEL', /discovery: SENTINEL needs 'sentinel/],
    ['discovery: SENTINEL\nsentinel: { endpoints: [s:1], masters: [m, m] }', /masters\[1\]: is in the list already/],
    [
      'discovery: SENTINEL\nsentinel: { endpoints: [s:1], masters: [m] }\nendpoints: [a:1]',
      /endpoints: with discovery: SENTINEL/,
    ],
    ['endpoints: [a:1]\nsettings: { read_policy: REPLICA }', /settings\.read_policy: only MASTER/],
  ])('is refused with the place: %s', (lines, message) => {
    const found = problems(sharded(lines));
    expect(found).toHaveLength(1);
    if (typeof message === 'string') expect(found[0]).toBe(message);
    else expect(found[0]).toMatch(message);
  });
});

describe('a Redis Cluster', () => {
  it.each([
    ['lb_policy: MAGLEV', /lb_policy: only a cluster of type: sharded has this/],
    ['settings: { enable_hashtagging: false }', /enable_hashtagging: a Redis Cluster itself/],
    ['settings: { read_policy: LOCAL_ZONE_AFFINITY }', /^p:5:30: clusters\[0\]\.settings\.read_policy: needs 'zone'/],
    ['settings: { read_policy: PREFER_REPLCA }', /read_policy: did you mean 'PREFER_REPLICA'\?/],
    ['settings: { zones: { nowhere: z } }', /^p:5:35: clusters\[0\]\.settings\.zones\.nowhere: not host:port/],
    ['settings: { max_dedicated_connections: 0 }', /max_dedicated_connections: Too small/],
    ['settings: { max_dedicated_connections: 65537 }', /max_dedicated_connections: Too big/],
    ['settings: { max_replica_lag_bytes: -1 }', /max_replica_lag_bytes: Too small/],
    ['settings: { connection_rate_limit: { per_second: 5 } }', /connection_rate_limit\.per_second: unknown setting/],
  ])('is refused with the place: %s', (lines, message) => {
    expect(problems(withCluster(`endpoints: [a:1]\n${lines}`))).toEqual([expect.stringMatching(message)]);
  });

  it('has no weights', () => {
    expect(problems(withCluster('endpoints: [{ address: a:1, load_balancing_weight: 2 }]'))).toEqual([
      expect.stringMatching(/endpoints\[0\]: only a cluster of type: sharded/),
    ]);
  });

  it('may be read from replicas nearby', () => {
    const text = withCluster(
      "endpoints: [a:1]\nsettings: { read_policy: LOCAL_ZONE_AFFINITY, zone: z1, zones: { 'a:1': z1, '[::1]:2': z2 } }",
    );
    expect(parseConfig(text, 'p').clusters[0]?.settings).toMatchObject({
      zone: 'z1',
      zones: { 'a:1': 'z1', '[::1]:2': 'z2' },
    });
  });
});

describe('several clusters', () => {
  it('have different names, and not too many', () => {
    const many = (names: string[]) =>
      JSON.stringify({
        listeners: [{ address: 'a:1', cluster: 'n0' }],
        clusters: names.map((name) => ({ name, endpoints: ['a:1'] })),
      });
    const names = Array.from({ length: 64 }, (_, i) => `n${i}`);
    expect(problems(many(names))).toEqual([]);
    expect(problems(many([...names, 'more']))).toEqual([expect.stringMatching(/clusters: Too big/)]);
    expect(problems(many(['n0', 'n1', 'n0']))).toEqual([
      expect.stringMatching(/clusters\[2\]\.name: another cluster is named 'n0' already/),
    ]);
  });
});

describe('a configuration with everything', () => {
  const full = {
    admin: { address: 'a:1' },
    listeners: [
      {
        name: 'l',
        address: 'a:2',
        stat_prefix: 's',
        prefix_routes: {
          case_insensitive: true,
          routes: [
            {
              prefix: 'a',
              remove_prefix: true,
              key_formatter: '%KEY%',
              cluster: 'one',
              request_mirror_policy: [
                { cluster: 'two', runtime_fraction: 5, exclude_read_commands: true },
                { cluster: 'two', runtime_fraction: { default_value: { numerator: 5, denominator: 'MILLION' } } },
              ],
              read_policy: 'ANY',
            },
          ],
          catch_all_route: { cluster: 'two', request_mirror_policy: [{ cluster: 'one' }], read_policy: 'MASTER' },
        },
        downstream_auth_passwords: [{ inline: 'p' }],
        admin_commands: ['debug'],
        pubsub_output_buffer_limit: 100_000,
        monitor_output_buffer_limit: 100_000,
      },
    ],
    clusters: [
      {
        name: 'one',
        endpoints: ['a:3'],
        auth_password: { filename: 'f' },
        settings: {
          op_timeout: '1s',
          read_policy: 'LOCAL_ZONE_AFFINITY',
          zone: 'z',
          zones: { 'a:1': 'z' },
          max_replica_lag_bytes: 5,
          connection_rate_limit: { connection_rate_limit_per_sec: 5 },
        },
      },
      {
        name: 'two',
        type: 'sharded',
        discovery: 'STRICT_DNS',
        dns_refresh_rate: '5s',
        endpoints: ['a:4', { address: 'b:5', load_balancing_weight: 2, hostname: 'h' }],
        lb_policy: 'RING_HASH',
        ring_hash_lb_config: { minimum_ring_size: 5, maximum_ring_size: 10, hash_function: 'XX_HASH' },
      },
      {
        name: 'three',
        type: 'sharded',
        discovery: 'SENTINEL',
        sentinel: { endpoints: ['s:1'], masters: ['m'], auth_password: { environment: 'E' } },
        maglev_lb_config: { table_size: 131 },
      },
    ],
  };

  it('is right', () => {
    expect(problems(JSON.stringify(full))).toEqual([]);
  });

  it('is either read or refused with a place, whatever part of it is exchanged', () => {
    fc.assert(
      fc.property(mutations(full), (changed) => {
        const text = JSON.stringify(changed);
        const found = problems(text);
        for (const problem of found) expect(problem).toMatch(/^p:1:\d+: /);
        if (found.length > 0) return;
        const config = parseConfig(text, 'p');
        for (const listener of config.listeners) routeTable(listener, config.clusters);
        for (const cluster of config.clusters) if (cluster.type === 'sharded') shardedConfig(cluster);
      }),
      { numRuns: 300 },
    );
  });
});
