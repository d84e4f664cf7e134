import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { proxyConfig } from '../../../src/proxy/config/schema.js';
import { COUNTER_NAMES, GAUGES } from '../../../src/proxy/engine/stats.js';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const page = readFileSync(path.join(root, 'docs/proxy.md'), 'utf8');

interface SchemaNode {
  _zod: {
    def: { innerType?: SchemaNode; shape?: Record<string, SchemaNode>; element?: SchemaNode; type: string };
  };
}

/** Every setting that can be given, as `clusters[].settings.op_timeout`; a secret is one setting. */
function settings(schema: SchemaNode, at = ''): string[] {
  // What is as in another place is said there.
  if (/(additional_addresses\[\]|sentinel)\.tls_context$/.test(at)) return [at];
  const { innerType, shape, element } = schema._zod.def;
  if (innerType !== undefined) return settings(innerType, at);
  if (element !== undefined) return settings(element, `${at}[]`);
  if (shape === undefined || 'inline' in shape) return [at];
  return Object.entries(shape).flatMap(([key, inner]) => settings(inner, at === '' ? key : `${at}.${key}`));
}

describe('docs/proxy.md', () => {
  it('describes every setting', () => {
    const all = settings(proxyConfig as unknown as SchemaNode);
    expect(all.length).toBeGreaterThan(15);
    expect(all.filter((setting) => !page.includes(`| \`${setting}\` |`))).toEqual([]);
  });

  it('describes every statistic, and marks the gauges', () => {
    const inner = ['upstream_cx_drained', 'max_upstream_unknown_connections_reached', 'connection_rate_limited'];
    const missing = COUNTER_NAMES.filter((name) => {
      const word = name.startsWith('splitter_')
        ? name.replace('splitter_', 'splitter.')
        : inner.includes(name)
          ? `redis_cluster.${name}`
          : name.replace('circuit_breakers_', 'circuit_breakers.default.').replace(/^(down|up)stream_ssl_/, 'ssl.');
      return !page.includes(`\`${word}\`${GAUGES.has(name) ? '*' : ''}`);
    });
    expect(missing).toEqual([]);
  });
});
