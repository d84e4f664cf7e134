/** What only containers have: hardening, volumes, networks, names and ports of somebody else. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connectNode } from '../../../src/cluster/node-connection.js';
import { archiveInput } from '../../../src/docker/archive.js';
import { inspectContainer } from '../../../src/docker/commands/container.js';
import { copyInto } from '../../../src/docker/commands/copy.js';
import { parseEndpoint } from '../../../src/docker/endpoint.js';
import { DockerEngine } from '../../../src/docker/engine.js';
import { containerAnswers } from '../../../src/docker/inspect.js';
import { LABELS } from '../../../src/docker/labels.js';
import { DockerRuntime } from '../../../src/runtime/docker/docker-runtime.js';
import { ProcessRuntime } from '../../../src/runtime/process/process-runtime.js';
import type { ContainerSettings, InstanceSpec } from '../../../src/runtime/runtime.js';
import { baseImage } from '../../support/docker/base-images.js';
import { dockerForTests, type TestDocker } from '../../support/docker/engine.js';
import { containerSettings, pollSlowly, someName } from '../../support/docker-runtime.js';
import { freePort } from '../../support/ports.js';

const WAIT_MS = 20_000;
const restart = { delayS: 0, delayMaxS: 1, budget: 3, windowS: 60 };

let docker: TestDocker;
let there = false;
let image: string;
let engine: DockerEngine;
let runtime: DockerRuntime;
let name: string;

beforeAll(async () => {
  const found = await dockerForTests();
  if (found === null) return;
  docker = found;
  there = true;
  image = await baseImage(docker, 'installed');
  engine = new DockerEngine(parseEndpoint(docker.host, 'here'));
  runtime = new DockerRuntime(engine);
});
afterAll(() => (there ? docker.stop() : undefined));

beforeEach((context) => {
  if (!there) return context.skip('there is no Docker here');
  name = someName();
});
afterEach(async () => {
  if (!there) return;
  // Each command is a process; what is not there does not keep the others.
  await docker.try(['rm', '-f', ...['', '-next', '-files', '-other'].map((part) => `${name}${part}`)]);
  await docker.try(['volume', 'rm', `${name}-data`, `${name}-config`]);
  await docker.try(['network', 'rm', `${name}-net`]);
});

function script(text: string, settings: Partial<ContainerSettings> = {}): InstanceSpec {
  return {
    name,
    directory: '/forge',
    program: '/bin/sh',
    args: ['-c', text],
    env: { PATH: '/usr/bin:/bin' },
    files: [],
    restart,
    container: containerSettings(image, settings),
  };
}

async function inspected(container = name) {
  const [answer] = await engine.json(inspectContainer(container), containerAnswers);
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

/** Everything on the engine that has this test's name in its own. */
async function leftOf(part: string): Promise<string[]> {
  const lists = await Promise.all([
    docker.run(['ps', '-a', '--format', '{{.Names}}']),
    docker.run(['volume', 'ls', '--format', '{{.Name}}']),
    docker.run(['network', 'ls', '--format', '{{.Name}}']),
  ]);
  return lists.flatMap((list) => list.split('\n')).filter((each) => each.includes(part));
}

describe('a container of ours', () => {
  it('may write its own volumes and nothing else, as an ordinary user without any right', async () => {
    const text =
      'id; cat /proc/self/status; touch /data/ok && echo data; touch /forge/ok && echo forge; touch /tmp/ok && echo tmp;' +
      'touch /usr/no /no 2>&1; echo end; exec sleep 60';
    const mounts = [{ volume: `${name}-data`, target: '/data' }];
    const limits = { memoryBytes: 64 * 1024 * 1024, cpus: 0.5, nofile: 2048 };
    await runtime.start(script(text, { mounts, tmpfs: ['/tmp'], ...limits }));
    const lines = await pollSlowly('it is done', WAIT_MS, async () => {
      const all = await runtime.outputTail({ name, directory: '/forge' }, 100);
      return all.includes('end') ? all : undefined;
    });
    const said = lines.join('\n');
    expect(said).toMatch(/uid=10001 gid=10001/);
    expect(said).toMatch(/CapEff:\s+0{16}/);
    expect(said).toMatch(/CapBnd:\s+0{16}/);
    expect(said).toMatch(/NoNewPrivs:\s+1/);
    expect(lines).toEqual(expect.arrayContaining(['data', 'forge', 'tmp']));
    expect(said).toMatch(/'\/usr\/no': Read-only file system/);
    expect(said).toMatch(/'\/no': Read-only file system/);
    const { HostConfig, Config } = await inspected();
    expect(HostConfig).toMatchObject({ ReadonlyRootfs: true, Memory: 67_108_864, NanoCpus: 500_000_000 });
    expect(HostConfig.RestartPolicy.Name).toBe('unless-stopped');
    expect(HostConfig.Ulimits).toContainEqual({ Name: 'nofile', Hard: 2048, Soft: 2048 });
    expect(HostConfig.LogConfig).toEqual({ Type: 'json-file', Config: { 'max-file': '2', 'max-size': '1m' } });
    expect(Config.Labels).toMatchObject({ [LABELS.instance]: name, [LABELS.cluster]: 'test', [LABELS.role]: 'thing' });
  });

  it('gets files into its volumes only: the engine refuses any other place of a read-only root', async () => {
    await runtime.start(script('exec sleep 60'));
    const file = archiveInput([{ path: 'x', content: 'x', mode: 0o600, uid: 1, gid: 1 }], new Date());
    await expect(engine.run(copyInto(name, '/etc', file))).rejects.toThrow(/read-only/);
    await engine.run(copyInto(name, '/forge', file));
  });

  it('is healthy when its check says so', async () => {
    const check = { intervalMs: 200, timeoutMs: 2_000, startMs: 0, retries: 2 };
    const health = { command: ['/bin/sh', '-c', 'test -f "/forge/it is well"'], ...check };
    await runtime.start(script('sleep 1; touch "/forge/it is well"; exec sleep 60', { health }));
    const ref = { name, directory: '/forge' };
    await pollSlowly('it is healthy', WAIT_MS, async () => (await runtime.inspect(ref)).health === 'healthy');
    await docker.run(['exec', name, 'rm', '/forge/it is well']);
    await pollSlowly('it is not', WAIT_MS, async () => (await runtime.inspect(ref)).health === 'unhealthy');
  });

  it('can be restarted by the engine alone, where an image has no shell', async () => {
    const spec = script('echo run >> /forge/runs; sleep 0.2; exit 3', { supervisor: 'engine' });
    await runtime.start(spec);
    const state = await pollSlowly('a second run', WAIT_MS, async () => {
      const now = await runtime.inspect(spec);
      return now.restarts > 0 ? now : undefined;
    });
    expect(['running', 'waiting']).toContain(state.phase);
    await runtime.stop(spec, { graceMs: 1_000 });
    expect((await runtime.inspect(spec)).phase).toBe('stopped');
  });

  it('keeps its data until that is to go as well', async () => {
    const mounts = [{ volume: `${name}-data`, target: '/data' }];
    const spec = script('echo x >> /data/log; exec sleep 60', { mounts, network: `${name}-net` });
    await runtime.start(spec);
    await runtime.stop(spec, { graceMs: 2_000 });
    await runtime.remove(spec, { volumes: 'configuration' });
    expect(await leftOf(name)).toEqual([`${name}-data`, `${name}-net`]);
    await runtime.start(spec);
    await pollSlowly(
      'both lines',
      WAIT_MS,
      async () => (await docker.run(['exec', name, 'cat', '/data/log'])) === 'x\nx',
    );
    await runtime.stop(spec, { graceMs: 2_000 });
    await runtime.remove(spec, { volumes: 'all' });
    expect(await leftOf(name)).toEqual([]);
  });

  it('has a folder of the host as its own', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-data-'));
    try {
      const mounts = [{ directory: path.join(folder, 'redis'), target: '/data' }];
      const spec = script('echo kept > /data/file; exec sleep 60', { mounts });
      await runtime.start(spec);
      await pollSlowly('its file', WAIT_MS, async () => await docker.try(['exec', name, 'cat', '/data/file']));
    } finally {
      await docker.try(['rm', '-f', name]);
      await rm(folder, { recursive: true });
    }
  });

  it('starts where an earlier start was cut short', async () => {
    const labels = ['--label', `${LABELS.instance}=${name}`];
    for (const part of ['-next', '-files', ''])
      await docker.run(['create', '--name', `${name}${part}`, ...labels, image]);
    const spec = script('exec sleep 60');
    expect((await runtime.inspect(spec)).phase).toBe('absent');
    expect((await runtime.start(spec)).phase).toBe('running');
    expect(await leftOf(name)).toEqual([name, `${name}-config`]);
  });

  it('comes back when somebody has killed its supervisor from outside', async () => {
    const spec = script('exec sleep 60');
    const { pid } = await runtime.start(spec);
    process.kill((await inspected()).State.Pid, 'SIGKILL');
    const state = await pollSlowly('a new one', WAIT_MS, async () => {
      const now = await runtime.inspect(spec);
      return now.phase === 'running' && now.pid !== undefined && now.pid !== pid ? now : undefined;
    });
    expect(state).toMatchObject({ supervised: true, restarts: 1 });
  });
});

describe('what is somebody else’s', () => {
  it('is a container of the same name: it is refused and not touched', async () => {
    const id = await docker.run(['run', '-d', '--name', name, image, 'sleep', '60']);
    const spec = script('exec sleep 60');
    await expect(runtime.start(spec)).rejects.toMatchObject({
      kind: 'refused',
      host: 'here',
      message: `here has a container named ${name} that is somebody else's.`,
      details: { reason: 'name-taken' },
    });
    expect(await runtime.inspect(spec)).toEqual({ phase: 'absent', supervised: false, restarts: 0 });
    expect(await runtime.stop(spec, { graceMs: 500 })).toBe('absent');
    expect(await runtime.outputTail(spec, 5)).toEqual([]);
    await expect(runtime.putFiles(spec, [])).rejects.toMatchObject({ kind: 'missing' });
    await runtime.remove(spec, { volumes: 'all' });
    expect(await inspected()).toMatchObject({ Id: id, State: { Status: 'running' } });
    expect(await leftOf(name)).toEqual([name]);
  });

  it('is a volume of the name of ours: nothing is made', async () => {
    await docker.run(['volume', 'create', `${name}-config`]);
    const mounts = [{ volume: `${name}-data`, target: '/data' }];
    await expect(runtime.start(script('exec sleep 60', { mounts }))).rejects.toMatchObject({ kind: 'refused' });
    expect(await leftOf(name)).toEqual([`${name}-config`]);
  });

  it('is a network: it is used, and stays', async () => {
    await docker.run(['network', 'create', `${name}-net`]);
    const spec = script('exec sleep 60', { network: `${name}-net` });
    await runtime.start(spec);
    await runtime.stop(spec, { graceMs: 2_000 });
    await runtime.remove(spec, { volumes: 'all' });
    expect(await leftOf(name)).toEqual([`${name}-net`]);
  });

  it('is a port that another container has: it is named, and nothing half made stays', async () => {
    const port = await freePort();
    const publish = [{ hostIp: '127.0.0.1', hostPort: port, containerPort: 80 }];
    await docker.run(['run', '-d', '--name', `${name}-other`, '-p', `127.0.0.1:${port}:80`, image, 'sleep', '60']);
    await expect(runtime.start(script('exec sleep 60', { network: 'bridge', publish }))).rejects.toMatchObject({
      kind: 'refused',
      message: `Port ${port} of here is in use by the container ${name}-other.`,
    });
    expect(await leftOf(name)).toEqual([`${name}-other`]);
  });

  it('is a port that a program of the host has: it is named', async () => {
    const port = await freePort();
    const code = `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready'))`;
    const program = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await new Promise((resolve) => program.stdout.once('data', resolve));
      const publish = [{ hostIp: '127.0.0.1', hostPort: port, containerPort: 80 }];
      await expect(runtime.start(script('exec sleep 60', { network: 'bridge', publish }))).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringMatching(
          new RegExp(`^Port ${port} of here is in use by .* \\(process ${program.pid}\\)\\.$`),
        ),
      });
      expect(await leftOf(name)).toEqual([]);
    } finally {
      program.kill('SIGKILL');
    }
  });
});

describe('a start that cannot be', () => {
  it('has no image: the one before stays as it was', async () => {
    const spec = script('exec sleep 60');
    await runtime.start(spec);
    await runtime.stop(spec, { graceMs: 2_000 });
    const { Id } = await inspected();
    const other = script('exec sleep 60', { image: 'forge-no-such-image:1' });
    await expect(runtime.start(other)).rejects.toMatchObject({ kind: 'missing', details: { reason: 'no-image' } });
    expect((await inspected()).Id).toBe(Id);
    expect(await leftOf(name)).toEqual([name, `${name}-config`]);
  });

  it('has no room on the disk for its files: it says so, and nothing half made stays', async () => {
    const labels = ['--label', `${LABELS.instance}=${name}`];
    const small = ['--opt', 'type=tmpfs', '--opt', 'device=tmpfs', '--opt', 'o=size=64k'];
    await docker.run(['volume', 'create', ...labels, ...small, `${name}-config`]);
    const files = [{ path: '/forge/big', content: 'x'.repeat(1024 * 1024), mode: 0o600 }];
    const mounts = [{ volume: `${name}-data`, target: '/data' }];
    await expect(runtime.start({ ...script('exec sleep 60', { mounts }), files })).rejects.toMatchObject({
      kind: 'refused',
      host: 'here',
      details: { reason: 'disk-full' },
    });
    expect(await leftOf(name)).toEqual([`${name}-config`]);
  });
});

describe('one description of a Redis server', () => {
  it('runs as a process and as a container', async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-both-'));
    const port = await freePort();
    const spec: InstanceSpec = {
      name,
      directory,
      program: '/usr/bin/redis-server',
      args: [`${directory}/redis.conf`],
      env: { PATH: '/usr/bin:/bin' },
      files: [
        {
          path: `${directory}/redis.conf`,
          content: `port ${port}\nbind 127.0.0.1\ndir ${directory}\nappendonly yes\naclfile ${directory}/users.acl\n`,
          mode: 0o600,
        },
        { path: `${directory}/users.acl`, content: 'user default on >secret ~* &* +@all\n', mode: 0o600 },
      ],
      restart,
      container: containerSettings(image, { network: 'host' }),
    };
    try {
      for (const each of [new ProcessRuntime(), runtime]) {
        await each.start(spec);
        const connection = await pollSlowly('it answers', WAIT_MS, () =>
          connectNode({ host: '127.0.0.1', port, password: 'secret' }).catch(() => undefined),
        );
        expect(await connection.call('INCR', 'counter')).toBe(1);
        connection.close();
        expect(await each.stop(spec, { graceMs: 10_000 })).toBe('ended');
      }
      // Its data stays in its folder, which is the volume.
      await runtime.start(spec);
      const connection = await pollSlowly('it answers', WAIT_MS, () =>
        connectNode({ host: '127.0.0.1', port, password: 'secret' }).catch(() => undefined),
      );
      expect(await connection.call('INCR', 'counter')).toBe(2);
      connection.close();
      await runtime.stop(spec, { graceMs: 10_000 });
    } finally {
      await new ProcessRuntime().stop(spec, { graceMs: 1_000 });
      await rm(directory, { recursive: true });
    }
  });
});
