/** The data of a node that runs in a container on this host's engine: read from its volume. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseSource } from '../../src/backup/source/files/choose.js';
import { containerDirectories } from '../../src/backup/source/files/containers.js';
import { unpackFiles } from '../../src/backup/source/files/unpack.js';
import { readFiles } from '../../src/backup/source/files.js';
import { connectNode } from '../../src/cluster/node-connection.js';
import { LABELS } from '../../src/docker/labels.js';
import { dockerForTests, hasDocker, type TestDocker } from '../support/docker/engine.js';
import { redisImage } from '../support/docker/images.js';
import { freePort } from '../support/ports.js';
import { poll, startRedis } from '../support/redis.js';

const START_MS = 20_000;

describe.skipIf(!hasDocker())('the files of a node in a container', () => {
  let docker: TestDocker;
  let scratch: string;
  const name = `forge-backup-${process.pid}`;
  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    scratch = await mkdtemp(path.join(os.tmpdir(), 'forge-files-'));
  });
  afterAll(async () => {
    await docker.try(['rm', '-f', '-v', name]);
    await docker.try(['volume', 'rm', name]);
    await docker.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  it('are found in its volume by its id, and read', async () => {
    const image = await redisImage(docker, 'redis-7');
    const port = await freePort();
    const words = ['--cluster-enabled', 'yes', '--appendonly', 'yes', '--protected-mode', 'no'];
    const container = ['--name', name, '--label', `${LABELS.role}=redis`, '-v', `${name}:/data`];
    await docker.run(['run', '-d', ...container, '-p', `127.0.0.1:${port}:6379`, image, ...words]);
    const connect = () => connectNode({ host: '127.0.0.1', port });
    const connection = await poll('it answers', START_MS, () => connect().catch(() => undefined));
    await connection.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await poll('it serves', START_MS, async () => (await connection.callText('CLUSTER', 'INFO')).includes('state:ok'));
    await connection.call('SET', 'key', 'value');
    const nodeId = await connection.callText('CLUSTER', 'MYID');
    const environment = { ...process.env, DOCKER_HOST: docker.host };
    const candidates = () => containerDirectories({ environment });
    const choice = await chooseSource(connection, { nodeId, wanted: 'auto', candidates });
    expect(choice).toMatchObject({ kind: 'files', directory: expect.stringMatching(/\/volumes\/.*_data$/) });
    // Nothing of it is looked for on another host's engine, and an engine that is not there has nothing.
    expect(await containerDirectories({ environment: { ...process.env, DOCKER_HOST: 'ssh://192.0.2.1' } })).toEqual([]);
    expect(await containerDirectories({ environment: { ...process.env, DOCKER_HOST: 'unix:///nowhere' } })).toEqual([]);
    const { signal } = new AbortController();
    const files = await readFiles(connection, { directory: choice.directory ?? '', signal });
    const { appendOnly } = await unpackFiles(files.stream, {
      directory: scratch,
      maxBytes: files.bytes,
      place: name,
      signal,
    });
    expect(appendOnly).toBeDefined();
    const copy = await startRedis({ args: ['--dir', scratch, '--appendonly', 'yes', '--aof-load-truncated', 'no'] });
    try {
      expect(await copy.call('GET', 'key')).toBe('value');
    } finally {
      await copy.stop();
    }
  });
});
