import { describe, expect, it } from 'vitest';
import { type ConfigError, parseConfig } from '../../../../src/proxy/config/load.js';

const config = (lines: string, type = 'sharded') =>
  parseConfig(
    `listeners: [{ address: 127.0.0.1:1, cluster: a }]\nclusters:\n  - name: a\n    type: ${type}\n    endpoints: [a:1]\n${lines}`,
    'proxy.yaml',
  ).clusters[0]!;

const problem = (lines: string, type?: string): string => {
  try {
    config(lines, type);
  } catch (error) {
    return (error as ConfigError).message;
  }
  throw new Error('it was taken');
};

describe('health settings', () => {
  it('have defaults', () => {
    const { health_checks: checks, outlier_detection: outlier } = config(
      '    health_checks: [{}]\n    outlier_detection: {}\n',
    );
    expect(checks).toEqual([
      { timeout: 1000, interval: 5000, interval_jitter: 0, unhealthy_threshold: 2, healthy_threshold: 2 },
    ]);
    expect(outlier).toEqual({
      consecutive_local_origin_failure: 5,
      interval: 10_000,
      base_ejection_time: 30_000,
      max_ejection_time: 300_000,
      max_ejection_percent: 10,
      enforcing_consecutive_local_origin_failure: 100,
      successful_active_health_check_uneject_host: true,
    });
    expect(config('').health_checks).toEqual([]);
    expect(config('').outlier_detection).toBeUndefined();
  });

  it.each([
    ['    health_checks: [{ timeout: 2s, interval: 1s }]\n', /proxy\.yaml:6.*timeout: more than the interval/],
    ['    health_checks: [{}, {}]\n', /at most one health check/],
    ['    health_checks: [{ redis_health_check: { key: "" } }]\n', /key/],
    ['    health_checks: [{ intervall: 1s }]\n', /did you mean 'interval'/],
    ['    outlier_detection: { base_ejection_time: 10m }\n', /more than max_ejection_time/],
    ['    outlier_detection: { max_ejection_percent: 101 }\n', /max_ejection_percent/],
    ['    unhealthy_hosts: REHSAH\n', /did you mean 'REHASH'/],
    ['    circuit_breakers: { thresholds: [{ max_conections: 1 }] }\n', /did you mean 'max_connections'/],
    ['    circuit_breakers: { thresholds: [{}, {}] }\n', /at most one threshold/],
  ])('%s is refused', (lines, expected) => {
    expect(problem(lines)).toMatch(expected);
  });

  it('what only independent servers have is refused for a Redis Cluster', () => {
    expect(problem('    unhealthy_hosts: REHASH\n', 'redis_cluster')).toMatch(/only a cluster of type: sharded/);
  });
});
