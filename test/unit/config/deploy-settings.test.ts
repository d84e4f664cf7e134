import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { derivedPassword, readUserPasswords } from '../../../src/config/deploy-secrets.js';
import { loadDeploySettings, nodeCertificateFolder, ownAddresses } from '../../../src/config/deploy-settings-load.js';
import { type DeployResult, resolveDeploySettings } from '../../../src/config/deploy-settings-resolve.js';
import { DEPLOY_VARIABLES } from '../../../src/config/deploy-settings-variables.js';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { loadSettings } from '../../../src/config/resolve.js';
import { readText } from '../../support/repository.js';

interface Said {
  environment?: NodeJS.ProcessEnv;
  set?: string[];
  named?: boolean;
}

function resolve(text: string, { environment = {}, set = [], named = false }: Said = {}): DeployResult {
  const cluster = text === '' ? undefined : parseForgeFile(text, 'forge.yaml').clusters[0];
  return resolveDeploySettings({
    ...(cluster === undefined ? {} : { cluster }),
    environment,
    named,
    set,
    folder: '/etc/redisforge',
    isOwn: (host) => host.startsWith('127.') || host === '10.0.0.9',
  });
}

const problems = (text: string, said?: Said) =>
  resolve(text, said).problems.map(({ path: place, message, from }) => `${from ?? place.join('.')}: ${message}`);
const settings = (text: string, said?: Said) => {
  expect(problems(text, said)).toEqual([]);
  return resolve(text, said).settings;
};

const THREE = 'cluster: orders\nnodes: [10.0.0.1:6379@a, 10.0.0.2:6379@b, 10.0.0.3:6379@c]\nreplicas_per_master: 0\n';

describe('a deployment', () => {
  it('is one node of this machine where there is no forge.yaml', () => {
    const { cluster, nodes, hosts, redis, replicasPerMaster } = settings('');
    expect(cluster).toBe('redisforge');
    expect(nodes).toEqual([
      {
        name: 'redis-6379',
        host: '127.0.0.1',
        port: 6379,
        busPort: 16_379,
        dockerHost: '127.0.0.1',
        announce: { ip: '127.0.0.1', port: 6379, busPort: 16_379 },
      },
    ]);
    expect(hosts).toEqual([{ name: '127.0.0.1', address: '127.0.0.1' }]);
    expect(redis).toMatchObject({ image: 'redisforge/redis:8.0', network: { kind: 'host' }, data: { kind: 'volume' } });
    expect(replicasPerMaster).toBe(0);
  });

  it('is described by the variables of the bash suite alone', () => {
    const environment = {
      REDIS_VERSION: '7.2',
      REDIS_PORT: '7000',
      REDIS_CLUSTER_BUS_PORT: '17001',
      REDIS_CLUSTER_ANNOUNCE_IP: '10.0.0.9',
      REDIS_CLUSTER_ANNOUNCE_PORT: '7100',
      REDIS_CLUSTER_ANNOUNCE_BUS_PORT: '17100',
      REDIS_MAXMEMORY: '2gb',
      REDIS_MAXMEMORY_POLICY: 'allkeys-lru',
      REDIS_AOF_ENABLED: 'true',
      REDIS_APPEND_FSYNC: 'always',
      REDIS_LOGLEVEL: 'verbose',
      REDIS_IO_THREADS: '2',
      REDIS_TCP_BACKLOG: '1024',
      REDIS_MAX_CLIENTS: '5000',
      REDIS_MEMORY_LIMIT: '4g',
      REDIS_CPU_LIMIT: '2',
      REDIS_ACL_USER: 'shop',
      REDIS_ACL_PASS: 'x',
      ENVOY_LISTENER_PORT: '6400',
      ENVOY_ADMIN_PORT: '9902',
      REDIS_EXPORTER_PORT: '9122',
      DOCKER_NETWORK_SUBNET: '172.28.0.0/16',
    };
    const { redis, nodes, proxy, monitoring } = settings('', { environment });
    expect(nodes[0]).toMatchObject({
      port: 7000,
      busPort: 17_001,
      announce: { ip: '10.0.0.9', port: 7100, busPort: 17_100 },
    });
    expect(redis.version.text).toBe('7.2');
    expect(redis.limits).toEqual({ memoryBytes: 4 * 2 ** 30, cpus: 2 });
    expect(redis.settings).toEqual({
      maxmemory: ['2gb'],
      'maxmemory-policy': ['allkeys-lru'],
      appendonly: ['yes'],
      appendfsync: ['always'],
      loglevel: ['verbose'],
      'io-threads': ['2'],
      'tcp-backlog': ['1024'],
      maxclients: ['5000'],
    });
    expect(redis.users.find(({ role }) => role === 'app')).toEqual({
      role: 'app',
      name: 'shop',
      password: { environment: 'REDIS_ACL_PASS' },
    });
    expect(proxy).toMatchObject({ port: 6400, adminPort: 9902 });
    expect(monitoring.redisExporter.port).toBe(9122);
    expect(redis.network).toEqual({ kind: 'host' });
  });

  it('is --set before the environment before forge.yaml; a named cluster’s file goes before the environment', () => {
    const text = `${THREE}redis: { cpus: 1, settings: { maxclients: 1000 } }\n`;
    const environment = { REDIS_MAX_CLIENTS: '2000', REDIS_CPU_LIMIT: '2' };
    expect(settings(text).redis).toMatchObject({ limits: { cpus: 1 }, settings: { maxclients: ['1000'] } });
    expect(settings(text, { environment }).redis).toMatchObject({
      limits: { cpus: 2 },
      settings: { maxclients: ['2000'] },
    });
    const set = ['maxclients=3000', 'redis.cpus=3', 'redis.cpus=4'];
    expect(settings(text, { environment, set }).redis).toMatchObject({
      limits: { cpus: 4 },
      settings: { maxclients: ['3000'] },
    });
    expect(settings(text, { environment, named: true }).redis).toMatchObject({
      limits: { cpus: 1 },
      settings: { maxclients: ['1000'] },
    });
    expect(
      settings(text, { environment: { REDIS_LOGLEVEL: 'debug' }, named: true }).redis.settings['loglevel'],
    ).toEqual(['debug']);
  });

  it('has booleans, numbers and lists in redis.conf’s own words', () => {
    const text = `${THREE}redis: { settings: { appendonly: true, hz: 20, save: [3600 1, 300 100] } }\n`;
    expect(settings(text).redis.settings).toEqual({ appendonly: ['yes'], hz: ['20'], save: ['3600 1', '300 100'] });
  });

  it('has a maxmemory within the container’s limit, where none is said', () => {
    expect(settings(`${THREE}redis: { memory: 4gb }\n`).redis.settings).toEqual({ maxmemory: ['3221225472'] });
    expect(settings(THREE).redis.settings).toEqual({});
  });

  it('takes folders relative to forge.yaml', () => {
    const { redis, proxy } = settings(`${THREE}redis: { tls: true }\nproxy: { config: p/proxy.yaml }\n`);
    expect(redis.tls).toEqual({ directory: '/etc/redisforge/certs', authClients: 'optional' });
    expect(proxy.configFile).toBe('/etc/redisforge/p/proxy.yaml');
  });

  it('finds the Docker host of every node: by name, by address, this machine’s own, else over ssh', () => {
    const { nodes, hosts } = settings(`
cluster: orders
nodes:
  - { host: 10.0.0.1, docker_host: a1 }
  - 10.0.0.2
  - 10.0.0.9
  - 10.0.0.4
  - '[2001:db8::1]:6379'
hosts:
  a1: { docker: 'ssh://ops@10.0.0.1:2222' }
  b1: { context: second, address: 10.0.0.2 }
  unused: { docker: 'tcp://10.0.0.77:2376' }
replicas_per_master: 0
`);
    expect(nodes.map(({ dockerHost }) => dockerHost)).toEqual(['a1', 'b1', '10.0.0.9', '10.0.0.4', '2001:db8::1']);
    expect(hosts).toEqual([
      { name: 'a1', docker: 'ssh://ops@10.0.0.1:2222', address: '10.0.0.1' },
      { name: 'b1', context: 'second', address: '10.0.0.2' },
      { name: '10.0.0.9', address: '10.0.0.9' },
      { name: '10.0.0.4', docker: 'ssh://10.0.0.4', address: '10.0.0.4' },
      { name: '2001:db8::1', docker: 'ssh://[2001:db8::1]', address: '2001:db8::1' },
    ]);
  });

  it('announces host names as such, and addresses of hosts for them', () => {
    const { nodes, hosts } = settings(`
cluster: a
nodes: [redis-1:6379, redis-2:6379]
hosts: { redis-1: { address: 10.0.0.1 } }
replicas_per_master: 0
`);
    expect(nodes[0]?.announce).toEqual({ ip: '10.0.0.1', hostname: 'redis-1', port: 6379, busPort: 16_379 });
    expect(nodes[1]?.announce).toEqual({ hostname: 'redis-2', port: 6379, busPort: 16_379 });
    expect(hosts[0]).toEqual({ name: 'redis-1', docker: 'ssh://10.0.0.1', address: '10.0.0.1' });
    const other = settings(`
cluster: a
nodes: [{ host: redis-1, docker_host: h }, redis-2:6379]
hosts: { h: { docker: 'ssh://redis-1', address: 10.0.0.1 } }
replicas_per_master: 0
`);
    expect(other.nodes[0]?.announce).toMatchObject({ ip: '10.0.0.1', hostname: 'redis-1' });
  });

  it('has proxies on hosts of different zones, at a port that no node of them has', () => {
    const text = 'cluster: a\nnodes: [10.0.0.1:6379@a, 10.0.0.2:6379@a, 10.0.0.3:6379@b]\nreplicas_per_master: 0\n';
    expect(settings(`${text}proxy: { replicas: 2 }\n`).proxy).toMatchObject({
      hosts: ['10.0.0.1', '10.0.0.3'],
      port: 6380,
    });
    expect(settings(`${text}proxy: { hosts: [10.0.0.8] }\n`).proxy).toMatchObject({ hosts: ['10.0.0.8'], port: 6379 });
    expect(settings(`${text}proxy: { endpoint: 'redis.internal:7379', hosts: [10.0.0.8] }\n`).proxy.port).toBe(7379);
  });
});

describe('users of a deployment', () => {
  const users = (text: string, said?: Said) =>
    Object.fromEntries(
      settings(`${THREE}${text}`, said).redis.users.map(({ role, name, password }) => [role, { name, password }]),
    );

  it('are made of the administrator’s password where they have none, but for those that people use', () => {
    expect(users('')).toEqual({
      admin: { name: 'admin', password: { environment: 'REDIS_REQUIREPASS' } },
      app: { name: 'app_user', password: { derived: true } },
      monitor: { name: 'monitor_user', password: { derived: true } },
      replication: { name: 'replication_user', password: { derived: true } },
      default: { name: 'default', password: { environment: 'REDIS_REQUIREPASS' } },
    });
    expect(users('', { environment: { REDIS_READONLY_PASS: 'x' } })['readonly']).toEqual({
      name: 'readonly_user',
      password: { environment: 'REDIS_READONLY_PASS' },
    });
  });

  it('can be switched off, renamed, and be more', () => {
    const found = users(
      'redis: { users: { default: off, monitor: off, admin: { name: root, password: { filename: p } }, further: { batch: { password: { environment: B }, rules: "~b:* +@read" } } } }\n',
    );
    expect(Object.keys(found)).toEqual(['admin', 'app', 'replication', 'further']);
    expect(found['admin']).toEqual({ name: 'root', password: { filename: 'p' } });
  });

  it.each([
    ['redis: { users: { readonly: {} } }\n', 'has no password: set REDIS_READONLY_PASS'],
    ['redis: { users: { app: { name: same }, monitor: { name: same } } }\n', 'the user app is named same as well'],
    [
      'redis: { users: { further: { admin: { password: { environment: A }, rules: "+@all" } } } }\n',
      'the user admin is named admin',
    ],
  ])('are refused: %s', (text, message) => {
    expect(problems(`${THREE}${text}`).join()).toContain(message);
  });

  it('have passwords from their places', async () => {
    const { settings: deployment } = resolve(THREE, { environment: { REDIS_READONLY_PASS: 'r' } });
    const found = await readUserPasswords(deployment, { REDIS_REQUIREPASS: 'a', REDIS_READONLY_PASS: 'r' });
    expect(Object.fromEntries(found.map(({ role, secret }) => [role, secret]))).toEqual({
      admin: 'a',
      readonly: 'r',
      default: 'a',
      app: derivedPassword('a', 'orders', 'app'),
      monitor: derivedPassword('a', 'orders', 'monitor'),
      replication: derivedPassword('a', 'orders', 'replication'),
    });
    expect(new Set(found.map(({ secret }) => secret)).size).toBe(5);
    expect(derivedPassword('a', 'orders', 'app')).not.toBe(derivedPassword('a', 'other', 'app'));
    await expect(readUserPasswords(deployment, {})).rejects.toMatchObject({ kind: 'configuration' });
    await expect(
      readUserPasswords(deployment, { REDIS_REQUIREPASS: 'CHANGE_ME', REDIS_READONLY_PASS: 'r' }),
    ).rejects.toThrow(/example’s text|example's text/);
  });
});

describe('what does not go together', () => {
  const SIX =
    'cluster: a\nnodes: [10.0.0.1:7001, 10.0.0.1:7002, 10.0.0.2:7001, 10.0.0.2:7002, 10.0.0.3:7001, 10.0.0.3:7002]\n';

  it.each<[string, string, Said?]>([
    [`${THREE}redis: { memory: 2gb, settings: { maxmemory: 3gb } }\n`, 'limit of 2048mb is below maxmemory (3gb)'],
    [`${THREE}redis: { memory: 2gb, settings: { maxmemory: 0 } }\n`, 'Redis would be killed at the limit'],
    [`${THREE}redis: { memory: 2gb }\n`, 'is below maxmemory (3gb)', { environment: { REDIS_MAXMEMORY: '3gb' } }],
    [`${THREE}redis: { nofile: 2000, settings: { maxclients: 2000 } }\n`, 'more than the 2000 open files'],
    [`${THREE}redis: { settings: { min-replicas-to-write: 1 } }\n`, 'no write would be taken'],
    [`${THREE}redis: { subnet: 172.28.0.0/16 }\n`, 'own network has none'],
    [`${THREE}proxy: { replicas: 4 }\n`, '4 proxies need as many Docker hosts, and here are 3'],
    [`${THREE}proxy: { port: 6379 }\n`, 'port 6379 of the Docker host 10.0.0.1 is that of nodes[0] as well'],
    [`${THREE}monitoring: { redis_exporter: { port: 9100 } }\n`, 'port 9100 of the Docker host 10.0.0.1'],
    [`${THREE}monitoring: { prometheus: { port: 9901 } }\n`, 'that of the proxy’s admin pages as well'],
    [SIX.replace('10.0.0.1:7002', '10.0.0.1:17001'), 'is that of the cluster bus of nodes[0] as well'],
    [
      'cluster: a\nnodes: [a:1, { host: b, port: 1, docker_host: h }, { host: c, port: 1, docker_host: h }]\nhosts: { h: { docker: "ssh://h" } }\nreplicas_per_master: 0\n',
      'port 1 of the Docker host h',
    ],
    [
      'cluster: a\nnodes: [127.0.0.1:1, 10.0.0.9:1]\nreplicas_per_master: 0\n',
      'port 1 of the Docker host 10.0.0.9 is that of nodes[0]',
    ],
    [
      'cluster: a\nnodes: [{ host: a, docker_host: h1 }]\nhosts: { h2: {} }\n',
      "no host is named 'h1'; did you mean 'h2'?",
    ],
    ['cluster: a\nnodes: [a:60000]\n', '60000 and 10000 more is no port for the cluster bus'],
    ['cluster: a\nnodes: [{ host: a, port: 7000, bus_port: 7000 }]\n', 'is the port for clients as well'],
    ['cluster: a\nnodes: [a:6379]\nredis: { network: br0 }\n', 'a node has to be told its address'],
    ['cluster: a\nnodes: [127.0.0.1:6379]\nredis: { network: br0 }\n', 'means another machine in every container'],
    ['cluster: a\nnodes: [{ host: a, announce: { ip: 1.2.3 } }]\n', '1.2.3 is no IP address'],
    [
      `${SIX.replace('nodes: [10.0.0.1:7001,', 'nodes: [{ host: 10.0.0.1, port: 7001, role: master },').replaceAll(/, (10\S+?):(\d+)/g, ', { host: $1, port: $2, role: master }')}replicas_per_master: 1\n`,
      '6 masters with 1 replicas each',
    ],
    [
      `${THREE}redis: { settings: { slave-priority: 1, replica-priority: 2 } }\n`,
      'is the same setting as slave-priority',
    ],
    [
      `${THREE}redis: { version: "7.0", settings: { hide-user-data-from-log: true } }\n`,
      'Redis 7.0 has no such setting',
    ],
    [THREE, 'REDIS_MAXMEMORY_POLICY: ', { environment: { REDIS_MAXMEMORY_POLICY: 'lru' } }],
    [THREE, 'REDIS_VERSION: 6.2 is too old', { environment: { REDIS_VERSION: '6.2' } }],
    [THREE, 'REDIS_CPU_LIMIT: ', { environment: { REDIS_CPU_LIMIT: 'two' } }],
    ['', 'REDIS_PORT: a port from 1 to 65535', { environment: { REDIS_PORT: '0' } }],
    ['', 'REDIS_CLUSTER_ANNOUNCE_IP: an IP address', { environment: { REDIS_CLUSTER_ANNOUNCE_IP: 'redis-1' } }],
    [THREE, "--set redis.memry: unknown setting; did you mean 'memory'?", { set: ['redis.memry=1gb'] }],
    [THREE, '--set redi.memory: unknown setting', { set: ['redi.memory=1gb'] }],
    [THREE, "--set maxmemry: unknown setting of redis.conf; did you mean 'maxmemory'?", { set: ['maxmemry=1gb'] }],
    [THREE, '--set: NAME=VALUE is needed', { set: ['hunter2'] }],
    [THREE, '--set redis.users.admin: is said in forge.yaml only', { set: ['redis.users.admin=x'] }],
  ])('is told: %s → %s', (text, message, said) => {
    const found = problems(text, said);
    expect(found.join('\n')).toContain(message);
    expect(found.join('\n')).not.toContain('hunter2');
  });

  it.each<[string, string, Said?]>([
    [`${THREE}redis: { memory: 2gb, settings: { maxmemory: 2000mb } }\n`, 'leaves less than 15 %'],
    [`${THREE}redis: { settings: { appendonly: no } }\n`, 'has lost its data'],
    [`${THREE}redis: { cpus: 1, settings: { io-threads: 4 } }\n`, '4 threads, and the container has 1 processors'],
    [`${THREE}redis: { image: "redisforge/redis:7.0" }\n`, 'does not look like redis 8.0'],
    ['cluster: a\nnodes: [10.0.0.1:7001, 10.0.0.1:7002]\n', '3 masters with 1 replicas each need 6 nodes'],
    [SIX.replaceAll(/10\.0\.0\.\d:700(\d)/g, () => `10.0.0.1:700${counter()}`), 'all are on one Docker host'],
    [THREE, 'REDIS_CLUSTER_ANNOUNCE_IP: not used', { environment: { REDIS_CLUSTER_ANNOUNCE_IP: '10.0.0.1' } }],
  ])('is told as a warning: %s → %s', (text, message, said) => {
    expect(settings(text, said).warnings.join('\n')).toContain(message);
  });

  it('is nothing for six nodes on three hosts', () => {
    expect(settings(SIX)).toMatchObject({ warnings: [], replicasPerMaster: 1 });
  });
});

let count = 0;
function counter(): number {
  count += 1;
  return count;
}

describe('the settings of a deployment, read', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-settings-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const load = async (text: string, set: string[] = [], environment: NodeJS.ProcessEnv = {}) => {
    await writeFile(path.join(directory, 'forge.yaml'), text);
    return loadDeploySettings(await loadSettings({ directory, environment }), set);
  };

  it('tell everything that is wrong at once, each with its line', async () => {
    const failure = load(`${THREE}redis:\n  memory: 1gb\n  settings:\n    maxmemory: 3gb\n    maxclient: 7\n`, [
      'hz=x',
    ]);
    await expect(failure).rejects.toMatchObject({ kind: 'configuration' });
    const { message } = (await failure.catch((error: unknown) => error)) as Error;
    const file = path.join(directory, 'forge.yaml');
    expect(message.split('\n')).toEqual([
      `${file}:8:16: redis.settings.maxclient: unknown setting of redis.conf; did you mean 'maxclients'?`,
      "--set hz: 'x' is not a whole number",
      `${file}:5:11: redis.memory: the container’s limit of 1024mb is below maxmemory (3gb)`,
    ]);
  });

  it('tell places in a file of several clusters', async () => {
    const text = 'default: b\nclusters:\n  a: {}\n  b:\n    redis: { settings: { prt: 1 } }\n';
    await expect(load(text)).rejects.toThrow(/forge\.yaml:5:\d+: clusters\.b\.redis\.settings\.prt: unknown setting/);
  });

  it('need certificates for TLS', async () => {
    const text = `${THREE}redis: { tls: { directory: tls } }\n`;
    await expect(load(text)).rejects.toThrow(/there is no folder .*tls; make it: forge gen-certs/);
    for (const [name, files] of [
      ['10.0.0.1', ['server.crt', 'server.key']],
      ['10.0.0.2-6379', ['server.crt', 'server.key']],
      ['10.0.0.3', ['server.crt']],
    ] as const) {
      const folder = path.join(directory, 'tls', 'nodes', name);
      await mkdir(folder, { recursive: true });
      for (const file of files) await writeFile(path.join(folder, file), 'x');
    }
    await expect(load(text)).rejects.toThrow(/has no ca\.crt\n.*has no certificate .* for 10\.0\.0\.3:6379/);
    await writeFile(path.join(directory, 'tls/nodes/10.0.0.3/server.key'), 'x');
    await writeFile(path.join(directory, 'tls/ca.crt'), 'x');
    await expect(load(text)).resolves.toMatchObject({ cluster: 'orders' });
    const tls = path.join(directory, 'tls');
    expect(await nodeCertificateFolder(tls, { host: '10.0.0.2', port: 6379 })).toBe(
      path.join(tls, 'nodes/10.0.0.2-6379'),
    );
  });

  it('refuse a line of .env that they would use and cannot read', async () => {
    await writeFile(path.join(directory, '.env'), 'REDIS_MAXMEMORY=$(free)\nOTHER=$(date)\n');
    await expect(load(THREE)).rejects.toThrow(/\.env:1: REDIS_MAXMEMORY/);
  });

  it('are of a cluster that forge.yaml has', async () => {
    await writeFile(path.join(directory, 'forge.yaml'), THREE);
    const read = await loadSettings({ directory, environment: {}, name: 'other' });
    await expect(loadDeploySettings(read)).rejects.toMatchObject({ kind: 'usage' });
  });
});

describe('this machine', () => {
  it('is loopback, its own name and addresses, and no other', () => {
    const isOwn = ownAddresses();
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost', os.hostname()]) expect(isOwn(host)).toBe(true);
    expect(isOwn('192.0.2.1')).toBe(false);
  });
});

describe('docs/forge-yaml.md', () => {
  it('names every variable that a deployment is read from', () => {
    const page = readText('docs/forge-yaml.md');
    expect(DEPLOY_VARIABLES.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });
});
