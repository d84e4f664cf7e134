import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { monitoringFiles } from '../../../src/monitoring/files.js';
import { JOBS, prometheusConfig, targetGroups, targetsText } from '../../../src/monitoring/prometheus.js';
import { FORGE_YAML, watched } from '../../support/monitoring.js';

const places = { prometheusUrl: 'http://10.0.0.20:9090', dashboards: '/dashboards' };

describe('what is scraped', () => {
  it('is each node, through the exporter of its host and under its own name', () => {
    expect(targetGroups(watched()).redis.at(3)).toEqual({
      targets: ['10.0.0.1:9121'],
      labels: {
        cluster: 'orders',
        host: '10.0.0.1',
        zone: 'zone-a',
        instance: '10.0.0.1:6380',
        __param_target: 'redis://10.0.0.1:6380',
      },
    });
    expect(targetGroups(watched()).redis).toHaveLength(6);
  });

  it('is asked with TLS where nodes speak it', () => {
    const [first] = targetGroups(watched(`${FORGE_YAML}tls: true\n`)).redis;
    expect(first?.labels['__param_target']).toBe('rediss://10.0.0.1:6379');
  });

  it('has IPv6 addresses in brackets', () => {
    const groups = targetGroups(watched('cluster: six\nnodes: ["[2001:db8::1]:6379"]\n'));
    expect(groups.redis[0]).toMatchObject({
      targets: ['[2001:db8::1]:9121'],
      labels: { host: '2001:db8::1', instance: '[2001:db8::1]:6379', __param_target: 'redis://[2001:db8::1]:6379' },
    });
    expect(groups.node[0]?.targets).toEqual(['[2001:db8::1]:9100']);
  });

  it('has no Redis exporter on hosts without nodes, and none of what is off', () => {
    const more = targetGroups(watched(`${FORGE_YAML}monitoring: { hosts: [10.0.0.9] }\n`));
    expect([more.node.length, more['redis-exporter'].length]).toEqual([4, 3]);
    const off = targetGroups(watched(`${FORGE_YAML}monitoring: { redis_exporter: off, node_exporter: off }\n`));
    expect([off.redis, off.node, off['redis-exporter']]).toEqual([[], [], []]);
    expect(off.proxy).toEqual([{ targets: ['10.0.0.9:9901'], labels: { cluster: 'orders', host: '10.0.0.9' } }]);
  });

  it('is a file of JSON, also when there is nothing', () => {
    expect(JSON.parse(targetsText([]))).toEqual([]);
    expect(targetsText(targetGroups(watched()).node).endsWith('\n')).toBe(true);
  });
});

describe('prometheus.yml', () => {
  const config = (forgeYaml?: string) => parse(prometheusConfig(watched(forgeYaml), '10.0.0.20:9090'));

  it('has a job for each kind of target, for itself and for Alertmanager', () => {
    const { scrape_configs: jobs, global } = config();
    expect(jobs.map((job: { job_name: string }) => job.job_name)).toEqual([
      ...JOBS.map((job) => `redisforge-${job}`),
      'prometheus',
      'alertmanager',
    ]);
    expect(jobs[0]).toEqual({
      job_name: 'redisforge-redis',
      metrics_path: '/scrape',
      file_sd_configs: [{ files: ['targets/*.redis.json'], refresh_interval: '1m' }],
    });
    expect(jobs[4].static_configs[0].targets).toEqual(['10.0.0.20:9090']);
    expect(global).toEqual({ scrape_interval: '15s', scrape_timeout: '10s', evaluation_interval: '15s' });
  });

  it('never waits longer for a scrape than until the next one', () => {
    const { global } = config(`${FORGE_YAML}monitoring: { scrape_interval: 5s }\n`);
    expect(global).toMatchObject({ scrape_interval: '5s', scrape_timeout: '5s' });
  });
});

describe('the files', () => {
  it('are the same for the same forge.yaml', () => {
    expect(monitoringFiles(watched(), {}, places)).toEqual(monitoringFiles(watched(), {}, places));
  });

  it('carry the name of the cluster where they are about it, so that two clusters share a folder', () => {
    const orders = monitoringFiles(watched(), {}, places);
    const carts = monitoringFiles(watched(FORGE_YAML.replace('orders', 'carts')), {}, places);
    const shared = orders.filter(({ path }) => carts.some((each) => each.path === path));
    expect(shared.map(({ path }) => path)).toEqual([
      'prometheus/prometheus.yml',
      'alertmanager/alertmanager.yml',
      'grafana/dashboards/redisforge.json',
      'grafana/provisioning/datasources/redisforge.yml',
      'grafana/provisioning/dashboards/redisforge.yml',
    ]);
    for (const file of shared) expect(carts).toContainEqual(file);
  });

  it('can be told from those of others by a mark that they hold', () => {
    for (const { content, mark } of monitoringFiles(watched(), {}, places)) expect(content).toContain(mark ?? '');
  });

  it('scrape Prometheus where it is, also at the port that an address leaves out', () => {
    const own = (prometheusUrl: string) =>
      parse(monitoringFiles(watched(), {}, { ...places, prometheusUrl })[0]?.content ?? '').scrape_configs[4];
    expect(own('https://metrics.example').static_configs[0].targets).toEqual(['metrics.example:443']);
    expect(own('http://[::1]:9090').static_configs[0].targets).toEqual(['[::1]:9090']);
  });
});
