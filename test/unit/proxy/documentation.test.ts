import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { DEFAULT_WORKER_LIMITS } from '../../../src/proxy/engine/core/limits.js';
import { kindOf, STATISTICS } from '../../../src/proxy/server/admin/help.js';
import { collect, statsBytes } from '../../../src/proxy/server/statistics.js';
import { allSettings } from '../../support/settings.js';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const page = readFileSync(path.join(root, 'docs/proxy.md'), 'utf8');

/** What the table says of a setting's default, in the schema's unit; null when it is not one plain value. */
function documentedDefault(setting: string): string | number | boolean | null {
  const row = page.split('\n').find((line) => line.startsWith(`| \`${setting}\` |`)) ?? '';
  const cell = row.split(' | ')[1]?.replace(/[`]/g, '').split(/[:;]/)[0]?.trim() ?? '';
  if (cell === 'true' || cell === 'false') return cell === 'true';
  const [, number, unit] = /^(\d+) ?(ms|s|m|h)?$/.exec(cell) ?? [];
  if (number !== undefined) return Number(number) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit ?? 'ms'] ?? 1);
  return /^[\w-]+$/.test(cell) ? cell : null;
}

/** Defaults that are not in the schema: they depend on other settings, or hold where they are used. */
const DEFAULTS_ELSEWHERE = {
  'listeners[].transport_socket_connect_timeout': 10_000,
  'listeners[].downstream_auth_username': 'default',
  'listeners[].users[].source_cidrs[]': 'anywhere',
  'listeners[].users[].limits.max_connections': 'per_user',
  'listeners[].users[].limits.commands_per_second': 'per_user',
  'listeners[].users[].limits.bytes_per_second': 'per_user',
  'clusters[].discovery': 'STATIC',
  'clusters[].dns_refresh_rate': 5000,
  'clusters[].sentinel.plaintext': false,
  'clusters[].lb_policy': 'MAGLEV',
  'clusters[].unhealthy_hosts': 'FAIL_FAST',
  'clusters[].circuit_breakers.thresholds[].max_pending_requests': DEFAULT_WORKER_LIMITS.waitingMax,
  'clusters[].circuit_breakers.thresholds[].max_requests': DEFAULT_WORKER_LIMITS.upstreamInFlightMax,
};

describe('docs/proxy.md', () => {
  const all = allSettings();

  it('describes every setting', () => {
    expect(all.length).toBeGreaterThan(15);
    expect(all.filter(({ path: setting }) => !page.includes(`| \`${setting}\` |`))).toEqual([]);
  });

  it('describes no setting that there is not', () => {
    const known = new Set(all.map(({ path: setting }) => setting));
    const described = page.split('\n').flatMap((line) => /^\| `([a-z_]+[[.][\w.[\]]+)` \|/.exec(line)?.[1] ?? []);
    expect(described.length).toBeGreaterThan(100);
    expect(described.filter((setting) => !known.has(setting))).toEqual([]);
  });

  it('says the defaults that there are', () => {
    const plain = all.filter(({ fallback }) => ['string', 'number', 'boolean'].includes(typeof fallback));
    expect(plain.length).toBeGreaterThan(50);
    expect(
      plain
        .map(({ path: setting, fallback }) => ({ setting, fallback, documented: documentedDefault(setting) }))
        .filter(({ fallback, documented }) => fallback !== documented),
    ).toEqual([]);
  });

  it('says no other defaults', () => {
    const others = all
      .filter(({ fallback }) => fallback === undefined)
      .map(({ path: setting }) => [setting, documentedDefault(setting)] as const)
      .filter(([, documented]) => documented !== null && !['none', 'all', 'required', ''].includes(String(documented)));
    expect(Object.fromEntries(others)).toEqual(DEFAULTS_ELSEWHERE);
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
