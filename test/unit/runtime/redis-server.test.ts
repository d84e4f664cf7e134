import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_RULES, REPLICATION_RULES } from '../../../src/runtime/acl.js';
import {
  findRedisServer,
  plainEnvironment,
  type RedisNodeOptions,
  redisInstance,
} from '../../../src/runtime/redis-server.js';

const options: RedisNodeOptions = {
  program: '/usr/bin/redis-server',
  port: 7001,
  host: '127.0.0.1',
  directory: '/data/with blank/7001',
  users: [
    { name: 'admin', password: 'admin-secret', rules: ADMIN_RULES },
    { name: 'replication', password: 'replication-secret', rules: REPLICATION_RULES },
  ],
  replicationUser: 'replication',
  nodeTimeoutMs: 3_000,
  hasReplicas: true,
};

describe('the instance of a Redis node', () => {
  it('has its passwords in files for its user only, and nowhere else', async () => {
    const instance = await redisInstance(options);
    expect(instance.files.map((file) => file.mode)).toEqual([0o600, 0o600, 0o600]);
    const holders = instance.files
      .filter((file) => /-secret/.test(file.content))
      .map((file) => path.basename(file.path));
    expect(holders).toEqual(['replication-auth.conf']);
    const { files, ...visible } = instance;
    expect(JSON.stringify(visible)).not.toContain('secret');
  });

  it('listens on loopback and keeps its data', async () => {
    const { files } = await redisInstance(options);
    const conf = files[0]?.content ?? '';
    for (const line of [
      'bind 127.0.0.1',
      'port 7001',
      'cluster-port 17001',
      'protected-mode yes',
      'appendonly yes',
      'appendfsync everysec',
      'aof-use-rdb-preamble yes',
      'cluster-enabled yes',
      'dir "/data/with blank/7001"',
      'daemonize no',
    ]) {
      expect(conf.split('\n')).toContain(line);
    }
  });

  it('leaves a crashed master away until a replica can have taken over, if there is one', async () => {
    expect((await redisInstance(options)).restart.delayS).toBe(7);
    expect((await redisInstance({ ...options, hasReplicas: false })).restart.delayS).toBe(1);
  });
});

describe('plainEnvironment', () => {
  it('takes along where programs are, and no secrets', () => {
    expect(
      plainEnvironment({ PATH: '/bin', HOME: '/root', REDIS_REQUIREPASS: 'x', AWS_SECRET_ACCESS_KEY: 'y' }),
    ).toEqual({ PATH: '/bin', HOME: '/root' });
  });
});

describe('findRedisServer', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-find-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  async function fake(name: string, output: string): Promise<string> {
    const file = path.join(folder, name);
    await writeFile(file, `#!/bin/sh\necho '${output}'\n`);
    await chmod(file, 0o755);
    return file;
  }

  it('finds the server of this machine', async () => {
    await expect(findRedisServer()).resolves.toMatchObject({ version: expect.stringMatching(/^\d+\.\d+/) });
  });

  it('takes the one that is named', async () => {
    const program = await fake('valkey', 'Valkey server v=9.1.0 sha=00000000:0 malloc=jemalloc bits=64 build=1');
    await expect(findRedisServer({ FORGE_REDIS_SERVER: program })).resolves.toEqual({ program, version: '9.1.0' });
  });

  it('refuses one that is too old, with its version', async () => {
    const program = await fake('old', 'Redis server v=6.2.6 sha=00000000:0 malloc=jemalloc bits=64 build=1');
    await expect(findRedisServer({ FORGE_REDIS_SERVER: program })).rejects.toMatchObject({
      kind: 'missing',
      message: expect.stringContaining('6.2.6'),
    });
  });

  it('says how to install one where there is none', async () => {
    await expect(findRedisServer({ PATH: '/nonexistent' })).rejects.toMatchObject({
      kind: 'missing',
      next: [expect.stringContaining('apt install redis-server')],
    });
  });
});
