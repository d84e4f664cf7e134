import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeploySettings } from '../../../src/config/deploy-settings.js';
import { adminLogin, nodeFiles } from '../../../src/deploy/node-files.js';
import { REDIS_SOCKET } from '../../../src/deploy/redis-cli.js';
import {
  directivesOf,
  REDIS_FILES,
  REDIS_FILES_TARGET,
  redisEffect,
  tlsPathOf,
} from '../../../src/deploy/redis-files.js';
import { parseServerVersion } from '../../../src/redis-config/version.js';
import { deploySettings } from '../../support/deploy-settings.js';

const VERSION = parseServerVersion('7.0');
const password = { environment: 'PASSWORD' };
const users = (['admin', 'replication'] as const).map((role) => ({ role, name: role, password, secret: `of ${role}` }));

describe('the files of a deployed node', () => {
  let directory: string;
  let settings: DeploySettings;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'forge-node-'));
    await mkdir(path.join(directory, 'nodes', '127.0.0.1'), { recursive: true });
    await writeFile(path.join(directory, 'ca.crt'), 'authority');
    for (const file of ['server.crt', 'server.key']) {
      await writeFile(path.join(directory, 'nodes', '127.0.0.1', file), file);
    }
    const plain = deploySettings();
    settings = { ...plain, redis: { ...plain.redis, users, tls: { directory, authClients: 'yes' } } };
  });
  afterAll(async () => rm(directory, { recursive: true }));

  const filesOf = async (wanted: DeploySettings) => {
    const [node] = wanted.nodes;
    if (node === undefined) throw new Error('no node');
    return new Map((await nodeFiles(wanted, node, users)).map(({ path: name, content }) => [name, content]));
  };

  it('lie where its redis.conf looks for them, and where forge asks', async () => {
    const files = await filesOf(settings);
    expect([...files.keys()].sort()).toEqual(
      ['ca.crt', ...Object.values(REDIS_FILES), 'server.crt', 'server.key'].sort(),
    );
    const config = directivesOf(files.get('redis.conf') ?? '');
    for (const name of ['tls-cert-file', 'tls-key-file', 'tls-ca-cert-file'] as const) {
      expect(config.get(name)).toEqual([tlsPathOf(name)]);
      expect(files.has(path.posix.relative(REDIS_FILES_TARGET, tlsPathOf(name)))).toBe(true);
    }
    expect(config.get('unixsocket')).toEqual([REDIS_SOCKET]);
    expect(config.get('aclfile')).toEqual([`${REDIS_FILES_TARGET}/${REDIS_FILES.acl}`]);
    expect(config.get('include')).toEqual([`${REDIS_FILES_TARGET}/${REDIS_FILES.auth}`]);
  });

  it('hold passwords in clear only where a server needs them so', async () => {
    const files = await filesOf(settings);
    for (const [name, content] of files) expect(content.includes('of admin'), name).toBe(false);
    expect([...files].filter(([, content]) => content.includes('of replication')).map(([name]) => name)).toEqual([
      REDIS_FILES.auth,
    ]);
    expect(adminLogin(users)).toEqual({ username: 'admin', password: 'of admin' });
  });

  it('have no certificate without TLS', async () => {
    expect([...(await filesOf({ ...settings, redis: { ...settings.redis, tls: undefined } as never })).keys()]).toEqual(
      Object.values(REDIS_FILES),
    );
  });

  it('say which node has no certificate', async () => {
    const [node] = settings.nodes;
    const other = { ...settings, nodes: [{ ...(node as NonNullable<typeof node>), host: '127.0.0.2' }] };
    await expect(filesOf(other)).rejects.toMatchObject({ kind: 'configuration', host: '127.0.0.2:7901' });
  });
});

describe('changes of files that a node takes', () => {
  const change = (file: string, before?: string, after?: string) => ({
    path: file,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  });

  it('are one command for a certificate with its key and authority', () => {
    const effect = redisEffect([change('server.crt', 'a', 'b'), change('server.key', 'a', 'b')], VERSION);
    expect(effect).toMatchObject({
      kind: 'live',
      changes: [
        {
          words: [
            ...['CONFIG', 'SET', 'tls-cert-file', '/etc/redisforge/server.crt'],
            ...['tls-key-file', '/etc/redisforge/server.key', 'tls-ca-cert-file', '/etc/redisforge/ca.crt'],
          ],
        },
      ],
    });
  });

  it('never show the password that nodes log in with', () => {
    const effect = redisEffect([change(REDIS_FILES.auth, 'masterauth old\n', 'masterauth "new one"\n')], VERSION);
    expect(effect).toEqual({
      kind: 'live',
      changes: [{ to: 'redis', words: ['CONFIG', 'SET', 'masterauth', 'new one'], shown: 'CONFIG SET masterauth …' }],
    });
  });

  it.each([
    ['a certificate that comes', change('ca.crt', undefined, 'x')],
    ['a certificate that goes', change('server.key', 'x', undefined)],
    ['users that come', change(REDIS_FILES.acl, undefined, 'user default off\n')],
    ['a file that nobody knows', change('other', 'a', 'b')],
    ['a setting that goes', change(REDIS_FILES.config, 'maxmemory 1gb\n', '')],
  ])('need a new container: %s', (_, one) => {
    expect(redisEffect([one], VERSION).kind).toBe('replace');
  });
});
