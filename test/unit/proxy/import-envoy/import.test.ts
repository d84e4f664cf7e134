import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ForgeError } from '../../../../src/errors.js';
import { parseConfig } from '../../../../src/proxy/config/load.js';
import { importEnvoy } from '../../../../src/proxy/control/import-envoy/import.js';
import { mutations } from '../../../support/mutations.js';
import { ARTICLE, CLUSTER, INLINE_SECRETS } from './envoy-files.js';

/** A bootstrap with one listener and one cluster, both changed by the caller. */
function bootstrap(proxy: object, cluster: object = {}): string {
  return JSON.stringify({
    static_resources: {
      listeners: [
        {
          address: { socket_address: { address: '127.0.0.1', port_value: 6379 } },
          filter_chains: [
            {
              filters: [
                {
                  name: 'anything',
                  typed_config: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy',
                    stat_prefix: 'x',
                    settings: { op_timeout: '1s' },
                    prefix_routes: { catch_all_route: { cluster: 'c' } },
                    ...proxy,
                  },
                },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'c',
          type: 'STATIC',
          lb_policy: 'MAGLEV',
          load_assignment: { endpoints: [{ lb_endpoints: [endpoint('10.0.0.1'), endpoint('10.0.0.2')] }] },
          ...cluster,
        },
      ],
    },
  });
}

const endpoint = (host: string, more: object = {}) => ({
  endpoint: { address: { socket_address: { address: host, port_value: 6379 } }, ...more },
});

const imported = (text: string) => {
  const { yaml, notes } = importEnvoy(text, 'envoy.yaml');
  return { config: parse(yaml), notes: notes.map(({ path, message }) => `${path}: ${message}`) };
};

function failure(text: string, listener?: string): ForgeError {
  try {
    importEnvoy(text, 'envoy.yaml', { listener });
  } catch (error) {
    if (error instanceof ForgeError) return error;
    throw error;
  }
  throw new Error('nothing was wrong');
}

describe('an imported Envoy configuration', () => {
  it('of independent servers behind Maglev is ours of type sharded', () => {
    const { config, notes } = imported(ARTICLE);
    expect(config).toEqual({
      admin: { address: '0.0.0.0:8001' },
      listeners: [
        { name: 'redis_listener', address: '0.0.0.0:6379', stat_prefix: 'egress_redis', cluster: 'redis_cluster' },
      ],
      clusters: [
        {
          name: 'redis_cluster',
          type: 'sharded',
          discovery: 'STRICT_DNS',
          lb_policy: 'MAGLEV',
          endpoints: ['envoy_redis_1:6379', 'envoy_redis_2:6379', 'envoy_redis_3:6379'],
          connect_timeout: '1s',
          settings: { op_timeout: '5s', enable_hashtagging: false },
        },
      ],
    });
    expect(notes).toEqual(['admin.access_log_path: not carried over: there is nothing like it here']);
  });

  it('of a Redis Cluster keeps what has a place here', () => {
    const { config } = imported(CLUSTER);
    expect(config.listeners).toEqual([
      {
        name: 'redis',
        address: '0.0.0.0:6380',
        stat_prefix: 'egress_redis',
        prefix_routes: {
          case_insensitive: true,
          routes: [
            {
              prefix: 'a:',
              cluster: 'main',
              remove_prefix: true,
              key_formatter: '{x}%KEY%',
              request_mirror_policy: [{ cluster: 'copy', runtime_fraction: 25, exclude_read_commands: true }],
            },
            { prefix: 'b:', cluster: 'main' },
          ],
          catch_all_route: { cluster: 'main' },
        },
        downstream_auth_username: 'app',
        downstream_auth_passwords: [
          { environment: 'PROXY_AUTH_PASSWORD' },
          { filename: '/run/secrets/clients' },
          { environment: 'CLIENTS_PASSWORD' },
          { environment: 'PROXY_AUTH_PASSWORD_2' },
        ],
      },
    ]);
    expect(config.clusters[0]).toEqual({
      name: 'main',
      type: 'redis_cluster',
      endpoints: ['10.0.1.10:7000', '[::1]:7001'],
      auth_username: 'proxy',
      auth_password: { environment: 'REDIS_REQUIREPASS_MAIN' },
      connect_timeout: '5s',
      cluster_refresh_rate: '10s',
      cluster_refresh_timeout: '4s',
      redirect_refresh_interval: '10ms',
      health_checks: [
        {
          timeout: '1s',
          interval: '5s',
          unhealthy_threshold: 3,
          healthy_threshold: 1,
          redis_health_check: { key: 'drain' },
        },
      ],
      outlier_detection: { consecutive_local_origin_failure: 7, interval: '4s', max_ejection_percent: 25 },
      circuit_breakers: { thresholds: [{ max_connections: 100, max_retries: 5 }] },
      settings: {
        op_timeout: '250ms',
        read_policy: 'LOCAL_ZONE_AFFINITY',
        zone: 'eu-1a',
        max_upstream_unknown_connections: 10,
        connection_rate_limit: { connection_rate_limit_per_sec: 7 },
      },
    });
    expect(config.clusters[1]).toMatchObject({
      name: 'copy',
      endpoints: [
        { address: '10.0.2.1:6379', load_balancing_weight: 64 },
        { address: '10.0.2.2:6379', load_balancing_weight: 128 },
      ],
      lb_policy: 'RING_HASH',
      ring_hash_lb_config: { minimum_ring_size: 2048, hash_function: 'MURMUR_HASH_2' },
      auth_password: { filename: '/run/secrets/copy' },
      connect_timeout: '500ms',
    });
  });

  it('says what it could not carry over, with the place, in the comments too', () => {
    const { yaml, notes } = importEnvoy(CLUSTER, 'envoy.yaml');
    const lost = [
      ['filters[0]', 'only redis_proxy'],
      ['.faults', 'rehearsals'],
      ['filter_chains[0].transport_socket', 'clients are NOT encrypted'],
      ['clusters[0].transport_socket', 'nodes are NOT encrypted'],
      ['clusters[0].health_checks[1]', 'one check of Redis'],
      ['clusters[0].circuit_breakers.thresholds[0]', 'for each worker'],
      ['clusters[0].circuit_breakers.thresholds[1]', 'no priorities'],
      ['routes[1].key_formatter', '%DOWNSTREAM_REMOTE_ADDRESS%'],
      ['read_command_policy', 'not carried over'],
      ['runtime_fraction.runtime_key', 'default value'],
      ['aws_iam', 'AWS'],
      ['endpoints[1].priority', 'priorities'],
      ['listeners[0]', 'no redis_proxy'],
      ["clusters 'dynamic'", 'EDS'],
      ['clusters[3]', 'does not use it'],
      ['per_connection_buffer_limit_bytes', 'nothing like it'],
    ];
    for (const [place, words] of lost) {
      const note = notes.find(
        ({ path, message }) => path.endsWith(place as string) && message.includes(words as string),
      );
      expect(note, place).toBeDefined();
      expect(yaml).toContain(`# - ${note?.path}: ${note?.message}\n`);
    }
  });

  it('holds no password of the file, and names the variables in their place', () => {
    const result = importEnvoy(CLUSTER, 'envoy.yaml');
    const all = JSON.stringify(result);
    for (const secret of INLINE_SECRETS) expect(all).not.toContain(secret);
    expect(result.environment).toEqual([
      { name: 'PROXY_AUTH_PASSWORD', purpose: 'password of clients' },
      { name: 'PROXY_AUTH_PASSWORD_2', purpose: 'password of clients' },
      { name: 'REDIS_REQUIREPASS_MAIN', purpose: 'password of cluster main' },
    ]);
    for (const { name } of result.environment) expect(result.yaml).toContain(`#   ${name}: `);
  });

  it('never opens what was closed: a login elsewhere becomes a password', () => {
    const { config } = imported(bootstrap({ external_auth_provider: { grpc_service: {} } }));
    expect(config.listeners[0].downstream_auth_passwords).toEqual([{ environment: 'PROXY_AUTH_PASSWORD' }]);
  });

  it.each([
    ['MAGLEV, table size', { maglev_lb_config: { table_size: 131 } }, { maglev_lb_config: { table_size: 131 } }, 0],
    ['MAGLEV, no prime', { maglev_lb_config: { table_size: 100 } }, { lb_policy: 'MAGLEV' }, 1],
    [
      'RING_HASH',
      { lb_policy: 'ring_hash', ring_hash_lb_config: { maximumRingSize: { value: '4096' } } },
      { lb_policy: 'RING_HASH', ring_hash_lb_config: { maximum_ring_size: 4096 } },
      0,
    ],
    ['numbers for words', { type: 1, lb_policy: 2 }, { discovery: 'STRICT_DNS', lb_policy: 'RING_HASH' }, 0],
    ['no hashing', { lb_policy: 'ROUND_ROBIN' }, { lb_policy: 'MAGLEV' }, 1],
    ['LOGICAL_DNS', { type: 'LOGICAL_DNS' }, { type: 'sharded' }, 1],
    [
      'names that are hashed',
      { common_lb_config: { consistent_hashing_lb_config: { use_hostname_for_hashing: true } } },
      { endpoints: [{ address: '10.0.0.1:6379', hostname: '10.0.0.1' }, expect.anything()] },
      0,
    ],
    [
      'hosts of old',
      { load_assignment: undefined, hosts: [{ socket_address: { address: 'a', port_value: 1 } }] },
      { endpoints: ['a:1'] },
      0,
    ],
    ['a tiny connect_timeout', { connect_timeout: '0.0015s' }, { connect_timeout: '10ms' }, 1],
    ['a duration in parts', { connectTimeout: { seconds: 2, nanos: 5e8 } }, { connect_timeout: '2500ms' }, 0],
  ])('reads a cluster with %s', (_name, given, wanted, count) => {
    const { config, notes } = imported(bootstrap({}, given));
    expect(config.clusters[0]).toMatchObject(wanted);
    expect(notes, notes.join('\n')).toHaveLength(count);
  });

  it.each(['PREFER_REPLICA', 'AZ_AFFINITY', 'ANY'])('of type sharded reads from masters: %s', (policy) => {
    const { config, notes } = imported(bootstrap({ settings: { read_policy: policy } }));
    expect(config.clusters[0].settings).not.toHaveProperty('read_policy');
    expect(notes).toHaveLength(1);
  });

  it('takes the empty prefix for the rest of the keys, and the cluster of old too', () => {
    const routes = { prefix_routes: { routes: [{ prefix: 'a', cluster: 'c' }, { cluster: 'c' }] } };
    expect(imported(bootstrap(routes)).config.listeners[0].prefix_routes).toEqual({
      routes: [{ prefix: 'a', cluster: 'c' }],
      catch_all_route: { cluster: 'c' },
    });
    const old = { prefix_routes: { routes: [{ prefix: 'a', cluster: 'c' }], catch_all_cluster: 'c' } };
    expect(imported(bootstrap(old)).config.listeners[0].prefix_routes.catch_all_route).toEqual({ cluster: 'c' });
    expect(imported(bootstrap({ prefix_routes: undefined, cluster: 'c' })).config.listeners[0].cluster).toBe('c');
  });

  it('is the listener that was asked for', () => {
    const two = JSON.parse(bootstrap({}));
    const [first] = two.static_resources.listeners;
    two.static_resources.listeners = [
      { ...first, name: 'one' },
      { ...first, name: 'two' },
    ];
    const text = JSON.stringify(two);
    expect(importEnvoy(text, 'x').listener).toBe('one');
    const result = importEnvoy(text, 'x', { listener: 'two' });
    expect(result.listener).toBe('two');
    expect(result.notes).toEqual([
      { path: 'static_resources.listeners[0]', message: expect.stringContaining('--listener') },
    ]);
    expect(failure(text, 'three')).toMatchObject({ kind: 'usage', message: expect.stringContaining("'one', 'two'") });
  });

  it.each([
    ['', 'not an Envoy configuration'],
    ['- a\n', 'not an Envoy configuration'],
    ['a: [', 'not YAML or JSON'],
    ['static_resources: { listeners: [] }', 'no listener has a redis_proxy filter'],
    [bootstrap({ prefix_routes: {} }), 'it names no cluster'],
    [bootstrap({ prefix_routes: { catch_all_route: { cluster: 'd' } } }), 'no cluster of that name'],
    [bootstrap({}, { type: 'EDS' }), 'its type is EDS'],
    [bootstrap({}, { load_assignment: {} }), 'it names no endpoint'],
    [bootstrap({}, { cluster_type: { name: 'envoy.clusters.aggregate' } }), 'cluster_type'],
    [ARTICLE.replace('port_value: 6379', 'port_value: 70000'), 'its address is not a host and a port'],
    [bootstrap({}).replace('"port_value":6379', '"named_port":"redis"'), 'its address is not a host and a port'],
  ])('is refused when nothing can be made of it: %s', (text, message) => {
    expect(failure(text)).toMatchObject({ kind: 'configuration', message: expect.stringContaining(message) });
  });

  it('of a template says that it is one', () => {
    const template = ARTICLE.replace('      - lb_endpoints:', '      {% for i in range(3) %}\n      - lb_endpoints:');
    expect(failure(template).next).toEqual([expect.stringContaining('template')]);
  });

  it('has no comment that is anything else', () => {
    const odd = JSON.parse(
      bootstrap({ 'x\nlisteners: []\r\u2028\u0085admin: 1': 1, '': 2, [`y${'z'.repeat(5000)}`]: 3 }),
    );
    const { yaml, notes } = importEnvoy(JSON.stringify(odd), 'x');
    expect(notes).toHaveLength(3);
    expect(parseConfig(yaml, 'x').listeners).toHaveLength(1);
    for (const line of yaml.split('\n').slice(0, 6)) expect(line).toMatch(/^(#.*)?$/);
  });
});

describe('whatever the file holds', () => {
  /** Either a valid configuration comes out, or an error for people. */
  function tame(text: string): void {
    try {
      parseConfig(importEnvoy(text, 'x').yaml, 'result');
    } catch (error) {
      if (!(error instanceof ForgeError)) throw error;
    }
  }

  it('of texts, nothing breaks', () => {
    const piece = fc.constantFrom(
      ...[
        'static_resources',
        'listeners',
        'name',
        ': ',
        '- ',
        '\n',
        '  ',
        '[',
        ']',
        '{',
        '}',
        '&a',
        '*a',
        '!',
        '"',
        '#',
        '<<',
        '%',
        '1',
        '{{',
      ],
    );
    fc.assert(fc.property(fc.string({ unit: piece, maxLength: 30 }), tame), { numRuns: 500 });
    for (const text of [
      '['.repeat(20_000),
      '{a: '.repeat(10_000),
      '&a a: *a',
      '&a {a: *a}',
      '\0',
      '---\na: 1\n---\nb: 2',
    ])
      tame(text);
  });

  it('of good configurations with any part exchanged, nothing breaks', () => {
    for (const base of [parse(ARTICLE), parse(CLUSTER)]) {
      fc.assert(
        fc.property(mutations(base, ['%KEY', '%A%', 'a b', '-1s']), (changed) => tame(JSON.stringify(changed))),
        { numRuns: 200 },
      );
    }
  });
});
