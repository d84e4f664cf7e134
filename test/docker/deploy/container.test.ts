/** One node through its whole life on a real engine: made, left alone, changed while it runs, replaced, and what fails. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CarryOutOptions, carryOut } from '../../../src/deploy/carry-out.js';
import { type DesiredContainer, nextName, previousName } from '../../../src/deploy/container.js';
import { leftoverCommands, recoveryCommands } from '../../../src/deploy/leftovers.js';
import { startFile } from '../../../src/deploy/node-files.js';
import { observeHost } from '../../../src/deploy/observed.js';
import { type DeployAction, planDeploy } from '../../../src/deploy/plan.js';
import { type NodeFile, redisContainer } from '../../../src/deploy/redis-container.js';
import { redisEffect } from '../../../src/deploy/redis-files.js';
import { parseEndpoint } from '../../../src/docker/endpoint.js';
import { DockerEngine } from '../../../src/docker/engine.js';
import { LABELS } from '../../../src/docker/labels.js';
import { parseServerVersion } from '../../../src/redis-config/version.js';
import { deploySettings } from '../../support/deploy-settings.js';
import { derivedImage } from '../../support/deployed-proxy.js';
import { type DeployedCluster, deployedCluster } from '../../support/docker/deployed.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { freePort } from '../../support/ports.js';
import { poll } from '../../support/redis.js';
import { FULL } from '../../support/servers.js';

const CLUSTER = `c${process.pid}`;
const DERIVED = `forge-test/redis-derived:${CLUSTER}`;
const PASSWORD = 'a "password" with blanks\nand lines';
const VERSION = parseServerVersion('7.0');
const login = { username: 'admin', password: PASSWORD };

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe.skipIf(!hasDocker())('a node as a container', () => {
  let docker: TestDocker;
  let there: DeployedCluster;
  let engine: DockerEngine;
  let image: string;
  let port: number;
  let name: string;
  let start: NodeFile;

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    engine = new DockerEngine(parseEndpoint(docker.host, 'here'));
    // A tag of its own: other tests build the same image at the same time, and a newer one would be a difference.
    there = deployedCluster(docker, CLUSTER, PASSWORD);
    image = await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${CLUSTER}` });
    start = await startFile();
    port = await freePort();
    name = `${CLUSTER}-redis-${port}`;
  });
  afterAll(async () => {
    await docker.try(['rmi', DERIVED]);
    await docker.stop();
  });

  beforeEach(async () => there.cleanUp());
  afterEach(async () => there.cleanUp());

  const conf = (extra = '') =>
    `port ${port}\ndir /data\ncluster-enabled yes\nappendonly yes\naclfile /etc/redisforge/users.acl\nunixsocket /data/redis.sock\nunixsocketperm 700\n${extra}`;
  const acl = (password = PASSWORD) => `user default off\nuser admin on #${sha256(password)} ~* &* +@all\n`;
  function desired(
    changes: { conf?: string; acl?: string; memoryBytes?: number; image?: string; directory?: string } = {},
  ): DesiredContainer {
    const files: NodeFile[] = [
      { path: 'redis.conf', content: changes.conf ?? conf() },
      { path: 'users.acl', content: changes.acl ?? acl() },
      start,
    ];
    const settings = deploySettings({ cluster: CLUSTER, ports: [port], image: changes.image ?? image, ...changes });
    return redisContainer(settings, settings.nodes[0]!, files);
  }

  /** The image with these labels, under a name of its own; the image itself where there is none. */
  async function labelled(labels: Readonly<Record<string, string>>): Promise<string> {
    const lines = Object.entries(labels).map(([key, value]) => `LABEL ${key}="${value}"`);
    if (lines.length === 0) return image;
    return derivedImage(docker, image, DERIVED, ...lines, 'USER 0:0', 'RUN chown 0:0 /data && chmod 0755 /data');
  }

  async function plan(wanted: DesiredContainer): Promise<DeployAction> {
    const observed = await observeHost(engine, CLUSTER, [wanted]);
    const { actions, obstacles } = planDeploy([wanted], new Map([['here', observed]]), (_, changes) =>
      redisEffect(changes, VERSION),
    );
    expect(obstacles).toEqual([]);
    return actions[0]!;
  }

  async function deploy(wanted: DesiredContainer, more: Partial<CarryOutOptions> = {}): Promise<DeployAction> {
    const action = await plan(wanted);
    await carryOut(engine, action, { login, makeNetwork: false, ...more });
    return action;
  }

  const redis = (...words: string[]) => there.redis(name, ...words);
  const onlyIt = () => [`${name} running`];

  it('is made, and the second time nothing is to be done', async () => {
    expect((await deploy(desired())).kind).toBe('create');
    expect(await redis('CONFIG', 'GET', 'appendonly')).toContain('yes');
    expect(await plan(desired())).toMatchObject({ kind: 'unchanged', reasons: [] });
    // No secret is in what every user of the machine can read.
    expect(await docker.run(['inspect', name])).not.toContain(PASSWORD);
  });

  it.each([
    ['the image', {}, 0],
    ['a helper, where the image has another owner for it', { 'io.redisforge.owned': '' }, 3],
  ])('owns its data, by %s', async (_, labels, helpers) => {
    const tag = await labelled(labels);
    const commands: string[] = [];
    await deploy(desired({ image: tag }), { onCommand: ({ args }) => void commands.push(args.join(' ')) });
    expect(commands.filter((line) => line.includes(nextName(name)))).toHaveLength(helpers);
    expect(await docker.run(['exec', name, 'stat', '-c', '%u:%g %a', '/data'])).toBe('10001:10001 700');
    const volume = await docker.run(['volume', 'inspect', '-f', '{{json .Labels}}', `${name}-data`]);
    expect(JSON.parse(volume)).toEqual({
      'io.redisforge.cluster': CLUSTER,
      'io.redisforge.content': 'data',
      'io.redisforge.instance': `redis-${port}`,
    });
  });

  it.runIf(FULL)('owns a volume that was there before, whoever has made it', async () => {
    await docker.run(['volume', 'create', '--label', `${LABELS.cluster}=${CLUSTER}`, `${name}-data`]);
    const root = ['run', '--rm', '--user', '0:0', '-v', `${name}-data:/data`, '--entrypoint', 'sh', image];
    await docker.run([...root, '-c', 'touch /data/file && chown 0:0 /data']);
    await deploy(desired());
    expect(await docker.run(['exec', name, 'stat', '-c', '%u:%g %a', '/data'])).toBe('10001:10001 700');
  });

  it('takes settings and users while it runs', async () => {
    await deploy(desired());
    const started = await docker.run(['inspect', '-f', '{{.State.StartedAt}}', name]);
    const changed = desired({ conf: conf('maxmemory 64mb\n'), acl: `${acl()}user app on nopass +ping\n` });
    const action = await deploy(changed);
    expect(action).toMatchObject({ kind: 'live' });
    expect(action.reasons).toEqual(['CONFIG SET maxmemory 64mb', 'ACL LOAD']);
    expect(await redis('CONFIG', 'GET', 'maxmemory')).toContain(String(64 * 1024 * 1024));
    expect(await redis('ACL', 'LIST')).toContain('user app on nopass');
    expect(await docker.run(['inspect', '-f', '{{.State.StartedAt}}', name])).toBe(started);
    expect((await plan(changed)).kind).toBe('unchanged');
  });

  it('starts with what was flushed before the zeros that a power cut has left', async () => {
    await deploy(desired());
    await redis('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await poll('a write', 10_000, async () => (await redis('SET', 'key', 'value')) === 'OK' || undefined);
    await docker.run(['kill', name]);
    const root = ['run', '--rm', '--user', '0:0', '-v', `${name}-data:/data`, '--entrypoint', 'sh', image];
    const files = '/data/appendonlydir/*.incr.aof';
    await docker.run([...root, '-c', `head -c 5001 /dev/zero >> $(ls ${files})`]);
    await docker.run(['start', name]);
    const value = () => redis('GET', 'key').catch(() => 'it does not answer yet');
    await poll('the value', 10_000, async () => (await value()) === 'value' || undefined);
    expect(await docker.run(['exec', name, 'cat', '/proc/1/comm'])).toBe('redis-server');
    expect((await plan(desired())).kind).toBe('unchanged');
  });

  it.runIf(FULL)('is started by another script when it starts next, and not for its sake', async () => {
    await deploy(desired());
    const before = start;
    start = { ...before, content: `${before.content}# Another line.\n` };
    try {
      const started = await docker.run(['inspect', '-f', '{{.State.StartedAt}}', name]);
      expect(await deploy(desired())).toMatchObject({ kind: 'live', reasons: ['supervise.sh'] });
      expect(await docker.run(['inspect', '-f', '{{.State.StartedAt}}', name])).toBe(started);
      expect((await plan(desired())).kind).toBe('unchanged');
      await docker.run(['restart', name]);
      const answer = () => redis('PING').catch(() => 'none yet');
      await poll('an answer', 10_000, async () => (await answer()) === 'PONG' || undefined);
    } finally {
      start = before;
    }
  });

  it('is replaced for what is taken at a start only, and keeps its data', async () => {
    await deploy(desired());
    await redis('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    // For its first two seconds a server says that its cluster is down.
    await poll('a write', 10_000, async () => (await redis('SET', 'key', 'value')) === 'OK' || undefined);
    const changed = desired({ conf: conf('io-threads 2\n'), memoryBytes: 128 * 1024 * 1024 });
    const action = await deploy(changed);
    expect(action.kind).toBe('replace');
    expect(action.reasons.join('\n')).toMatch(/memoryBytes unset → 134217728/);
    expect(action.reasons.join('\n')).toMatch(/io-threads unset → 2/);
    await poll('the value', 10_000, async () => (await redis('GET', 'key')) === 'value' || undefined);
    expect(await docker.run(['inspect', '-f', '{{.HostConfig.Memory}}', name])).toBe('134217728');
    expect(await there.containers()).toEqual(onlyIt());
    expect(await there.volumes()).toEqual([`${name}-config-2`, `${name}-data`]);
    expect((await plan(changed)).kind).toBe('unchanged');
  });

  it('goes on when the new one would not take its files', async () => {
    await deploy(desired());
    const state = ['inspect', '-f', '{{.Id}} {{.State.StartedAt}}', name];
    const before = await docker.run(state);
    await expect(deploy(desired({ conf: conf('io-threads many\n') }))).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringMatching(/argument must be an integer|io-threads/),
      next: expect.arrayContaining([expect.stringMatching(/was not touched/)]),
    });
    // It was not even stopped.
    expect(await docker.run(state)).toBe(before);
    expect(await there.containers()).toEqual(onlyIt());
    expect(await there.volumes()).toEqual([`${name}-config-1`, `${name}-data`]);
  });

  it('comes back as it was when the new one does not start', async () => {
    await deploy(desired());
    const before = await docker.run(['inspect', '-f', '{{.Id}}', name]);
    // What no trial without a network can tell: somebody else has the port.
    const taken = net.createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    try {
      const elsewhere = desired({ conf: conf(`io-threads 2\nport ${(taken.address() as AddressInfo).port}\n`) });
      await expect(deploy(elsewhere)).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringMatching(/Address already in use/),
        next: expect.arrayContaining([expect.stringMatching(/serves again, as it was/)]),
      });
    } finally {
      taken.close();
    }
    expect(await docker.run(['inspect', '-f', '{{.Id}}', name])).toBe(before);
    expect(await redis('PING')).toBe('PONG');
    expect(await there.containers()).toEqual(onlyIt());
    expect(await there.volumes()).toEqual([`${name}-config-1`, `${name}-data`]);
    expect((await plan(desired())).kind).toBe('unchanged');
  });

  it.runIf(FULL)('says so when the one before does not come back', async () => {
    await deploy(desired());
    const taken = net.createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const undoEngine = new DockerEngine(parseEndpoint('unix:///nowhere/docker.sock', 'here'));
    try {
      const elsewhere = desired({ conf: conf(`io-threads 2\nport ${(taken.address() as AddressInfo).port}\n`) });
      await expect(deploy(elsewhere, { undoEngine })).rejects.toMatchObject({
        next: expect.arrayContaining([expect.stringMatching(/not known.*same command again/)]),
      });
    } finally {
      taken.close();
    }
    const observed = await observeHost(engine, CLUSTER, [desired()]);
    for (const command of leftoverCommands(desired(), observed)) await engine.run(command);
    expect(await there.containers()).toEqual(onlyIt());
    expect((await plan(desired())).kind).toBe('unchanged');
  });

  it('loses the files that it no longer needs', async () => {
    const more = desired();
    const files = [...more.files, { path: 'old.txt', content: 'x', mode: 0o640, uid: 0, gid: 10_001 }];
    await deploy({ ...more, files });
    const action = await plan(desired());
    // What a role says of such a file: this one can do without.
    await carryOut(engine, { ...action, kind: 'live', live: [] }, { login, makeNetwork: false });
    expect(await plan(desired())).toMatchObject({ kind: 'unchanged' });
  });

  it.runIf(FULL)('has its files back when it does not take a setting', async () => {
    await deploy(desired());
    await expect(deploy(desired({ conf: conf('maxmemory-policy sometimes\n') }))).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('maxmemory-policy'),
    });
    expect((await plan(desired())).kind).toBe('unchanged');
  });

  it('leaves nothing of a first start that fails', async () => {
    await expect(deploy(desired({ conf: 'nonsense yes\n' }))).rejects.toMatchObject({ kind: 'unreachable' });
    expect(await there.containers()).toEqual([]);
  });

  it('is put right after a run that was ended while it was being replaced', async () => {
    await deploy(desired());
    await docker.run(['stop', name]);
    await docker.run(['rename', name, previousName(name)]);
    const commands = recoveryCommands(name, { previous: 'exited' });
    for (const command of commands) await engine.run(command);
    expect(await there.containers()).toEqual(onlyIt());
    expect((await plan(desired())).kind).toBe('unchanged');
    expect(recoveryCommands(name, { name: 'running', next: 'created' }).map(({ args }) => args.join(' '))).toEqual([
      `rm --force ${nextName(name)}`,
    ]);
  });

  it.runIf(FULL)('has its data in a folder of the host, which is then its own', async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-data-'));
    try {
      expect((await deploy(desired({ directory }))).kind).toBe('create');
      const folder = path.join(directory, `redis-${port}`);
      expect(await stat(folder)).toMatchObject({ uid: 10_001, gid: 10_001 });
      expect(await readdir(folder)).toContain('appendonlydir');
      expect((await plan(desired({ directory }))).kind).toBe('unchanged');
    } finally {
      await there.cleanUp();
      await rm(directory, { recursive: true });
    }
  });

  it('never touches a container of somebody else', async () => {
    await docker.run(['create', '--name', name, image]);
    try {
      const observed = await observeHost(engine, CLUSTER, [desired()]);
      const { obstacles } = planDeploy([desired()], new Map([['here', observed]]), (_, changes) =>
        redisEffect(changes, VERSION),
      );
      expect(obstacles).toMatchObject([{ kind: 'name-taken', name: name }]);
    } finally {
      await docker.run(['rm', name]);
    }
  });
});
