import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  loadSettings,
  placeState,
  resolveTarget,
  type SettingsSources,
  type TargetFlags,
} from '../../../src/config/resolve.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-resolve-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFile(path.join(directory, name), text);
const settings = (environment: NodeJS.ProcessEnv = {}, more: SettingsSources = {}) =>
  loadSettings({ directory, environment, ...more });
const target = async (environment: NodeJS.ProcessEnv = {}, flags: TargetFlags = {}, more: SettingsSources = {}) =>
  resolveTarget(flags, await settings(environment, more));

const ORDERS = `
cluster: orders
nodes: [10.0.0.1:6379, 10.0.0.2:6379@b]
credentials: { username: forge, password: { environment: ORDERS_PASSWORD } }
`;

describe('settings', () => {
  it('are the environment alone where there are no files', async () => {
    expect(await settings({ A: 'a' })).toEqual({ environment: { A: 'a' }, named: false });
  });

  it('come from .env below the environment, in which empty variables count as unset', async () => {
    await write('.env', 'CLUSTER_SEED=env-file:1\nREDIS_PORT=7000\nREDIS_REQUIREPASS=of-file\n');
    const { environment } = await settings({ CLUSTER_SEED: '', REDIS_PORT: '7001' });
    expect(environment).toMatchObject({ CLUSTER_SEED: 'env-file:1', REDIS_PORT: '7001', REDIS_REQUIREPASS: 'of-file' });
  });

  it('take .env from beside forge.yaml', async () => {
    await mkdir(path.join(directory, 'prod'));
    await write('prod/forge.yaml', ORDERS);
    await write('prod/.env', 'ORDERS_PASSWORD=secret\n');
    await write('.env', 'ORDERS_PASSWORD=another\n');
    expect((await target({}, {}, { config: 'prod/forge.yaml' })).connect).toEqual({
      username: 'forge',
      password: 'secret',
    });
    expect((await target({ FORGE_CONFIG: 'prod/forge.yaml' })).seeds.source).toBe('forge.yaml');
  });

  it('can do without files that are there', async () => {
    await write('forge.yaml', 'nonsense: [');
    await write('.env', 'REDIS_PORT=$(date)\n');
    expect(await settings({}, { config: '/dev/null', envFile: '/dev/null' })).toMatchObject({ environment: {} });
  });

  it('are refused when a file that was named is not there or wrong, with every place', async () => {
    await expect(settings({}, { config: 'absent.yaml' })).rejects.toMatchObject({ kind: 'configuration' });
    await expect(settings({}, { envFile: 'absent' })).rejects.toMatchObject({ kind: 'configuration' });
    await write('forge.yaml', 'cluster: a\nnods: 1\ntls: 3\n');
    await expect(settings()).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/^(?=[\s\S]*forge\.yaml:2:1: nods)(?=[\s\S]*forge\.yaml:3:6: tls)/),
      details: { problems: [expect.anything(), expect.anything()] },
    });
  });

  it('pass over lines of .env that forge does not need, and refuse those that it does', async () => {
    await write('.env', 'APP_NAME=My App\nHOOK=`run`\nREDIS_PORT=7000\n');
    expect((await settings()).environment).toEqual({ REDIS_PORT: '7000' });
    await write('.env', 'REDIS_REQUIREPASS=a$b\n');
    await expect(settings()).rejects.toMatchObject({
      message: expect.stringMatching(/\.env:1: REDIS_REQUIREPASS: \$b is/),
    });
    await write('.env', 'ORDERS_PASSWORD=a$b\n');
    expect((await settings()).environment).toEqual({});
    await write('forge.yaml', ORDERS);
    await expect(settings()).rejects.toMatchObject({ message: expect.stringContaining('.env:1: ORDERS_PASSWORD') });
  });

  it.runIf(process.getuid?.() === 0)('are not taken from a file of another user that was merely found', async () => {
    await write('forge.yaml', ORDERS);
    await chown(path.join(directory, 'forge.yaml'), 12_345, 12_345);
    await expect(settings()).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('belongs to another user (12345)'),
    });
    expect((await settings({}, { config: 'forge.yaml' })).cluster?.name).toBe('orders');
    await rm(path.join(directory, 'forge.yaml'));
    await write('.env', 'CLUSTER_SEED=evil:1\n');
    await chown(path.join(directory, '.env'), 12_345, 12_345);
    await expect(settings()).rejects.toMatchObject({ next: [expect.stringContaining('--env-file /dev/null')] });
  });
});

describe('the cluster that is meant', () => {
  const SEVERAL = `
clusters:
  orders: { nodes: [o:1], credentials: { password: { environment: ORDERS_PASSWORD } } }
  sessions: { nodes: [s:1], tls: { server_name: sessions.internal } }
`;

  it('must be chosen among several, by flag, environment or default', async () => {
    await write('forge.yaml', SEVERAL);
    await expect(settings()).rejects.toMatchObject({ next: [expect.stringContaining('orders, sessions')] });
    expect((await settings({ FORGE_CLUSTER: 'sessions' })).cluster?.name).toBe('sessions');
    expect((await settings({ FORGE_CLUSTER: 'sessions' }, { name: 'orders' })).cluster?.name).toBe('orders');
    await write('forge.yaml', `${SEVERAL}default: orders\n`);
    expect(await settings()).toMatchObject({ cluster: { name: 'orders' }, named: false });
    expect(await settings({}, { name: 'local' })).toMatchObject({ unknownName: 'local', named: false });
  });

  it('goes by what forge.yaml says of it when it was named, whatever the environment is meant for', async () => {
    await write('forge.yaml', `${SEVERAL}default: sessions\n`);
    const environment = {
      CLUSTER_SEED: 'e:1',
      REDIS_REQUIREPASS: 'general',
      REDIS_USERNAME: 'me',
      ORDERS_PASSWORD: 'o',
    };
    expect(await target(environment)).toMatchObject({
      seeds: { text: 'e:1', source: 'CLUSTER_SEED' },
      connect: { username: 'me', password: 'general' },
    });
    expect(await target(environment, {}, { name: 'orders' })).toEqual({
      seeds: { text: 'o:1', source: 'forge.yaml' },
      connect: { password: 'o' },
    });
    expect(await target({ ...environment, REDIS_TLS: 'no' }, { seed: 'f:1' }, { name: 'sessions' })).toMatchObject({
      seeds: { text: 'f:1', source: '--seed' },
      connect: { password: 'general', tls: { servername: 'sessions.internal' } },
    });
  });
});

describe('seeds and credentials', () => {
  it('go by flag, environment, .env, forge.yaml, in this order', async () => {
    await write('forge.yaml', ORDERS);
    const own = { ORDERS_PASSWORD: 'own' };
    expect(await target(own)).toEqual({
      seeds: { text: '10.0.0.1:6379,10.0.0.2:6379', source: 'forge.yaml' },
      connect: { username: 'forge', password: 'own' },
    });
    await write('.env', 'CLUSTER_NODES=n:1,n:2\nREDIS_REQUIREPASS=env-file\n');
    expect(await target(own)).toEqual({
      seeds: { text: 'n:1,n:2', source: 'CLUSTER_NODES' },
      connect: { password: 'env-file' },
    });
    expect(await target({ ...own, CLUSTER_NODES: 'e:1' })).toMatchObject({ seeds: { text: 'e:1' } });
    await write('password', 'of flag\n');
    const flags = { seed: 'f:1', username: 'x', 'password-file': path.join(directory, 'password') };
    expect(await target({ ...own, CLUSTER_NODES: 'e:1' }, flags)).toEqual({
      seeds: { text: 'f:1', source: '--seed' },
      connect: { username: 'x', password: 'of flag' },
    });
  });

  it('keep a name with the password that it belongs to', async () => {
    // The environment has another password: forge.yaml's name is not its user.
    await write('forge.yaml', ORDERS);
    expect((await target({ REDIS_REQUIREPASS: 'general', ORDERS_PASSWORD: 'o' })).connect).toEqual({
      password: 'general',
    });
    await write('forge.yaml', 'cluster: a\ncredentials: { username: forge }\n');
    expect((await target({ REDIS_REQUIREPASS: 'general' })).connect).toEqual({
      username: 'forge',
      password: 'general',
    });
    await write(
      'forge.yaml',
      'cluster: a\ncredentials: { username: forge, password: { environment: REDIS_REQUIREPASS } }\n',
    );
    expect((await target({ REDIS_REQUIREPASS: 'general' })).connect).toEqual({
      username: 'forge',
      password: 'general',
    });
  });

  it('are read from a file beside forge.yaml, and refused when the place is empty', async () => {
    await write('forge.yaml', 'cluster: a\ncredentials: { password: { filename: secret } }\n');
    await expect(target()).rejects.toMatchObject({ message: expect.stringContaining(path.join(directory, 'secret')) });
    await write('secret', 'from file\n');
    expect((await target()).connect).toEqual({ password: 'from file' });
    await write('forge.yaml', ORDERS);
    await expect(target()).rejects.toMatchObject({ message: expect.stringContaining('ORDERS_PASSWORD') });
  });

  it('fall back to what an interrupted operation knows, before the default', async () => {
    const fallback = { addresses: ['j:1', 'j:2'], source: 'the operation' };
    expect((await resolveTarget({}, await settings(), fallback)).seeds).toEqual({
      text: 'j:1,j:2',
      source: 'the operation',
    });
    await write('forge.yaml', ORDERS);
    const environment = { ORDERS_PASSWORD: 'o' };
    expect((await resolveTarget({}, await settings(environment), fallback)).seeds.source).toBe('forge.yaml');
  });

  it('speak TLS as forge.yaml says, unless the environment says otherwise', async () => {
    await write('ca.crt', 'an authority');
    await write('forge.yaml', 'cluster: a\ntls: { ca: ca.crt, server_name: redis.internal }\n');
    expect((await target()).connect.tls).toEqual({ ca: Buffer.from('an authority'), servername: 'redis.internal' });
    expect((await target({ REDIS_TLS_SNI: 'other.internal' })).connect.tls).toMatchObject({
      servername: 'other.internal',
    });
    expect((await target({ REDIS_TLS: 'no' })).connect.tls).toBeUndefined();
    await write('forge.yaml', 'cluster: a\ntls: true\n');
    expect((await target()).connect.tls).toEqual({});
  });
});

describe('the place of a secret', () => {
  it('is known to be set, missing, or readable by others', async () => {
    await write('secret', 'x');
    await chmod(path.join(directory, 'secret'), 0o600);
    expect(await placeState({ filename: 'secret' }, directory, {})).toBe('set');
    await chmod(path.join(directory, 'secret'), 0o644);
    expect(await placeState({ filename: 'secret' }, directory, {})).toBe('open');
    expect(await placeState({ filename: 'absent' }, directory, {})).toBe('missing');
    expect(await placeState({ environment: 'X' }, directory, { X: 'x' })).toBe('set');
    expect(await placeState({ environment: 'X' }, directory, { X: '' })).toBe('missing');
  });
});
