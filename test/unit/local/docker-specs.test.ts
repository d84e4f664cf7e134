import { describe, expect, it } from 'vitest';
import { refuseRemoteEngine } from '../../../src/local/docker/place.js';
import { baseSpec, containerNames, nodeSpec, proxySpec } from '../../../src/local/docker/specs.js';
import type { Secrets } from '../../../src/local/secrets.js';
import { planContainer } from '../../../src/runtime/docker/plan.js';

const names = containerNames({ name: 'local', directory: '/var/lib/me/local' });
const state = {
  runtime: 'docker',
  nodePorts: [7001, 7002, 7003],
  replicas: 0,
  proxy: { port: 7379, adminPort: 9901 },
} as const;
const secrets: Secrets = { endpoint: 'secret-e', app: 'secret-a', admin: 'secret-m', replication: 'secret-r' };
const specs = async () => [
  baseSpec(names, 'redis:8.0', [7001, 7002]),
  await nodeSpec(names, { ...state, nodePorts: [...state.nodePorts] }, { image: 'redis:8.0', port: 7001, secrets }),
  await proxySpec(names, { ...state, nodePorts: [...state.nodePorts] }, { ports: state.proxy, secrets }),
];

describe('the containers of a local cluster', () => {
  it('have names of their own for every cluster, also for two of one name in two homes', () => {
    const other = containerNames({ name: 'local', directory: '/tmp/local' });
    expect(names.cluster).toMatch(/^forge-local-[0-9a-f]{6}$/);
    expect(other.cluster).not.toBe(names.cluster);
    expect(containerNames({ name: 'local', directory: '/tmp/local' })).toMatchObject({ cluster: other.cluster });
    const all = [names.base, names.proxy, names.node(7001), names.node(7002)].map(({ name }) => name);
    expect(new Set(all).size).toBe(4);
  });

  it('can be containers: owned by an ordinary user, with every file in a volume of theirs', async () => {
    for (const spec of await specs()) {
      const { create, owner, volumes } = planContainer(spec);
      expect(owner).toEqual({ uid: 10_001, gid: 10_001 });
      expect(volumes).toEqual([`${spec.name}-config`]);
      expect(create.labels).toMatchObject({ 'io.redisforge.cluster': names.cluster });
    }
  });

  it('hold no password but in files that only their user reads', async () => {
    for (const spec of await specs()) {
      const { files, ...rest } = spec;
      expect(JSON.stringify(rest)).not.toContain('secret-');
      for (const { content, mode } of files) if (content.includes('secret-')) expect(mode).toBe(0o600);
    }
  });

  it('share one network, whose ports are published on loopback alone', async () => {
    const [base, node, proxy] = await specs();
    expect(base?.container).toMatchObject({ network: names.network });
    expect(base?.container?.publish).toEqual([
      { hostIp: '127.0.0.1', hostPort: 7001, containerPort: 7001 },
      { hostIp: '127.0.0.1', hostPort: 7002, containerPort: 7002 },
    ]);
    for (const one of [node, proxy]) {
      expect(one?.container).toMatchObject({ network: `container:${names.base.name}`, publish: [] });
    }
  });

  it('announce the loopback that they share, and listen where published ports arrive', async () => {
    const [, node, proxy] = await specs();
    const config = node?.files.find(({ path }) => path.endsWith('redis.conf'))?.content;
    expect(config).toMatch(/^cluster-announce-ip "?127\.0\.0\.1"?$/m);
    expect(node?.args.join(' ')).toContain('--bind 0.0.0.0');
    const yaml = proxy?.files.find(({ path }) => path.endsWith('proxy.yaml'))?.content;
    expect(yaml).toContain('"0.0.0.0:7379"');
    expect(yaml).toContain('["127.0.0.1:7001","127.0.0.1:7002","127.0.0.1:7003"]');
    expect(yaml).toContain('"/etc/forge-proxy/endpoint"');
  });
});

describe('refuseRemoteEngine', () => {
  it.each([undefined, '', 'unix:///run/docker.sock'])('takes an engine of this machine: %s', (host) => {
    expect(() => refuseRemoteEngine(host)).not.toThrow();
  });

  it.each(['ssh://ops@10.0.0.1', 'tcp://10.0.0.1:2376'])('refuses one elsewhere: %s', (host) => {
    expect(() => refuseRemoteEngine(host)).toThrow(expect.objectContaining({ kind: 'refused' }));
  });
});
