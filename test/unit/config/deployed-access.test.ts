/** Who deploys nodes with TLS and users need not say a second time how forge, and applications, speak to them. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deployedProxies, deploysProxies, doorUser, endpointAccess } from '../../../src/config/deployed-endpoint.js';
import { loadSettings, resolveTarget, type TargetFlags } from '../../../src/config/resolve.js';
import { chooseTarget } from '../../../src/smoke/default-target.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-access-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const write = async (name: string, text = name) => {
  await mkdir(path.dirname(path.join(directory, name)), { recursive: true });
  await writeFile(path.join(directory, name), text);
};
const settings = (environment: NodeJS.ProcessEnv = {}) => loadSettings({ directory, environment });
const connect = async (environment: NodeJS.ProcessEnv = {}, flags: TargetFlags = {}) =>
  (await resolveTarget(flags, await settings(environment))).connect;

describe('nodes that are deployed with TLS', () => {
  const CLIENT = ['certs/clients/forge/client.crt', 'certs/clients/forge/client.key'];

  it('are trusted by the authority of the folder, in a rotation by both', async () => {
    await write('forge.yaml', 'cluster: a\nredis: { tls: true }\n');
    await write('certs/ca.crt');
    expect((await connect()).tls).toEqual({ ca: Buffer.from('certs/ca.crt') });
    await write('certs/ca-bundle.crt');
    expect((await connect()).tls).toEqual({ ca: Buffer.from('certs/ca-bundle.crt') });
  });

  it('are shown the certificate of the client forge, when certificate and key are there', async () => {
    await write('forge.yaml', 'cluster: a\nredis: { tls: { directory: certs } }\n');
    await write('certs/ca.crt');
    await write(CLIENT[0]!);
    expect((await connect()).tls).not.toHaveProperty('cert');
    await write(CLIENT[1]!);
    expect((await connect()).tls).toMatchObject({ cert: Buffer.from(CLIENT[0]!), key: Buffer.from(CLIENT[1]!) });
  });

  it('give way to tls of forge.yaml, to the environment and to flags', async () => {
    for (const file of ['certs/ca.crt', ...CLIENT, 'other.crt', 'other.key']) await write(file);
    await write('forge.yaml', 'cluster: a\nredis: { tls: true }\n');
    expect((await connect({ REDIS_TLS: 'no' })).tls).toBeUndefined();
    expect((await connect({}, { cacert: path.join(directory, 'other.crt') })).tls?.ca).toEqual(
      Buffer.from('other.crt'),
    );
    // Never the certificate of one place with the key of the other.
    await expect(connect({ REDIS_TLS_CERT: path.join(directory, 'other.crt') })).rejects.toMatchObject({
      kind: 'configuration',
    });
    await write('forge.yaml', 'cluster: a\ntls: { certificate: other.crt, key: other.key }\nredis: { tls: true }\n');
    expect((await connect()).tls).toEqual({
      ca: Buffer.from('certs/ca.crt'),
      cert: Buffer.from('other.crt'),
      key: Buffer.from('other.key'),
    });
    await write('forge.yaml', 'cluster: a\nredis: { tls: false }\n');
    expect((await connect()).tls).toBeUndefined();
  });

  it('are not spoken to without their authority, which is told by its name', async () => {
    await write('forge.yaml', 'cluster: a\nredis: { tls: true }\n');
    await expect(connect()).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining(path.join(directory, 'certs/ca-bundle.crt')),
    });
  });
});

describe('the administrator of deployed nodes', () => {
  it('is the user default as long as nothing is said', async () => {
    await write('forge.yaml', 'cluster: a\nredis: { version: "8.0" }\n');
    expect(await connect({ REDIS_REQUIREPASS: 'p' })).toEqual({ password: 'p' });
  });

  it('logs in by the name and the password of redis.users', async () => {
    await write('forge.yaml', 'cluster: a\nredis: { users: { default: off } }\n');
    expect(await connect({ REDIS_REQUIREPASS: 'p' })).toEqual({ username: 'admin', password: 'p' });
    await write(
      'forge.yaml',
      'cluster: a\nredis: { users: { admin: { name: boss, password: { environment: BOSS } } } }\n',
    );
    expect(await connect({ BOSS: 'b' })).toEqual({ username: 'boss', password: 'b' });
  });

  it('is not who credentials of forge.yaml names', async () => {
    await write(
      'forge.yaml',
      'cluster: a\ncredentials: { username: other, password: { environment: OTHER } }\nredis: { users: { default: off } }\n',
    );
    expect(await connect({ OTHER: 'o' })).toEqual({ username: 'other', password: 'o' });
  });
});

describe('proxies that are deployed', () => {
  const NODES = 'nodes: [10.0.0.1:6379, 10.0.0.2:6379, 10.0.0.3:6379]\n';
  const HOSTS = 'hosts: { a: { address: 10.0.0.8 }, b: { address: 10.0.0.9 } }\n';
  const file = (proxy: string, redis = '{}') =>
    write('forge.yaml', `cluster: orders\n${NODES}${HOSTS}proxy: ${proxy}\nredis: ${redis}\n`);

  it('are those of which forge.yaml says more than where one is', () => {
    expect(deploysProxies({})).toBe(false);
    expect(deploysProxies({ proxy: { endpoint: { host: 'a', port: 1 }, config: 'proxy.yaml' } })).toBe(false);
    expect(deploysProxies({ proxy: { hosts: ['a'] } })).toBe(true);
    expect(deploysProxies({ proxy: { port: 6380 } })).toBe(true);
  });

  it('are at the addresses of their hosts', async () => {
    await file('{ hosts: [a, b], port: 7000, admin_port: 7001 }');
    expect(deployedProxies(await settings())).toEqual([
      { host: 'a', endpoint: { host: '10.0.0.8', port: 7000 }, admin: { host: '10.0.0.8', port: 7001 } },
      { host: 'b', endpoint: { host: '10.0.0.9', port: 7000 }, admin: { host: '10.0.0.9', port: 7001 } },
    ]);
    await file('{ endpoint: 10.0.0.7:6379 }');
    expect(deployedProxies(await settings())).toEqual([]);
    expect(deployedProxies(await loadSettings({ directory: '/', environment: {} }))).toEqual([]);
  });

  it('are tested as an application comes in: by its password, or the administrator’s, and over TLS', async () => {
    await file('{ hosts: [a], port: 7000 }');
    const target = async (environment: NodeJS.ProcessEnv, flags: TargetFlags = {}) =>
      chooseTarget(undefined, flags, await settings({ REDIS_REQUIREPASS: 'admin', ...environment }), {});
    expect(await target({})).toEqual({
      ...{ host: '10.0.0.8', port: 7000, admin: { host: '10.0.0.8', port: 9901 }, password: 'admin' },
      words: 'the proxy of orders on a (forge.yaml)',
    });
    expect(await target({ REDIS_ACL_PASS: 'app' })).toMatchObject({ password: 'app' });
    await write('password', 'given\n');
    const given = { username: 'somebody', 'password-file': path.join(directory, 'password') };
    expect(await target({}, given)).toMatchObject({ username: 'somebody', password: 'given' });

    await file('{ hosts: [a], port: 7000, endpoint: 10.0.0.7:6379 }', '{ tls: true }');
    for (const each of ['certs/ca.crt', 'certs/proxy/server.crt']) await write(each);
    // Without a key of its own the proxy has no TLS at its door.
    expect(await target({})).not.toHaveProperty('tls');
    await write('certs/proxy/server.key');
    expect(await target({})).toMatchObject({
      ...{ host: '10.0.0.7', port: 6379, tls: { ca: Buffer.from('certs/ca.crt') } },
      words: 'the endpoint of orders in forge.yaml',
    });
    expect(await target({}, { tls: false })).not.toHaveProperty('tls');
  });

  it('have nobody’s door known but their own where they have a configuration of their own', async () => {
    await file('{ hosts: [a], config: proxy.yaml }');
    expect(await endpointAccess(await settings({ REDIS_REQUIREPASS: 'admin' }))).toBeUndefined();
    await file('{ hosts: [a] }');
    await expect(endpointAccess(await settings())).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('REDIS_REQUIREPASS'),
    });
  });

  it('open to applications by a password that applications can know', () => {
    const admin = { role: 'admin', password: { environment: 'A' } } as const;
    const app = { role: 'app', password: { environment: 'B' } } as const;
    expect(doorUser([admin, app])).toBe(app);
    expect(doorUser([admin, { role: 'app', password: { derived: true } }])).toBe(admin);
    expect(doorUser([admin])).toBe(admin);
  });
});
