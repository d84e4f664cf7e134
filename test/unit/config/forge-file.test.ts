import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { KNOWN_VARIABLES } from '../../../src/config/resolve.js';
import { ConfigError } from '../../../src/proxy/config/problems.js';
import { FORGE_FILE_PAGES, readText } from '../../support/repository.js';

const GOOD = `
cluster: orders
nodes:
  - 10.0.0.1:6379@zone-a
  - { host: '2001:db8::1', port: 7000, zone: zone-b, role: master }
  - host: Redis-3.internal
credentials: { username: forge, password: { filename: secrets/redis } }
tls: { ca: ca.crt, server_name: redis.internal }
replicas_per_master: 1
proxy: { config: proxy.yaml, endpoint: 10.0.0.9:6379, admin: '[::1]:9901' }
backup: { bucket: s3://backups/orders, region: eu-1, retention_days: 30, access_key_id: { environment: KEY_ID } }
`;

function problems(text: string): string {
  try {
    parseForgeFile(text, 'forge.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}

describe('forge.yaml', () => {
  it('names a cluster, its nodes in both forms, and where its secrets are', () => {
    expect(parseForgeFile(GOOD, 'forge.yaml')).toEqual({
      defaultName: 'orders',
      clusters: [
        {
          name: 'orders',
          nodes: [
            { host: '10.0.0.1', port: 6379, zone: 'zone-a' },
            { host: '2001:db8::1', port: 7000, zone: 'zone-b', role: 'master' },
            { host: 'redis-3.internal', port: 6379 },
          ],
          credentials: { username: 'forge', password: { filename: 'secrets/redis' } },
          tls: { ca: 'ca.crt', server_name: 'redis.internal' },
          replicas_per_master: 1,
          proxy: {
            config: 'proxy.yaml',
            endpoint: { host: '10.0.0.9', port: 6379 },
            admin: { host: '::1', port: 9901 },
          },
          backup: {
            bucket: 's3://backups/orders',
            region: 'eu-1',
            retention_days: 30,
            access_key_id: { environment: 'KEY_ID' },
          },
        },
      ],
    });
  });

  it('may hold several clusters, of which one may be the default', () => {
    const text = 'clusters:\n  orders: { nodes: [a:1] }\n  sessions: { tls: true }\n';
    const { clusters, defaultName } = parseForgeFile(text, 'forge.yaml');
    expect(clusters.map(({ name }) => name)).toEqual(['orders', 'sessions']);
    expect(clusters[1]?.tls).toEqual({});
    expect(defaultName).toBeUndefined();
    expect(parseForgeFile(`${text}default: sessions\n`, 'forge.yaml').defaultName).toBe('sessions');
  });

  it.each(['', '\n', '---\n', '# nothing yet\n'])('may be empty: %j', (text) => {
    expect(parseForgeFile(text, 'forge.yaml')).toEqual({ clusters: [] });
  });

  it.each([
    ['cluster: a\nnods: []\n', "forge.yaml:2:1: nods: unknown setting; did you mean 'nodes'?"],
    ['nodes: []\n', 'cluster: missing (the name of the cluster)'],
    ['cluster: Big Name\n', 'forge.yaml:1:10: cluster: up to 32 lower-case letters'],
    ['cluster: a\nnodes: [a:1, A:1]\n', 'forge.yaml:2:14: nodes[1]: a:1 is there twice'],
    ['cluster: a\nnodes: [a:99999]\n', 'nodes[0]: a:99999: the port must be'],
    ['cluster: a\nnodes: [{ host: a, role: mastr }]\n', "nodes[0].role: did you mean 'master'?"],
    ['cluster: a\nnodes: [{ host: a, zone: "b c" }]\n', 'a zone is 1 to 64 letters'],
    ['cluster: a\nnodes: [7]\n', 'nodes[0]: host:port@zone, or host, port, zone, role and weight'],
    ['cluster: a\ncredentials: {}\n', 'username, password or both'],
    ['cluster: a\ncredentials: { password: {} }\n', 'exactly one of environment, filename'],
    ['cluster: a\ntls: yes please\n', 'true, or ca, certificate, key and server_name'],
    ['cluster: a\nbackup: { bucket: my-bucket }\n', 's3://bucket/prefix'],
    ['clusters:\n  a: { nods: 1 }\n', "forge.yaml:2:8: clusters.a.nods: unknown setting; did you mean 'nodes'?"],
    ['clusters: {}\n', '1 to 1000 clusters'],
    ['clusters: { a: {} }\ndefault: b\n', 'forge.yaml:2:10: default: one of a'],
    ['cluster: a\n  nodes: [\n', 'forge.yaml:'],
    ['[]\n', 'expected object'],
  ])('is refused with the place: %j', (text, expected) => {
    expect(problems(text)).toContain(expected);
  });

  it('tells all its faults at once', () => {
    expect(problems('cluster: a\nnods: 1\ntls: 3\nnodes: [x:0]\n').split('\n')).toHaveLength(3);
  });

  it.each([
    'cluster: a\ncredentials: { password: hunter2 }\n',
    'cluster: a\ncredentials: { password: { inline: hunter2 } }\n',
    'cluster: a\nnodes: ["redis://forge:hunter2@host:1"]\n',
    'cluster: a\nnodes: ["forge:hunter2@host:1"]\n',
    'cluster: a\nbackup: { endpoint: "https://me:hunter2@s3.internal" }\n',
    'cluster: a\nbackup: { secret_access_key: hunter2 }\n',
  ])('never repeats a secret that was written into it: %j', (text) => {
    expect(problems(text)).not.toBe('');
    expect(problems(text)).not.toContain('hunter2');
  });

  it('is read or refused with a ConfigError, whatever it holds', () => {
    const lines = GOOD.split('\n');
    const part = fc.constantFrom(
      ...lines,
      '- x',
      'clusters:',
      '  a: {}',
      'default: a',
      '{',
      '7',
      '!!binary x',
      '<<: *a',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        problems(parts.join('\n'));
      }),
      { numRuns: 300 },
    );
  });
});

describe('docs/forge-yaml.md', () => {
  const page = readText('docs/forge-yaml.md');

  it.each(FORGE_FILE_PAGES)('and other pages have examples that are right: %s', (name) => {
    const file = `docs/${name}`;
    const examples = [...readText(file).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
    expect(examples.length).toBeGreaterThan(0);
    for (const text of examples) expect(parseForgeFile(text, file).clusters).not.toEqual([]);
  });

  it('names every variable that is read', () => {
    expect(KNOWN_VARIABLES.filter((name) => !page.includes(`\`${name}\``) && !page.includes(`$${name}`))).toEqual([]);
  });
});
