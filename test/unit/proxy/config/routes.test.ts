import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyFormatterError, parseKeyFormatter } from '../../../../src/proxy/config/key-formatter.js';
import { ConfigError, parseConfig } from '../../../../src/proxy/config/load.js';
import { routeTable } from '../../../../src/proxy/config/routes.js';
import { ROOT } from '../../../support/repository.js';

const CLUSTERS = `clusters:
  - { name: main, endpoints: [a:1] }
  - { name: other, endpoints: [b:1] }
  - { name: shards, type: sharded, endpoints: [c:1] }
`;

/** A configuration whose listener is the given lines, from line 2 on, indented by 4. */
const withListener = (lines: string) => `listeners:
  - address: x:1
${lines.replace(/^/gm, '    ')}
${CLUSTERS}`;

function problems(text: string): string[] {
  try {
    parseConfig(text, 'p');
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

function table(lines: string) {
  const config = parseConfig(withListener(lines), 'p');
  return routeTable(config.listeners[0] as never, config.clusters);
}

describe('a route table', () => {
  it('of one cluster is that alone', () => {
    expect(table('cluster: other')).toEqual({
      caseInsensitive: false,
      routes: [],
      catchAll: { cluster: 1, mirrors: [], readPolicy: null },
    });
  });

  it('has the longest prefix first, by bytes, and everything as plain data', () => {
    const made = table(`cluster: main
prefix_routes:
  case_insensitive: true
  routes:
    - { prefix: Ab, cluster: other }
    - prefix: ABC
      cluster: main
      remove_prefix: true
      key_formatter: '{%KEY%}:100%%'
      read_policy: ANY
      request_mirror_policy:
        - { cluster: shards, runtime_fraction: 12.5, exclude_read_commands: true }
        - { cluster: other, runtime_fraction: 0 }
        - cluster: other
          runtime_fraction: { default_value: { numerator: 5, denominator: TEN_THOUSAND }, runtime_key: k }
    - { prefix: éé, cluster: shards }`);
    expect(made).toEqual({
      caseInsensitive: true,
      routes: [
        { prefix: 'éé', removePrefix: false, keyFormatter: null, cluster: 2, mirrors: [], readPolicy: null },
        {
          prefix: 'abc',
          removePrefix: true,
          keyFormatter: ['{', '}:100%'],
          cluster: 0,
          mirrors: [
            { cluster: 2, fraction: 0.125, excludeReads: true },
            { cluster: 1, fraction: 0.0005, excludeReads: false },
          ],
          readPolicy: 'ANY',
        },
        { prefix: 'ab', removePrefix: false, keyFormatter: null, cluster: 1, mirrors: [], readPolicy: null },
      ],
      catchAll: { cluster: 0, mirrors: [], readPolicy: null },
    });
    expect(structuredClone(made)).toEqual(made);
    expect(JSON.parse(JSON.stringify(made))).toEqual(made);
  });

  it('without a catch-all route has none; with one, that', () => {
    expect(table('prefix_routes: { routes: [{ prefix: a, cluster: main }] }').catchAll).toBeNull();
    const lines =
      'prefix_routes: { catch_all_route: { cluster: main, request_mirror_policy: [{ cluster: other }], read_policy: ANY } }';
    expect(table(lines)).toEqual({
      caseInsensitive: false,
      routes: [],
      catchAll: { cluster: 0, mirrors: [{ cluster: 1, fraction: 1, excludeReads: false }], readPolicy: 'ANY' },
    });
  });
});

describe('routes', () => {
  const route = (more: string) => `prefix_routes: { routes: [{ prefix: a, cluster: main, ${more} }] }`;

  it.each([
    ['name: n', "p:2:5: listeners[0]: missing: 'cluster' for all keys, or 'prefix_routes'"],
    ['prefix_routes: {}', "p:3:20: listeners[0].prefix_routes: leads nowhere: it needs 'routes', or 'catch_all_route'"],
    [
      'cluster: main\nprefix_routes: { catch_all_route: { cluster: main } }',
      'p:3:14: listeners[0].cluster: this and prefix_routes.catch_all_route say the same; give one of them',
    ],
    [
      route('remove_prefixes: true'),
      /^p:3:\d+: .*routes\[0\]\.remove_prefixes: unknown setting; did you mean 'remove_prefix'\?$/,
    ],
    [route("key_formatter: '%KEYS%'"), /key_formatter: %KEYS% is not supported; only %KEY% is/],
    [route('key_formatter: x'), /key_formatter: %KEY% is missing/],
    [route('key_formatter: 100%'), /key_formatter: a % without its end/],
    [route('read_policy: master'), /read_policy: did you mean 'MASTER'\?$/],
    [
      route('request_mirror_policy: [{ cluster: othr }]'),
      "p:3:94: listeners[0].prefix_routes.routes[0].request_mirror_policy[0].cluster: no cluster is named 'othr'; did you mean 'other'?",
    ],
    [
      route('request_mirror_policy: [{ cluster: main, runtime_fraction: 101 }]'),
      /runtime_fraction\.default_value: more than a whole$/,
    ],
    [
      route('request_mirror_policy: [{ cluster: main, runtime_fraction: half }]'),
      /runtime_fraction: a percentage from 0 to 100/,
    ],
    [
      route('request_mirror_policy: [{ cluster: main, runtime_fraction: { default_value: { denominator: MILION } } }]'),
      /denominator: did you mean 'MILLION'\?$/,
    ],
    ['prefix_routes: { routes: [{ prefix: "", cluster: main }] }', /prefix: empty; .*catch_all_route$/],
    [`prefix_routes: { routes: [{ prefix: ${'é'.repeat(501)}, cluster: main }] }`, /prefix: at most 1000 bytes$/],
    [
      'prefix_routes: { routes: [{ prefix: a, cluster: main }, { prefix: a, cluster: other }] }',
      /routes\[1\]\.prefix: routes\[0\] has this prefix already$/,
    ],
    [
      'prefix_routes: { case_insensitive: true, routes: [{ prefix: a, cluster: main }, { prefix: A, cluster: other }] }',
      /routes\[1\]\.prefix: routes\[0\]/,
    ],
    [
      'prefix_routes: { routes: [{ prefix: a, cluster: shards, read_policy: ANY }] }',
      /routes\[0\]\.read_policy: only MASTER/,
    ],
    [route('read_policy: LOCAL_ZONE_AFFINITY'), /read_policy: needs 'settings\.zone' of cluster 'main'/],
    [
      'prefix_routes: { catch_all_route: { cluster: nothing-like-it } }',
      /catch_all_route\.cluster: no cluster is named 'nothing-like-it'; there is 'main', 'other', 'shards'$/,
    ],
    [
      `prefix_routes: { routes: [${Array.from({ length: 1025 }, (_, i) => `{ prefix: p${i}, cluster: main }`).join(', ')}] }`,
      /routes: Too big/,
    ],
    ['cluster: main\nadmin_commands: [DEBUG]', /admin_commands\[0\]: a command's name in small letters/],
    ['cluster: main\nadmin_commands: [debug, debug]', /admin_commands\[1\]: is in the list already/],
    ['cluster: main\npubsub_output_buffer_limit: 1', /pubsub_output_buffer_limit: Too small/],
  ])('are refused with the place: %s', (lines, message) => {
    const found = problems(withListener(lines));
    expect(found).toHaveLength(1);
    if (typeof message === 'string') expect(found[0]).toBe(message);
    else expect(found[0]).toMatch(message);
  });

  it('may differ in capitals when these count', () => {
    expect(
      problems(
        withListener('prefix_routes: { routes: [{ prefix: a, cluster: main }, { prefix: A, cluster: other }] }'),
      ),
    ).toEqual([]);
  });

  it('allow administration by name', () => {
    const text = withListener("cluster: main\nadmin_commands: [debug, 'cluster|failover', ft.create]");
    expect(parseConfig(text, 'p').listeners[0]?.admin_commands).toEqual(['debug', 'cluster|failover', 'ft.create']);
  });
});

describe('a key formatter', () => {
  it('puts the key where %KEY% is', () => {
    expect(parseKeyFormatter('%KEY%')).toEqual(['', '']);
    expect(parseKeyFormatter('a%KEY%b%KEY%').join('k')).toBe('akbk');
    expect(parseKeyFormatter('%%KEY%%%KEY%').join('k')).toBe('%KEY%k');
  });

  it('never takes a % of its own for the end of something', () => {
    const text = fc.string({ unit: fc.constantFrom('%', '%KEY%', 'KEY', 'a', '{', '}'), maxLength: 8 });
    fc.assert(
      fc.property(text, (formatter) => {
        try {
          const parts = parseKeyFormatter(formatter);
          expect(parts.map((part) => part.replaceAll('%', '%%')).join('%KEY%')).toBe(formatter);
        } catch (error) {
          expect(error).toBeInstanceOf(KeyFormatterError);
        }
      }),
    );
  });
});

describe('docs/proxy.md', () => {
  it('has only examples that are right', () => {
    const page = readFileSync(path.join(ROOT, 'docs/proxy.md'), 'utf8');
    const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text as string);
    expect(examples.length).toBeGreaterThan(1);
    for (const text of examples.filter((each) => each.includes('clusters:'))) expect(problems(text), text).toEqual([]);
  });
});
