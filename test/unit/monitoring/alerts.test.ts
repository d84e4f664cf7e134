import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { formatDuration } from '../../../src/config/duration.js';
import { alertsOf } from '../../../src/monitoring/alerts/index.js';
import { DEFAULT_THRESHOLDS } from '../../../src/monitoring/cluster.js';
import { EXPORTER_RULES } from '../../../src/monitoring/exporters.js';
import { rulesFile } from '../../../src/monitoring/rules.js';
import { BACKUP_METRIC, CERTIFICATE_METRIC } from '../../../src/monitoring/textfile.js';
import { FORGE_YAML, watched } from '../../support/monitoring.js';
import { namesIn } from '../../support/promql.js';
import { publicCommands, readText } from '../../support/repository.js';

const alerts = alertsOf(watched());
const names = alerts.map(({ name }) => name);
const without = (monitoring: string) => alertsOf(watched(`${FORGE_YAML}monitoring: ${monitoring}\n`));

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}

const rules = (parse(rulesFile(watched())) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

describe('alerts', () => {
  it('have names of their own, among them those of the bash scripts', () => {
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(expect.arrayContaining(['RedisDown', 'ClusterStateFail', 'HighMemoryUsage', 'Watchdog']));
  });

  it('are about this cluster alone, wherever a metric carries its name', () => {
    for (const { name, expression } of alerts) {
      for (const { metric, matchers } of namesIn(expression).selectors) {
        if (/^(prometheus|alertmanager)_/.test(metric)) continue;
        const label = metric.startsWith('redisforge_') ? 'redis_cluster' : 'cluster';
        expect([name, matchers.find((each) => each.label === label)?.value]).toEqual([name, '$cluster']);
      }
    }
    expect(rulesFile(watched())).not.toContain('$cluster');
  });

  it('all have a severity, a cluster, a summary, what to do, and a link to their page', () => {
    expect(rules.map(({ alert }) => alert)).toEqual(names);
    for (const { alert, labels, annotations } of rules) {
      expect(labels).toEqual({ severity: expect.stringMatching(/^(critical|warning|info|none)$/), cluster: 'orders' });
      expect(annotations['summary']).toMatch(/\S/);
      expect(annotations['summary']).not.toMatch(/[\n.]$/);
      expect(annotations['description']).toMatch(/\.$/);
      expect(annotations['runbook_url']).toBe(`docs/alerts.md#${alert.toLowerCase()}`);
    }
  });

  it('name commands that there are', () => {
    const known = new Set(publicCommands().map(({ id }) => `forge ${id.replaceAll(':', ' ')}`));
    // Of issues to come: the metric is there before the command.
    for (const coming of ['forge backup', 'forge gen-certs', 'forge host check', 'forge host tune']) known.add(coming);
    const text = [...alerts.map(({ description }) => description), readText('docs/alerts.md')]
      .join('\n')
      .replaceAll('\n', ' ');
    const named = [...text.matchAll(/\bforge ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:-[a-z]+)*))?/g)];
    const unknown = named.filter(
      ([, verb, second]) => !known.has(`forge ${verb}`) && !known.has(`forge ${verb} ${second}`),
    );
    expect(unknown.map(([words]) => words)).toEqual([]);
  });

  it('are there only when there is somebody to tell of it', () => {
    const groups = (list: typeof alerts) => new Set(list.map(({ group }) => group));
    expect(groups(without('{ redis_exporter: off }')).has('redis')).toBe(false);
    expect(groups(without('{ node_exporter: off }')).has('host')).toBe(false);
    expect(groups(without('{ proxies: [] }')).has('proxy')).toBe(false);
    const bare = alertsOf(watched('cluster: orders\nnodes: [10.0.0.1:6379]\n')).map(({ name }) => name);
    expect(bare).not.toContain('BackupNever');
    expect(bare).not.toContain('RedisReplicasMissing');
  });

  it('take their thresholds from forge.yaml', () => {
    const set = without(
      '{ thresholds: { memory_percent: 71, replication_lag: 72s, evictions_per_second: 73, slowlog_per_minute: 74, proxy_failure_percent: 75, proxy_p99_ms: 76, backup_age: 77s, certificate_days: 78, disk_percent: 79 } }',
    );
    const bound = (name: string) =>
      Number(/[<>] (\d+)$/.exec(set.find((each) => each.name === name)?.expression ?? '')?.[1]);
    expect({
      memory: bound('HighMemoryUsage'),
      lag: bound('RedisReplicationLag'),
      evictions: bound('RedisEvictions'),
      slow: bound('RedisSlowlogGrowing'),
      failures: bound('ProxyUpstreamFailures'),
      p99: bound('ProxyLatencyHigh'),
      certificate: bound('CertificateExpiresSoon') / 86_400,
      disk: bound('HostDiskAlmostFull'),
      backup: bound('BackupTooOld'),
    }).toEqual({
      memory: 71,
      lag: 72,
      evictions: 73,
      slow: 74,
      failures: 75,
      p99: 76,
      certificate: 78,
      disk: 79,
      backup: 77,
    });
  });
});

describe('docs/alerts.md', () => {
  const page = readText('docs/alerts.md');

  it('has an entry for every alert, in their order, and none for another', () => {
    expect([...page.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading)).toEqual(names);
  });

  it('says of each how grave it is and after what time it is raised, and something to do', () => {
    for (const { name, severity, lasting } of alerts) {
      const [, entry = ''] = page.split(`\n### ${name}\n`);
      const [body = ''] = entry.split(/\n##/);
      const when = lasting === '0s' ? 'at once' : `after ${lasting}`;
      expect(body.trim().startsWith(`*${severity}, ${when}.* `), name).toBe(true);
      expect(body.length, name).toBeGreaterThan(60);
    }
  });
});

describe('docs/monitoring.md', () => {
  const page = readText('docs/monitoring.md');

  it('has every threshold with its default', () => {
    const [, section = ''] = page.split('### Thresholds');
    const rows = [...section.matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \| \[(\w+)\]/gm)];
    const shown = Object.fromEntries(rows.map(([, name, value]) => [name, value]));
    const durations = new Set(['replication_lag', 'backup_age']);
    const expected = Object.entries(DEFAULT_THRESHOLDS).map(([name, value]) => [
      name,
      durations.has(name) ? formatDuration(value) : String(value),
    ]);
    expect(shown).toEqual(Object.fromEntries(expected));
    for (const [, , , alert] of rows) expect(names).toContain(alert);
  });

  it('has an example that is right', () => {
    const [, example = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    expect(watched(example)).toMatchObject({ proxies: [{ host: '10.0.0.9' }, { host: '10.0.0.10' }] });
  });

  it('names the metrics that forge writes, and the rights of the monitoring user', () => {
    for (const words of [BACKUP_METRIC, CERTIFICATE_METRIC, EXPORTER_RULES]) expect(page).toContain(words);
  });
});
