import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { proxyConfig } from '../../../src/proxy/config/schema.js';
import { kindOf, STATISTICS } from '../../../src/proxy/server/admin/help.js';
import { collect, statsBytes } from '../../../src/proxy/server/statistics.js';

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
});

describe('docs/statistics.md', () => {
  const statistics = readFileSync(path.join(root, 'docs/statistics.md'), 'utf8');
  const shown = collect([new SharedArrayBuffer(statsBytes(1))], 'p', ['c']);

  it('describes every statistic with its type and its unit', () => {
    const missing = shown.filter(({ name, type }) => {
      const kind = kindOf(name).replace(/^command\./, '');
      const unit = /_bytes_total$/.test(kind) ? 'bytes' : '';
      return !statistics.includes(`\n| \`${kind}\` | ${type} | ${unit} |`);
    });
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  it('says the same as what Prometheus is told', () => {
    const missing = STATISTICS.filter(({ kind, help }) => {
      const name = kind.replace(/^(command|server)\./, '');
      return !statistics
        .split('\n')
        .some((line) => line.startsWith(`| \`${name}\` | `) && line.endsWith(` | ${help} |`));
    });
    expect(missing.map(({ kind }) => kind)).toEqual([]);
    const known = new Set(STATISTICS.map(({ kind }) => kind));
    expect([...new Set(shown.map(({ name }) => kindOf(name)))].filter((kind) => !known.has(kind))).toEqual([]);
  });
});
