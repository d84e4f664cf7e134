import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../../src/proxy/config/load.js';
import { planReload } from '../../../../src/proxy/server/reload-plan.js';
import { resolveSecrets, type Secrets } from '../../../../src/proxy/server/secrets.js';

const BASE = `
admin: { address: 127.0.0.1:9901 }
workers: 2
listeners:
  - address: 127.0.0.1:6379
    cluster: main
    downstream_auth_passwords: [{ inline: first-secret }]
clusters:
  - { name: main, endpoints: [10.0.0.1:6379], auth_password: { environment: NODES } }
  - { name: other, type: sharded, endpoints: [10.0.0.2:6379] }
`;

const configured = (text: string, environment: Record<string, string> = { NODES: 'a' }) => {
  const config = parseConfig(text, 'proxy.yaml');
  return { config, secrets: resolveSecrets(config, 'proxy.yaml', environment) as Secrets };
};
const plan = (after: string, environment?: Record<string, string>) =>
  planReload(configured(BASE), configured(after, environment));

describe('the plan of a reload', () => {
  it('is empty when nothing has changed', () => {
    const { live, restart, config } = plan(BASE);
    expect({ live, restart }).toEqual({ live: [], restart: [] });
    expect(config).toEqual(configured(BASE).config);
  });

  it('names clusters by their names, whatever their order', () => {
    const swapped = BASE.replace(/ {2}- \{ name: main.*\n/, '').replace(
      /( {2}- \{ name: other.*\n)/,
      '$1  - { name: main, endpoints: [10.0.0.9:6379], auth_password: { environment: NODES } }\n  - { name: third, endpoints: [10.0.0.3:6379] }\n',
    );
    const { live } = plan(swapped);
    expect(live).toEqual([expect.stringMatching(/^clusters\[main\]\.endpoints/), 'clusters[third]: added']);
  });

  it('keeps the old value of what only a restart changes', () => {
    const { live, restart, config } = plan(
      BASE.replace('workers: 2', 'workers: 4')
        .replace(':6379\n    cluster', ':7000\n    cluster')
        .replace(':9901', ':9902'),
    );
    expect(live).toEqual([]);
    expect([...restart].sort()).toEqual([
      'admin.address: 127.0.0.1:9901 → 127.0.0.1:9902',
      'listeners[0].address: 127.0.0.1:6379 → 127.0.0.1:7000',
      'workers: 2 → 4',
    ]);
    expect(config).toEqual(configured(BASE).config);
  });

  it('takes the rest, together with them', () => {
    const { live, restart, config } = plan(
      BASE.replace('workers: 2', 'workers: 4').replace('cluster: main\n', 'cluster: other\n'),
    );
    expect(live).toEqual(['listeners[0].cluster: main → other']);
    expect(restart).toEqual(['workers: 2 → 4']);
    expect(config.workers).toBe(2);
    expect(config.listeners[0].cluster).toBe('other');
  });

  it('never shows a secret, and says when only its value has changed', () => {
    const inline = plan(BASE.replace('first-secret', 'second-secret'));
    expect(inline.live.join()).toMatch(/downstream_auth_passwords/);
    expect(inline.live.join()).not.toContain('secret-');
    expect(inline.live.join()).not.toMatch(/first|second/);
    expect(plan(BASE, { NODES: 'b' }).live).toEqual(['clusters[main].auth_password: another secret']);
  });
});
