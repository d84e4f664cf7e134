/** `forge deploy status`, `logs` and `remove` as an operator types them, on a real engine. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';
import { redisImage } from '../../support/docker/images.js';
import { type ForgeResult, forge } from '../../support/forge.js';
import { freePorts } from '../../support/ports.js';

const CLUSTER = `s${process.pid}`;
const PASSWORD = 'status secret';

describe.skipIf(!hasDocker())('forge deploy status, logs, remove', () => {
  let docker: TestDocker;
  let folder: string;
  let image: string;
  let ports: number[];

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-deploy-'));
    // A tag of its own: other tests build the same image at the same time, and a newer one would be a difference.
    image = await redisImage(docker, 'redis-7', { tag: `forge-test/redis:${CLUSTER}` });
    ports = await freePorts(3);
    await write(ports);
  });
  afterAll(async () => {
    const label = `label=io.redisforge.cluster=${CLUSTER}`;
    for (const id of await list('ps', '-aq', '--filter', label)) await docker.try(['rm', '-f', id]);
    for (const volume of await list('volume', 'ls', '-q', '--filter', label))
      await docker.try(['volume', 'rm', volume]);
    await rm(folder, { recursive: true, force: true });
    await docker.stop();
  });

  const list = async (...words: string[]) => (await docker.run(words)).split('\n').filter(Boolean);
  const ours = () =>
    list('ps', '-a', '--filter', `label=io.redisforge.cluster=${CLUSTER}`, '--format', '{{.Names}}').then((names) =>
      names.sort(),
    );
  const nameOf = (index: number) => `${CLUSTER}-redis-${ports[index]}`;

  async function write(nodes: readonly number[], settings: readonly string[] = []): Promise<void> {
    const lines = [
      `cluster: ${CLUSTER}`,
      'nodes:',
      ...nodes.map((port) => `  - { host: 127.0.0.1, port: ${port}, docker_host: here }`),
      `hosts: { here: { docker: "${docker.host}", address: 127.0.0.1 } }`,
      'redis:',
      `  { version: "7.0", image: "${image}", network: host, nofile: 12000, settings: { repl-backlog-size: 2mb ${settings.map((each) => `, ${each}`).join('')} } }`,
    ];
    await writeFile(path.join(folder, 'forge.yaml'), `${lines.join('\n')}\n`);
  }

  async function run(...words: string[]): Promise<ForgeResult> {
    const result = await forge(words, {
      cwd: folder,
      limitMs: 110_000,
      env: { REDIS_REQUIREPASS: PASSWORD, FORGE_HOME: path.join(folder, 'home') },
    });
    expect(`${result.stdout}${result.stderr}`).not.toContain(PASSWORD);
    return result;
  }
  const statuses = (result: ForgeResult) =>
    (JSON.parse(result.stdout) as { containers: Record<string, unknown>[] }).containers;

  it('shows exactly what would be run, and makes nothing of it', async () => {
    const shown = await run('deploy', 'redis', '--all', '--dry-run', '--json');
    expect(shown, shown.stderr).toMatchObject({ code: 0 });
    const { nodes, commands } = JSON.parse(shown.stdout) as {
      nodes: { action: string }[];
      commands: { line: string }[];
    };
    expect(nodes.map(({ action }) => action)).toEqual(ports.map(() => 'create'));
    // Under the lock of the node, which others see.
    expect(commands[0]?.line).toMatch(/ create --name \S+-lock /);
    expect(commands[1]?.line).toMatch(/ create --name \S+ .* --mount type=volume,source=\S+-data,/);
    expect(await ours()).toEqual([]);
  });

  it('shows what is not there, what is as wanted, and what differs', async () => {
    const none = await run('deploy', 'status', '--all', '--json');
    expect(none, none.stderr).toMatchObject({ code: 9 });
    expect(statuses(none).map(({ phase, wanted }) => [phase, wanted])).toEqual(ports.map(() => ['absent', 'create']));

    expect(await run('deploy', 'redis', '--all', '--yes')).toMatchObject({ code: 0 });
    const fine = await run('deploy', 'status', '--all', '--json');
    expect(fine, fine.stderr).toMatchObject({ code: 0 });
    expect(statuses(fine)[0]).toMatchObject({
      node: `127.0.0.1:${ports[0]}`,
      phase: 'running',
      version: expect.stringMatching(/^7\./),
      wanted: 'unchanged',
      fault: null,
    });

    await docker.run(['stop', nameOf(0)]);
    await write(ports, ['maxmemory: 64mb']);
    const differs = await run('deploy', 'status', '--all', '--json');
    expect(differs.code).toBe(9);
    expect(statuses(differs).map(({ wanted }) => wanted)).toEqual(['start', 'live', 'live']);
    // That it has ended is said once; what it would be given besides is a difference.
    expect(statuses(differs)[0]).toMatchObject({
      phase: 'exited',
      fault: expect.stringContaining('it has ended'),
      differences: ['redis.conf'],
    });
    expect(await run('deploy', 'redis', '--all', '--yes')).toMatchObject({ code: 0 });
  });

  it('shows the log of a node, and follows it until it ends', async () => {
    const shown = await run('deploy', 'logs', `127.0.0.1:${ports[0]}`, '--lines', '2');
    expect(shown.code).toBe(0);
    expect(shown.stdout.trim().split('\n')).toHaveLength(2);
    const json = await run('deploy', 'logs', nameOf(0), '--since', '1h', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ container: nameOf(0), host: 'here' });
    const following = run('deploy', 'logs', nameOf(0), '--follow');
    await docker.run(['restart', nameOf(0)]);
    await docker.run(['stop', nameOf(0)]);
    expect(await following).toMatchObject({ code: 0, stdout: expect.stringContaining('ready to exit') });
    await docker.run(['start', nameOf(0)]);
    expect(await run('deploy', 'logs', '127.0.0.1:1')).toMatchObject({ code: 2 });
  });

  it('removes no member of a cluster alone, but all of it, and keeps data until it is told otherwise', async () => {
    const formed = await run('init-cluster', '--replicas-per-master', '0', '--yes');
    expect(formed, formed.stderr).toMatchObject({ code: 0 });
    const refused = await run('deploy', 'remove', '--node', `127.0.0.1:${ports[1]}`, '--yes');
    expect(refused).toMatchObject({ code: 5, stderr: expect.stringMatching(/would stay[\s\S]*scale remove/) });
    expect(await ours()).toEqual([0, 1, 2].map(nameOf).sort());

    const asked = await run('deploy', 'remove', '--all');
    expect(asked.code).toBe(5);
    const removed = await run('deploy', 'remove', '--all', '--yes', '--json');
    expect(removed, removed.stderr).toMatchObject({ code: 0 });
    expect(await ours()).toEqual([]);
    const volumes = () => list('volume', 'ls', '-q', '--filter', `label=io.redisforge.cluster=${CLUSTER}`);
    expect((await volumes()).sort()).toEqual([0, 1, 2].map((index) => `${nameOf(index)}-data`).sort());
    expect((await run('deploy', 'remove', '--all', '--yes')).code).toBe(0);

    const remade = await run('deploy', 'redis', '--all', '--yes');
    expect(remade, remade.stderr).toMatchObject({ code: 0 });
    await write(ports.slice(0, 2));
    const extra = await run('deploy', 'status', '--all', '--json');
    expect(extra.code).toBe(9);
    expect(statuses(extra).find(({ container }) => container === nameOf(2))).toMatchObject({ wanted: 'extra' });
    expect(await run('deploy', 'remove', '--all', '--purge', '--yes')).toMatchObject({ code: 0 });
    expect([await ours(), await volumes()]).toEqual([[], []]);
  });

  it('removes only what carries the label', async () => {
    await docker.run(['create', '--name', nameOf(0), image]);
    try {
      expect(await run('deploy', 'remove', '--all', '--purge', '--yes')).toMatchObject({ code: 0 });
      expect(await docker.run(['ps', '-aq', '--filter', `name=${nameOf(0)}`])).not.toBe('');
      expect(await run('deploy', 'remove', nameOf(0), '--yes')).toMatchObject({ code: 2 });
    } finally {
      await docker.run(['rm', nameOf(0)]);
    }
  });
});
