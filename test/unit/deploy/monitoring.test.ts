import { describe, expect, it } from 'vitest';
import { resolveDeploySettings } from '../../../src/config/deploy-settings-resolve.js';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { createCommands } from '../../../src/deploy/container.js';
import { checkCommand, checkScript, readVerdict } from '../../../src/deploy/monitoring-check.js';
import {
  alertmanagerContainer,
  exporterContainer,
  fromInside,
  grafanaContainer,
  listenAddress,
  prometheusContainer,
} from '../../../src/deploy/monitoring-container.js';
import { chooseMonitoringHosts, requireEnginesOfTheirOwn } from '../../../src/deploy/monitoring-deployment.js';
import { monitoringEffect } from '../../../src/deploy/monitoring-effect.js';
import { monitoringBuilds } from '../../../src/deploy/monitoring-images.js';
import { wantedOfExtra } from '../../../src/deploy/status.js';
import { statusParts, wantsMonitoring, wantsProxy } from '../../../src/deploy/status-parts.js';
import { deployedCluster } from '../../../src/monitoring/deployed.js';
import { exporterInstances } from '../../../src/monitoring/exporters.js';

const FORGE_YAML = `
cluster: orders
hosts:
  a1: { docker: "ssh://ops@192.0.2.1", address: 192.0.2.1 }
  m1: { docker: "ssh://ops@monitor.example", address: monitor.example }
nodes: [{ host: 10.0.0.1, port: 6379, docker_host: a1 }]
replicas_per_master: 0
monitoring:
  node_exporter: { memory: 64mb, cpus: 0.5 }
  prometheus: { host: a1, retention_days: 30, memory: 8gb }
  alertmanager: { host: m1 }
  grafana: { host: m1, password: { environment: GRAFANA_PASSWORD } }
`;

function settingsOf(text = FORGE_YAML) {
  const [cluster] = parseForgeFile(text, 'forge.yaml').clusters;
  const { settings } = resolveDeploySettings({
    ...{ cluster, environment: { REDIS_REQUIREPASS: 'secret' }, named: false, set: [] },
    ...{ folder: '/srv', isOwn: () => false },
  });
  return { settings, cluster };
}
const { settings, cluster } = settingsOf();
const [a1, m1] = settings.hosts as [(typeof settings.hosts)[number], (typeof settings.hosts)[number]];
const required = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('it is not there');
  return value;
};
const { prometheus: placed, alertmanager, grafana } = settings.monitoring;
const files = [{ path: 'rules/orders.yml', content: 'groups: []\n' }];
const prometheus = prometheusContainer(settings, a1, required(placed), files);

function exporter(name: 'redis-exporter' | 'node-exporter', text = FORGE_YAML) {
  const { settings: wanted, cluster: said } = settingsOf(text);
  const instances = exporterInstances(deployedCluster(wanted, said), { user: 'monitor_user', password: 'geheim' });
  return exporterContainer(wanted, a1, required(instances.find((each) => each.name === name)));
}
const lines = (desired: typeof prometheus) =>
  createCommands(desired, { revision: 1, makeNetwork: false }).map(({ args }) => args.join(' '));

describe('a container of monitoring', () => {
  it('listens at the address of its host alone, where that is one', () => {
    expect(listenAddress({ address: '192.0.2.1' }, 9090)).toEqual({ host: '192.0.2.1', port: 9090 });
    for (const address of ['monitor.example', '2001:db8::1']) {
      expect(fromInside(listenAddress({ address }, 9090))).toEqual({ host: '127.0.0.1', port: 9090 });
    }
    expect(prometheus.options.args).toContain('--web.listen-address=192.0.2.1:9090');
    expect(alertmanagerContainer(settings, m1, required(alertmanager), []).options.args).toContain(
      '--web.listen-address=:9093',
    );
  });

  it('keeps what Prometheus has gathered in a volume, for as long and in as much memory as is said', () => {
    expect(prometheus.data).toEqual([{ volume: 'orders-prometheus-data', target: '/data' }]);
    expect(prometheus.options).toMatchObject({ memoryBytes: 8 * 2 ** 30, network: 'host', user: '10001:10001' });
    expect(prometheus.options.args).toContain('--storage.tsdb.retention.time=30d');
    expect(lines(prometheus)).toContainEqual(
      expect.stringMatching(
        /^create --name orders-prometheus --pull .* --mount type=volume,source=orders-prometheus-data,target=\/data,[^ ]*content=data/,
      ),
    );
  });

  it('never has anything copied into it or out of it where it sees the whole host', () => {
    const node = exporter('node-exporter');
    expect(node.files).toEqual([]);
    const [create, ...more] = lines(node);
    expect(more).toEqual([]);
    expect(create).toContain('--volume /:/host:ro,rslave');
    expect(node.options).toMatchObject({ memoryBytes: 64 * 2 ** 20, cpus: 0.5 });
    expect(lines(exporter('node-exporter', FORGE_YAML.replace('cpus: 0.5', 'mounts: fixed')))[0]).toContain(
      '--volume /:/host:ro --volume /var/lib/prometheus/node-exporter:/var/lib/prometheus/node-exporter:ro --tmpfs',
    );
  });

  it('has passwords in files, and in no command', () => {
    const redis = exporter('redis-exporter');
    const file = redis.files.find(({ path }) => path === 'passwords.json');
    expect(file).toMatchObject({ content: expect.stringContaining('geheim'), mode: 0o640, uid: 0, gid: 10_001 });
    expect(lines(redis).join('\n')).not.toContain('geheim');
    const shown = grafanaContainer(settings, m1, required(grafana), [
      { path: 'secrets/admin-password', content: 'geheim' },
    ]);
    expect(lines(shown).join('\n')).not.toContain('geheim');
    expect(shown.options.env).toMatchObject({
      GF_SECURITY_ADMIN_PASSWORD__FILE: '/etc/redisforge/grafana/secrets/admin-password',
    });
  });

  it('is run by the program of its image', () => {
    expect(prometheus.options.entrypoint).toBeUndefined();
    expect(lines(prometheus).join('\n')).not.toContain('--entrypoint prometheus');
  });
});

describe('a change of files', () => {
  const change = (path: string) => ({ path, before: 'a', after: 'b' });
  it('is read by Prometheus and Alertmanager when they are told', () => {
    const effect = monitoringEffect(prometheus, [change('rules/orders.yml'), change('fetch.sh')]);
    expect(effect).toEqual({
      kind: 'live',
      changes: [
        {
          to: 'program',
          words: ['sh', '/etc/redisforge/prometheus/reload.sh', '192.0.2.1', '9090', 'prometheus'],
          shown: 'reload: rules/orders.yml',
        },
      ],
    });
  });
  it('is read by nobody where it is a script', () => {
    expect(monitoringEffect(prometheus, [change('reload.sh')])).toEqual({ kind: 'live', changes: [] });
  });
  it('is found by Grafana where it is a dashboard, and read at a start otherwise', () => {
    const { probe } = prometheus;
    const of = (path: string) => monitoringEffect({ role: 'grafana', probe }, [change(path)]).kind;
    expect(of('dashboards/redisforge.json')).toBe('live');
    expect(of('provisioning/datasources/redisforge.yml')).toBe('replace');
    expect(monitoringEffect({ role: 'redis-exporter', probe }, [change('passwords.json')])).toEqual({
      kind: 'replace',
      reasons: ['passwords.json is another, which is read at a start only'],
    });
  });
});

describe('the check of files before', () => {
  it('is done in a scratch container that can do nothing, for those that have a tool', () => {
    const command = required(checkCommand(prometheus));
    const line = command.args.join(' ');
    for (const words of [
      '--rm',
      '--network none',
      '--read-only',
      '--cap-drop ALL',
      '--user 10001:10001',
      '--pull never',
    ]) {
      expect(line).toContain(words);
    }
    expect(Buffer.from(command.input?.bytes ?? []).toString()).toContain(
      'promtool check config /tmp/check/prometheus.yml',
    );
    expect(checkCommand(exporter('node-exporter'))).toBeUndefined();
  });

  it('holds no secret, and files as they are', () => {
    const entry = (path: string, content?: string) => ({
      ...{ path, mode: 0o640, uid: 0, gid: 0 },
      ...(content === undefined ? {} : { content }),
    });
    const script = checkScript(
      [entry('rules'), entry("rules/it's.yml", 'a: $HOME `x`\nEND\n'), entry('secrets/slack-webhook', 'geheim')],
      ['amtool', 'check-config'],
    );
    expect(script).not.toContain('geheim');
    expect(script).toContain("mkdir -p '/tmp/check/rules'");
    expect(script).toMatch(
      /cat >'\/tmp\/check\/rules\/it'\\''s\.yml' <<'(END-[0-9a-f]{16})'\na: \$HOME `x`\nEND\n\1\n/,
    );
  });

  it.each([
    ['Checking …\n SUCCESS\nREDISFORGE right\n', { kind: 'right' }],
    ['REDISFORGE none\n', { kind: 'none' }],
    [
      "Checking '/tmp/check/alertmanager.yml'  FAILED: bad\nREDISFORGE wrong\n",
      { kind: 'wrong', lines: ["Checking 'alertmanager.yml'  FAILED: bad"] },
    ],
    ['', { kind: 'wrong', lines: [] }],
  ])('of %j', (output, verdict) => {
    expect(readVerdict(output)).toEqual(verdict);
  });
});

describe('the hosts that are meant', () => {
  const choose = (choice: { hosts?: string[]; all?: boolean }, own: string[] = []) =>
    chooseMonitoringHosts(settings.hosts, { hosts: [], all: false, ...choice }, (address) => own.includes(address));
  it('are those that are named, all, or this machine', () => {
    expect(choose({ hosts: ['m1', 'm1'] })).toEqual(['m1']);
    expect(choose({ all: true })).toEqual(['a1', 'm1']);
    expect(choose({}, ['192.0.2.1'])).toEqual(['a1']);
  });
  it('are refused where two of them are one engine, and both would have an exporter of one name', () => {
    const container = exporter('node-exporter');
    const on = (name: string) => ({ ...container, host: name });
    const engine = { docker: 'ssh://ops@192.0.2.1', address: '192.0.2.1' };
    const hosts = [
      { ...engine, name: 'a1' },
      { ...engine, name: 'a2' },
      { ...engine, name: 'b1', docker: 'ssh://ops@192.0.2.2' },
    ];
    expect(() => requireEnginesOfTheirOwn(hosts, [on('a1'), on('b1'), exporter('redis-exporter')])).not.toThrow();
    expect(() => requireEnginesOfTheirOwn(hosts, [on('a1'), on('b1'), on('a2')])).toThrow(
      expect.objectContaining({
        kind: 'configuration',
        host: 'a2',
        message: expect.stringMatching(/hosts a1 and a2 .* one Docker engine.*orders-node-exporter/),
      }),
    );
  });
  it('are told of where there is none', () => {
    expect(() => choose({})).toThrow(/No Docker host/);
    expect(() => choose({ hosts: ['x1'] })).toThrow('There is no host x1.');
  });
});

describe('images', () => {
  it('are built for what Debian has', async () => {
    const shown = grafanaContainer(settings, m1, required(grafana), []);
    const builds = await monitoringBuilds([prometheus, exporter('node-exporter'), shown], 'debian:x');
    expect(builds.map(({ host, image }) => [host, image])).toEqual([
      ['a1', 'redisforge/prometheus:latest'],
      ['a1', 'redisforge/node-exporter:latest'],
    ]);
    expect(builds[1]?.command.args.join(' ')).toContain('BASE=debian:x --build-arg PROGRAM=prometheus-node-exporter');
  });
});

describe('the status of proxies and monitoring', () => {
  it('is missed only where forge.yaml says how they are deployed', () => {
    expect(wantsMonitoring(cluster)).toBe(true);
    expect(wantsMonitoring(undefined)).toBe(false);
    expect(wantsMonitoring({ monitoring: { redis_exporter: { port: 1 }, node_exporter: false } })).toBe(false);
    expect(wantsMonitoring({ monitoring: { node_exporter: { image: 'x:1' } } })).toBe(true);
    expect(wantsProxy({ proxy: { admin: { host: 'p', port: 1 } } })).toBe(false);
    expect(wantsProxy({ proxy: { hosts: ['a1'] } })).toBe(true);
    const [proxy, monitoring] = statusParts({ settings, environment: {}, hosts: ['a1'] });
    expect([proxy?.expected, monitoring?.expected]).toEqual([false, false]);
    expect(monitoring?.portsOf('prometheus')).toEqual([9090]);
    expect(monitoring?.portsOf('redis')).toEqual([]);
  });

  it('is extra where forge.yaml names no such container any more', () => {
    const seen = { name: 'orders-prometheus', role: 'prometheus' };
    expect(wantedOfExtra(seen, new Set(), new Set(['redis', 'prometheus']))).toBe('extra');
    expect(wantedOfExtra(seen, new Set(), new Set(['redis']))).toBe('other');
  });
});
