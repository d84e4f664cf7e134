import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from '../../../../src/proxy/config/load.js';
import { formatAddress, type ProxyConfig, readAddress } from '../../../../src/proxy/config/schema.js';

const GOOD = `
admin: { address: 127.0.0.1:9901 }
listeners:
  - address: 127.0.0.1:6379
    cluster: main
    downstream_auth_passwords: [{ environment: PROXY_AUTH_PASSWORD }]
clusters:
  - name: main
    endpoints: [127.0.0.1:7001, '[::1]:7002']
    auth_password: { filename: /run/secrets/redis }
    connect_timeout: 250ms
    settings: { op_timeout: 1.5s }
workers: 2
`;

function problems(text: string): string[] {
  try {
    parseConfig(text, 'proxy.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

/** The good configuration with one text in place of another. */
const changed = (from: string, to: string) => {
  if (!GOOD.includes(from)) throw new Error(`there is no ${from}`);
  return GOOD.replace(from, to);
};

describe('a configuration', () => {
  it('is read with its defaults', () => {
    expect(parseConfig(GOOD, 'proxy.yaml')).toEqual({
      admin: { address: { host: '127.0.0.1', port: 9901 } },
      listeners: [
        {
          name: 'redis',
          address: { host: '127.0.0.1', port: 6379 },
          stat_prefix: 'egress_redis',
          cluster: 'main',
          downstream_auth_passwords: [{ environment: 'PROXY_AUTH_PASSWORD' }],
          users: [],
          auth_failure_delay: 250,
          admin_commands: [],
          faults: [],
          limits: { max_pipeline_depth: 16_384, idle_timeout: 0, auth_timeout: 10_000, request_timeout: 60_000 },
          pubsub_output_buffer_limit: 33_554_432,
          monitor_output_buffer_limit: 33_554_432,
        },
      ],
      clusters: [
        {
          name: 'main',
          type: 'redis_cluster',
          endpoints: [
            { host: '127.0.0.1', port: 7001 },
            { host: '::1', port: 7002 },
          ],
          auth_password: { filename: '/run/secrets/redis' },
          connect_timeout: 250,
          cluster_refresh_rate: 5000,
          cluster_refresh_timeout: 3000,
          redirect_refresh_interval: 100,
          health_checks: [],
          settings: {
            op_timeout: 1500,
            enable_hashtagging: true,
            read_policy: 'MASTER',
            zones: {},
            max_dedicated_connections: 4096,
            max_upstream_unknown_connections: 64,
            connection_rate_limit: { connection_rate_limit_per_sec: 50 },
          },
        },
      ],
      workers: 2,
      statistics: {
        enable_command_stats: true,
        latency_in_micros: false,
        slowlog_log_slower_than: 10_000,
        slowlog_max_len: 128,
        hot_key_samples_per_second: 1000,
        hot_key_window: 60_000,
        big_value_bytes: 1_048_576,
      },
      log_level: 'info',
      log_format: 'text',
    } satisfies ProxyConfig);
  });

  it('may be JSON', () => {
    const json = { listeners: [{ address: 'a:1', cluster: 'm' }], clusters: [{ name: 'm', endpoints: ['b:2'] }] };
    expect(parseConfig(JSON.stringify(json), 'x').listeners[0]?.address).toEqual({ host: 'a', port: 1 });
  });

  it.each([
    ['workers: 2', 'worker: 2', "proxy.yaml:13:1: worker: unknown setting; did you mean 'workers'?"],
    [
      'connect_timeout',
      'conect_timeout',
      "proxy.yaml:11:5: clusters[0].conect_timeout: unknown setting; did you mean 'connect_timeout'?",
    ],
    [
      'op_timeout',
      'op_time',
      "proxy.yaml:12:17: clusters[0].settings.op_time: unknown setting; did you mean 'op_timeout'?",
    ],
    [
      'environment',
      'env',
      'proxy.yaml:6:35: listeners[0].downstream_auth_passwords[0].env: unknown setting; known here: inline, environment, filename',
    ],
    [
      'filename',
      'file_name',
      "proxy.yaml:10:22: clusters[0].auth_password.file_name: unknown setting; did you mean 'filename'?",
    ],
    ['admin: { address', 'admin: { adress', "proxy.yaml:2:10: admin.adress: unknown setting; did you mean 'address'?"],
  ])('names the right word for an unknown one: %s -> %s', (from, to, message) => {
    expect(problems(changed(from, to))).toContain(message);
  });

  it('names all that is wrong at once', () => {
    const found = problems(
      changed('workers: 2', 'workers: 0\nlog_level: loud').replace('cluster: main', 'cluster: other'),
    );
    expect(found.some((line) => line.startsWith('proxy.yaml:13:10: workers: '))).toBe(true);
    expect(found.some((line) => line.startsWith('proxy.yaml:14:12: log_level: '))).toBe(true);
  });

  it('says which cluster a listener can have', () => {
    expect(problems(changed('cluster: main', 'cluster: other'))).toEqual([
      "proxy.yaml:5:14: listeners[0].cluster: no cluster is named 'other'; there is 'main'",
    ]);
  });

  it('says what is missing, and where', () => {
    expect(problems('')).toEqual(expect.arrayContaining([expect.stringMatching(/^proxy\.yaml.*listeners: missing/)]));
    expect(problems(changed('- name: main\n    ', '- '))).toEqual([
      expect.stringMatching(/^proxy\.yaml:8:5: clusters\[0\]\.name: missing/),
    ]);
  });

  it.each(['250', '250 ms', '-1s', '1.s', 's', '1d', '5ms', '11m', 'true', '[]'])(
    'refuses the duration %s',
    (duration) => {
      expect(problems(changed('250ms', duration))).toEqual([
        expect.stringMatching(/^proxy\.yaml:11:22: clusters\[0\]\.connect_timeout: /),
      ]);
    },
  );

  it.each([
    ['10ms', 10],
    ['0.5s', 500],
    ['1m', 60_000],
  ])('takes the duration %s', (duration, ms) => {
    expect(parseConfig(changed('250ms', duration), 'x').clusters[0]?.connect_timeout).toBe(ms);
  });

  it.each(['localhost', ':6379', 'a:b', 'a:65536', 'a:123456', '::1:6379', '[::1]', '[a]:1', 'a b:1', '1234', "''"])(
    'refuses the address %s',
    (address) => {
      expect(
        problems(changed('address: 127.0.0.1:6379', `address: ${address.includes('[') ? `'${address}'` : address}`)),
      ).toEqual([expect.stringMatching(/^proxy\.yaml:4:\d+: listeners\[0\]\.address: .*host:port/)]);
    },
  );

  it('takes exactly one source for a secret', () => {
    for (const secret of ['{}', '{ filename: a, inline: b }', '{ environment: A, filename: a, inline: b }']) {
      expect(problems(changed('{ filename: /run/secrets/redis }', secret)), secret).toEqual([
        'proxy.yaml:10:20: clusters[0].auth_password: exactly one of filename, environment, inline',
      ]);
    }
    expect(problems(changed('{ filename: /run/secrets/redis }', '{ inline: "" }'))).toEqual([]);
    expect(problems(changed('{ filename: /run/secrets/redis }', '{ filename: "" }'))).not.toEqual([]);
  });

  it('does not show a secret in an error', () => {
    const found = problems(changed('{ filename: /run/secrets/redis }', '{ inline: s3cr3t, filename: 5 }'));
    expect(found.join()).not.toContain('s3cr3t');
    expect(found).not.toEqual([]);
  });

  it('is told on one line without control characters, whatever its words are', () => {
    expect(problems(JSON.stringify({ 'a\n\u001b[2J\u0085\u2028': 1, listeners: [], clusters: [] }))).toContainEqual(
      expect.stringMatching(/^proxy\.yaml:1:2: a\\u000a\\u001b\[2J\\u0085\\u2028: unknown setting; /),
    );
    expect(problems(changed('name: main', 'name: "a\\nb"')).join()).toContain('a name without control characters');
  });

  it('shows where YAML ends to be YAML', () => {
    expect(problems('listeners: [\n  a: b: c\n')[0]).toMatch(/^proxy\.yaml:\d+:\d+: /);
    expect(problems('a: 1\na: 2\n')[0]).toMatch(/^proxy\.yaml:2:1: .*unique/);
    expect(problems('a: *nowhere\n')[0]).toMatch(/^proxy\.yaml: Unresolved alias/);
  });

  it('does not let aliases grow without bound', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 10; i++)
      bomb.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`);
    const started = performance.now();
    expect(problems(bomb.join('\n'))).not.toEqual([]);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it('does not break under nesting, long words or odd keys', () => {
    const odd = [
      '['.repeat(20_000),
      '{a: '.repeat(10_000),
      `${'- '.repeat(10_000)}x`,
      `${'x'.repeat(1_000_000)}: 1`,
      '? [a, b]\n: c',
      '__proto__: 1\nconstructor: 2',
      '!!binary x: 1',
      '<<: *a',
      '&a a: *a',
      '\0',
      '---\na: 1\n---\nb: 2',
    ];
    for (const text of odd) expect(problems(text).length, text.slice(0, 20)).toBeGreaterThan(0);
  });

  it('is either read or refused with a ConfigError, whatever it holds', () => {
    const words = [
      'listeners',
      'clusters',
      'address',
      'name',
      'endpoints',
      'settings',
      'workers',
      'inline',
      'a:1',
      'x',
      '5s',
      '',
    ];
    const value = fc.letrec<{ node: unknown }>((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom<unknown>(...words, null, true, 0, -1, 1e300, Number.NaN),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...words, '__proto__', 'toString'), tie('node'), { maxKeys: 4 }),
      ),
    })).node;
    fc.assert(
      fc.property(value, (node) => {
        problems(JSON.stringify(node));
      }),
      { numRuns: 500 },
    );
    const text = fc.string({
      unit: fc.constantFrom(
        'listeners',
        'clusters',
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
        '|',
        '"',
        "'",
        '#',
        '\t',
        '?',
        '<<',
        '%',
        '1',
      ),
      maxLength: 30,
    });
    fc.assert(
      fc.property(text, (yaml) => {
        problems(yaml);
      }),
      { numRuns: 1000 },
    );
  });

  it('is the same when one good setting is written in another way', () => {
    const flow = parseConfig(GOOD, 'x');
    expect(parseConfig(JSON.stringify(JSON.parse(JSON.stringify(flow)), rewritten), 'x')).toEqual(flow);
  });
});

const DURATIONS = /_timeout$|_delay$|_refresh_rate$|_refresh_interval$|_window$/;

/** Addresses and durations as they are written. */
function rewritten(key: string, value: unknown): unknown {
  if (typeof value === 'object' && value !== null && 'host' in value)
    return formatAddress(value as { host: string; port: number });
  return typeof value === 'number' && DURATIONS.test(key) ? `${value}ms` : value;
}

describe('addresses', () => {
  it('are read back as they are written', () => {
    const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(host, fc.integer({ min: 0, max: 65535 }), (name, port) => {
        expect(readAddress(formatAddress({ host: name, port }))).toEqual({ host: name, port });
      }),
    );
  });
});
