import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { DeploySettings, ProxyDeploySettings } from '../../../src/config/deploy-settings.js';
import type { FileChange } from '../../../src/deploy/effect.js';
import type { DeployAction, DeployActionKind } from '../../../src/deploy/plan.js';
import { proxyContainer, proxyControl } from '../../../src/deploy/proxy-container.js';
import { deployProxies, proxyDeployment } from '../../../src/deploy/proxy-deployment.js';
import { proxyEffect } from '../../../src/deploy/proxy-effect.js';
import { proxyFiles, withItsFiles } from '../../../src/deploy/proxy-files.js';
import { ForgeError } from '../../../src/errors.js';
import { parseConfig } from '../../../src/proxy/config/load.js';
import { deploySettings } from '../../support/deploy-settings.js';

const HOST = { name: 'here', address: '10.0.0.8' };
const ADMIN = { role: 'admin', name: 'admin', password: { environment: 'ADMIN' }, secret: 'admin’s' } as const;
const APP = { role: 'app', name: 'app_user', password: { environment: 'APP' }, secret: 'app’s' } as const;
const DERIVED = { ...APP, password: { derived: true }, secret: 'derived' } as const;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'forge-proxy-files-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function settingsOf(proxy: Partial<ProxyDeploySettings> = {}, more: Partial<DeploySettings> = {}): DeploySettings {
  const settings = deploySettings({ ports: [7901, 7902] });
  return { ...settings, hosts: [HOST], ...more, proxy: { ...settings.proxy, hosts: ['here'], ...proxy } };
}

async function filesOf(settings: DeploySettings, users: Parameters<typeof proxyFiles>[2]['users'] = [ADMIN, APP]) {
  const files = await proxyFiles(settings, HOST, { users, environment: { FROM_OUTSIDE: 'a "secret"' } });
  return new Map(files.map(({ path: file, content }) => [file, String(content)]));
}
/** As the proxy itself reads it. */
const parsed = (files: ReadonlyMap<string, string>) => parseConfig(files.get('proxy.yaml') ?? '', 'proxy.yaml');

describe('the configuration that forge writes for a proxy', () => {
  it('is one that the proxy takes: every node, its own user there, and the password of applications at the door', async () => {
    const files = await filesOf(settingsOf({ workers: 4 }));
    const config = parsed(files);
    expect(config.workers).toBe(4);
    expect(config.admin?.address).toEqual({ host: '10.0.0.8', port: 9901 });
    expect(config.listeners[0].address).toMatchObject({ host: '0.0.0.0', port: 6379 });
    expect(config.clusters).toMatchObject([
      {
        endpoints: [
          { host: '127.0.0.1', port: 7901 },
          { host: '127.0.0.1', port: 7902 },
        ],
        auth_username: 'app_user',
      },
    ]);
    expect(files.get('secrets/endpoint')).toBe('app’s');
    expect(files.get('secrets/upstream')).toBe('app’s');
    expect(files.get('proxy.yaml')).not.toContain('app’s');
  });

  it('has the administrator’s password at the door where that of applications was made for the inside', async () => {
    const files = await filesOf(settingsOf(), [ADMIN, DERIVED]);
    expect(files.get('secrets/endpoint')).toBe('admin’s');
    expect(files.get('secrets/upstream')).toBe('derived');
  });

  it('names nodes as they are announced, and leaves the number of workers to the host', async () => {
    const [first] = deploySettings().nodes;
    const announce = { hostname: 'redis-a.internal', ip: '10.0.0.1', port: 6380, busPort: 16380 };
    const config = parsed(await filesOf(settingsOf({}, { nodes: [{ ...first!, announce }] })));
    expect(config.clusters[0]).toMatchObject({ endpoints: [{ host: 'redis-a.internal', port: 6380 }] });
    expect(config.workers).toBeUndefined();
  });

  it('speaks TLS to nodes that do, and to clients once there is a certificate', async () => {
    const directory = path.join(folder, 'certs');
    await mkdir(path.join(directory, 'proxy'), { recursive: true });
    await writeFile(path.join(directory, 'ca.crt'), 'authority');
    const { redis } = deploySettings();
    const settings = settingsOf({}, { redis: { ...redis, tls: { directory, authClients: 'no' } } });
    const without = await filesOf(settings);
    expect(parsed(without).listeners[0].tls_context).toBeUndefined();
    expect(without.get('tls/ca.crt')).toBe('authority');
    expect(parsed(without).clusters[0]).toMatchObject({ tls_context: { validation_context: {} } });
    await writeFile(path.join(directory, 'proxy', 'server.crt'), 'certificate');
    await writeFile(path.join(directory, 'proxy', 'server.key'), 'key');
    const files = await filesOf(settings);
    expect(parsed(files).listeners[0].tls_context?.tls_certificates).toHaveLength(1);
    expect([files.get('tls/server.crt'), files.get('tls/server.key')]).toEqual(['certificate', 'key']);
  });
});

describe('a configuration of the operator’s own', () => {
  const own = (changes: object = {}) => ({
    listeners: [
      { address: '127.0.0.1:6379', cluster: 'main', downstream_auth_passwords: [{ environment: 'FROM_OUTSIDE' }] },
    ],
    clusters: [{ name: 'main', endpoints: ['127.0.0.1:7901'], auth_password: { filename: 'upstream.txt' } }],
    ...changes,
  });
  async function written(config: unknown): Promise<DeploySettings> {
    const configFile = path.join(folder, 'proxy.yaml');
    await writeFile(configFile, typeof config === 'string' ? config : stringify(config));
    return settingsOf({ configFile });
  }

  it('has what it names as files of the container, and no secret in itself', async () => {
    await writeFile(path.join(folder, 'upstream.txt'), 'from a file');
    const files = await filesOf(await written(own()));
    const text = files.get('proxy.yaml') ?? '';
    expect(text).not.toMatch(/secret|environment|from a file/);
    expect(parsed(files).clusters[0]?.name).toBe('main');
    const named = [...text.matchAll(/\/etc\/forge-proxy\/(files\/\S+)/g)].map(([, file = '']) => files.get(file));
    expect(named.sort()).toEqual(['a "secret"', 'from a file']);
  });

  it('that is wrong is refused with its line, before anything is deployed', async () => {
    await expect(filesOf(await written(own({ worker: 3 })))).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/proxy\.yaml:\d+:\d+: worker.*workers/s),
    });
    await expect(filesOf(await written('listeners: ['))).rejects.toMatchObject({ kind: 'configuration' });
  });

  it.each([
    [{ filename: 'nowhere.txt' }, /nowhere\.txt cannot be read/],
    [{ filename: 'empty.txt' }, /names empty\.txt, and that file is empty/],
    [{ environment: 'NOT_SET' }, /names NOT_SET, and that variable is not set/],
  ])('says what is missing: %j', async (place, message) => {
    await writeFile(path.join(folder, 'empty.txt'), '');
    const clusters = [{ name: 'main', endpoints: ['127.0.0.1:7901'], auth_password: place }];
    await expect(filesOf(await written(own({ clusters })))).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(message),
    });
  });

  it('that is not there is said', async () => {
    await expect(filesOf(settingsOf({ configFile: path.join(folder, 'none.yaml') }))).rejects.toMatchObject({
      kind: 'configuration',
    });
  });

  it('has two files of one name apart, and one that is named twice once', async () => {
    for (const [index, name] of ['a', 'b'].entries()) {
      await mkdir(path.join(folder, name), { recursive: true });
      await writeFile(path.join(folder, name, 'key.pem'), `key ${index}`);
    }
    const text = stringify({
      one: { filename: 'a/key.pem' },
      two: [{ filename: 'b/key.pem' }, { filename: 'a/key.pem' }],
    });
    const files = await withItsFiles(text, folder, {});
    expect(files.slice(1).map(({ content }) => content)).toEqual(['key 0', 'key 1']);
  });
});

describe('what a proxy does with other files', () => {
  const config = (changes: object = {}) =>
    stringify({
      workers: 2,
      admin: { address: '127.0.0.1:9901' },
      listeners: [{ address: '0.0.0.0:6379', cluster: 'main' }],
      ...changes,
    });
  const change = (after: string | undefined, before: string | undefined = config()): FileChange => ({
    path: 'proxy.yaml',
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  });
  const kindOf = (...changes: FileChange[]) => proxyEffect(changes, '/run/forge-proxy/proxy.sock').kind;

  it('takes passwords, certificates, clusters and routes while it runs, told once', () => {
    const effect = proxyEffect(
      [{ path: 'files/1-password', before: 'a', after: 'b' }, change(config({ clusters: [{ name: 'other' }] }))],
      '/run/forge-proxy/proxy.sock',
    );
    expect(effect).toMatchObject({
      kind: 'live',
      changes: [{ to: 'program', words: ['/usr/local/bin/forge-proxy', '--reload', '/run/forge-proxy/proxy.sock'] }],
    });
    expect(JSON.stringify(effect)).not.toContain('"b"');
  });

  it.each([
    ['workers', { workers: 3 }],
    ['workers', { workers: undefined }],
    ['admin', { admin: { address: '127.0.0.1:9902' } }],
    ['listeners', { listeners: [{ address: '0.0.0.0:6380', cluster: 'main' }] }],
    [
      'listeners',
      { listeners: [{ address: '0.0.0.0:6379', cluster: 'main', additional_addresses: [{ address: '0.0.0.0:1' }] }] },
    ],
    ['listeners', { listeners: [{ address: '0.0.0.0:6379', cluster: 'main', tls_context: {} }] }],
  ])('needs a new one for %s: %j', (name, changes) => {
    expect(proxyEffect([change(config(changes))], '/s')).toEqual({
      kind: 'replace',
      reasons: [`${name} is another, which is taken at a start only`],
    });
  });

  it('takes another certificate of an address that spoke TLS before', () => {
    const tls = (file: string) =>
      config({ listeners: [{ address: '0.0.0.0:1', tls_context: { tls_certificates: [file] } }] });
    expect(kindOf(change(tls('b'), tls('a')))).toBe('live');
  });

  it('needs a new one where its configuration comes or goes, or was not readable', () => {
    expect(kindOf(change(undefined))).toBe('replace');
    expect(kindOf({ path: 'proxy.yaml', after: config() })).toBe('replace');
    expect(kindOf(change(config(), 'workers: ['))).toBe('replace');
  });
});

describe('a proxy as a container', () => {
  it('meets its successor in a folder in memory on the host’s own network', () => {
    const desired = proxyContainer(settingsOf(), HOST, []);
    expect(desired.meeting).toEqual({ volume: 'orders-proxy-run' });
    expect(desired.options.mounts).toEqual([{ volume: 'orders-proxy-run', target: '/run/forge-proxy' }]);
    expect(desired.options.args).toContain('--take-over');
    expect(desired.options.publish).toEqual([]);
    expect(desired.probe).toEqual(['/usr/local/bin/forge-proxy', '--health-check', proxyControl(settingsOf())]);
    // What it serves is lost with the last container of the two; nothing else is.
    expect(desired.data).toEqual([]);
  });

  it('publishes its ports on another network, where there is nobody to meet', () => {
    const settings = settingsOf({ network: { kind: 'bridge', name: 'redis-net' } });
    const desired = proxyContainer(settings, HOST, []);
    expect(desired.meeting).toBeUndefined();
    expect(desired.options.mounts).toEqual([]);
    expect(desired.options.args).not.toContain('--take-over');
    expect(desired.options.publish.map(({ hostPort }) => hostPort)).toEqual([6379, 9901]);
    expect(desired.network).toEqual({ name: 'redis-net' });
    expect(proxyControl(settings)).toBe('/tmp/proxy.sock');
  });
});

describe('which proxies are deployed', () => {
  const of = (hosts: string[]) => proxyDeployment({ settings: settingsOf(), hosts, environment: {} });

  it('says which host is unknown, and when there is none', async () => {
    await expect(of(['elsewhere'])).rejects.toMatchObject({ kind: 'usage', next: ['Hosts: here.'] });
    await expect(of([])).rejects.toMatchObject({ kind: 'usage' });
  });
});

describe('several proxies', () => {
  const action = (host: string, kind: DeployActionKind): DeployAction => {
    const desired = { ...proxyContainer(settingsOf(), HOST, []), host };
    return { kind, desired, revision: 1, reasons: [], live: [] };
  };
  const all = [
    action('a', 'replace'),
    action('b', 'create'),
    action('c', 'replace'),
    action('d', 'live'),
    action('e', 'replace'),
  ];

  async function seen(failing?: string) {
    const steps: string[] = [];
    const carryOut = async (some: readonly DeployAction[]) => {
      steps.push(some.map(({ desired }) => desired.host).join('+'));
      await Promise.resolve();
      if (some.some(({ desired }) => desired.host === failing))
        throw new ForgeError('unreachable', 'not up', { next: 'Look.' });
      steps.push('done');
    };
    const error = await deployProxies({ carryOut }, all).catch((thrown: unknown) => thrown);
    return { steps, error };
  }

  it('are replaced one after the other, each when the one before it serves', async () => {
    expect(await seen()).toEqual({ steps: ['b+d', 'done', 'a', 'done', 'c', 'done', 'e', 'done'], error: undefined });
  });

  it('are left as they are after the first that fails, and that is said', async () => {
    const { steps, error } = await seen('a');
    expect(steps).toEqual(['b+d', 'done', 'a']);
    expect(error).toMatchObject({
      kind: 'unreachable',
      next: ['Look.', expect.stringMatching(/Not touched.*: c, e\.$/)],
    });
    expect((await seen('e')).error).toMatchObject({ next: ['Look.'] });
    expect((await seen('b')).steps).toEqual(['b+d']);
  });
});
