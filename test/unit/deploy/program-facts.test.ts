import { describe, expect, it } from 'vitest';
import { residentBytes, versionIn, versionWords } from '../../../src/deploy/program-facts.js';
import { isOlder } from '../../../src/deploy/proxy-version.js';

describe('what programs in containers say of themselves', () => {
  it.each([
    ['forge-proxy/0.1.0 bun/1.4.5 linux-x64', '0.1.0'],
    ['prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5)', '2.42.0+ds'],
    ['alertmanager, version 0.25.0 (branch: debian/sid)', '0.25.0'],
    [
      'time="2026-11-22T08:43:36Z" level=info msg="Redis Metrics Exporter 1.45.0-2+b4    build date: 20230409"',
      '1.45.0-2+b4',
    ],
    ['level=info msg="Redis Metrics Exporter v1.66.0    build date: 2024-11-20"', '1.66.0'],
    ['node_exporter, version 1.5.0 (branch: x)\n  go version:       go1.19.8', '1.5.0'],
  ])('has its version: %s', (said, version) => expect(versionIn(said)).toBe(version));

  it('is none where there is none', () => {
    expect(versionIn('unknown flag: --version')).toBeUndefined();
    expect(versionIn('')).toBeUndefined();
  });

  it('is asked of programs that print it and end, and of no script', () => {
    expect(versionWords({ role: 'proxy', program: '/anything' })).toEqual(['/usr/local/bin/forge-proxy', '--version']);
    for (const program of ['/usr/local/bin/monitor', '/bin/prometheus', '/redis_exporter', 'node_exporter']) {
      expect(versionWords({ role: 'prometheus', program })).toEqual([program, '--version']);
    }
    expect(versionWords({ role: 'grafana', program: '/run.sh' })).toBeUndefined();
    expect(versionWords({ role: 'prometheus' })).toBeUndefined();
  });

  it('is the memory of all processes', () => {
    expect(residentBytes('PID  PPID  RSS  COMMAND\n10 1 1000 sh\n11 10 24 monitor\n')).toBe(1024 * 1024);
    expect(residentBytes('')).toBeNull();
  });

  it.each([
    ['0.1.0', '0.2.0', true],
    ['0.9.1', '0.10.0', true],
    ['1.0', '1.0.1', true],
    ['0.2.0', '0.1.9', false],
    ['1.0.0', '1.0', false],
    ['0.1.0-rc.1', '0.1.0', false],
  ])('%s is older than %s: %s', (one, other, older) => expect(isOlder(one, other)).toBe(older));
});
