import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { formatBackupRun } from '../../../src/backup/run/textfile.js';
import { backupTextfile, certificateTextfile, formatCertificates } from '../../../src/monitoring/textfile.js';

const NOON = new Date('2026-11-22T12:00:00.900Z');
const SUCCESS = {
  ...{ finishedAtMs: NOON.getTime(), elapsedMs: 1_500, bytes: 2_048, keys: 3, masters: 3, movingSlots: 0 },
};
const NAMES = ['nodes/10.0.0.1-6379/server', 'ca', 'a "quoted" \\ name', 'two\nlines'];

describe('what forge tells Prometheus', () => {
  it('is until when each certificate is valid, by name, whatever is in it', () => {
    const text = formatCertificates(
      'orders',
      NAMES.map((name) => ({ name, notAfter: NOON })),
    );
    expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
      'redisforge_certificate_not_after_timestamp_seconds{redis_cluster="orders",certificate="a \\"quoted\\" \\\\ name"} 1795348800',
      'redisforge_certificate_not_after_timestamp_seconds{redis_cluster="orders",certificate="ca"} 1795348800',
      'redisforge_certificate_not_after_timestamp_seconds{redis_cluster="orders",certificate="nodes/10.0.0.1-6379/server"} 1795348800',
      'redisforge_certificate_not_after_timestamp_seconds{redis_cluster="orders",certificate="two\\nlines"} 1795348800',
      '',
    ]);
  });

  it('is nothing when there is nothing to tell', () => {
    expect(formatCertificates('orders', [])).toBe('');
  });

  it('is right in the eyes of promtool', () => {
    const input =
      formatBackupRun({ cluster: 'orders', endedAtMs: NOON.getTime(), exitCode: 0, success: SUCCESS }) +
      formatCertificates(
        'orders',
        NAMES.map((name) => ({ name, notAfter: NOON })),
      );
    const run = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8', timeout: 10_000 });
    expect([run.stderr, run.status]).toEqual(['', 0]);
  });

  it('is in a file of its own for each cluster and kind', () => {
    const files = ['orders', 'carts'].flatMap((name) => [backupTextfile(name), certificateTextfile(name)]);
    expect(new Set(files).size).toBe(4);
    for (const file of files) expect(file).toMatch(/^redisforge-[a-z-]+\.prom$/);
  });

  it('is no time that there is not', () => {
    expect(() => formatCertificates('orders', [{ name: 'ca', notAfter: new Date(Number.NaN) }])).toThrow(RangeError);
  });
});
