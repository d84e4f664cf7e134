import { describe, expect, it } from 'vitest';
import { exporterInstances } from '../../../src/monitoring/exporters.js';
import { FORGE_YAML, watched } from '../../support/monitoring.js';

const LOGIN = { user: 'monitor_user', password: 'p"ss', ca: 'CA', certificate: 'CERT', key: 'KEY' };
const secure = `${FORGE_YAML}tls: true\nmonitoring: { hosts: [10.0.0.9] }\n`;
const argument = (args: readonly string[], flag: string) =>
  args.find((each) => each.startsWith(`--${flag}=`))?.slice(flag.length + 3);

describe('exporters', () => {
  it('are two to a host, and no Redis exporter where there is no node', () => {
    expect(exporterInstances(watched(secure), LOGIN).map(({ name, host }) => `${host} ${name}`)).toEqual([
      '10.0.0.1 redis-exporter',
      '10.0.0.1 node-exporter',
      '10.0.0.2 redis-exporter',
      '10.0.0.2 node-exporter',
      '10.0.0.3 redis-exporter',
      '10.0.0.3 node-exporter',
      '10.0.0.9 node-exporter',
    ]);
  });

  it('have no secret among their arguments, and secrets only in files for their own eyes', () => {
    for (const { args, files } of exporterInstances(watched(secure), LOGIN)) {
      expect(args.join(' ')).not.toMatch(/p"ss|KEY/);
      for (const { content, mode } of files) if (/ss|KEY/.test(content)) expect(mode).toBe(0o600);
    }
  });

  it('are given passwords of the nodes of their host and of no others, by both names that versions look for', () => {
    const [first] = exporterInstances(watched(secure), LOGIN);
    const file = first?.files.find(({ path }) => path === argument(first.args, 'redis.password-file'));
    expect(JSON.parse(file?.content ?? '')).toEqual({
      'rediss://10.0.0.1:6379': 'p"ss',
      'rediss://monitor_user@10.0.0.1:6379': 'p"ss',
      'rediss://10.0.0.1:6380': 'p"ss',
      'rediss://monitor_user@10.0.0.1:6380': 'p"ss',
    });
  });

  it('have every file that an argument names, and no other', () => {
    for (const { args, files } of exporterInstances(watched(secure), LOGIN)) {
      const named = args.map((each) => each.slice(each.indexOf('=') + 1)).filter((each) => each.startsWith('/etc/'));
      expect(named.sort()).toEqual(files.map(({ path }) => path).sort());
    }
  });

  it('need no certificate without TLS, and no file of passwords without a password', () => {
    const [plain] = exporterInstances(watched(), LOGIN);
    expect(plain?.files.map(({ path }) => path)).toEqual(['/etc/redisforge/exporter/passwords.json']);
    const [open] = exporterInstances(watched(), {});
    expect(open?.files).toEqual([]);
    expect(open?.args.some((each) => each.startsWith('--redis.user'))).toBe(false);
  });

  it('see the whole host, and change nothing on it', () => {
    const [, node] = exporterInstances(watched(), LOGIN);
    const textfiles = '/var/lib/prometheus/node-exporter';
    expect(node?.mounts).toEqual([
      { source: '/', target: '/host', readOnly: true, propagation: 'rslave' },
      { source: textfiles, target: textfiles, readOnly: true },
    ]);
    expect(argument(node?.args ?? [], 'collector.textfile.directory')).toBe('/var/lib/prometheus/node-exporter');
  });

  it('listen where forge.yaml says, and are not there when they are off', () => {
    const ports = `${FORGE_YAML}monitoring: { redis_exporter: { port: 9221 }, node_exporter: off }\n`;
    const instances = exporterInstances(watched(ports), LOGIN);
    expect(instances.map(({ name, port }) => [name, port])).toEqual(Array(3).fill(['redis-exporter', 9221]));
    expect(argument(instances[0]?.args ?? [], 'web.listen-address')).toBe(':9221');
  });
});
