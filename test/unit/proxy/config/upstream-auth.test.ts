import { describe, expect, it } from 'vitest';
import { ConfigError, parseConfig } from '../../../../src/proxy/config/load.js';

const config = (lines: string) => `
listeners:
  - address: 127.0.0.1:6379
    cluster: main
${lines}
clusters:
  - { name: main, endpoints: [127.0.0.1:7000] }
`;

function problem(lines: string): string {
  try {
    parseConfig(config(lines), 'proxy.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}

describe('upstream_auth', () => {
  it('has defaults, and bounds that are said', () => {
    const { listeners } = parseConfig(config('    upstream_auth: {}'), 'proxy.yaml');
    expect(listeners[0]?.upstream_auth).toEqual({ check_interval: 5000, max_upstream_users: 1024 });
    expect(problem('    upstream_auth: { check_interval: 10ms }')).toContain('check_interval');
    expect(problem('    upstream_auth: { max_upstream_users: 0 }')).toContain('max_upstream_users');
    expect(problem('    upstream_auth: { check_intervall: 5s }')).toContain('check_interval');
  });

  it('excludes users of the configuration', () => {
    for (const other of [
      '    downstream_auth_passwords: [{ inline: secret }]',
      '    users: [{ name: a, rules: nopass +@all ~* }]',
    ]) {
      expect(problem(`    upstream_auth: {}\n${other}`)).toContain("Redis's users are the only ones");
    }
  });
});
