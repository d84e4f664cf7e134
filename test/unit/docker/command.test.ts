import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quoteWord, renderCommand } from '../../../src/docker/command.js';
import {
  type CreateOptions,
  containerLogs,
  createContainer,
  fillerContainer,
  inspectContainer,
  listContainers,
  stopContainer,
} from '../../../src/docker/commands/container.js';
import { copyInto } from '../../../src/docker/commands/copy.js';
import { buildImage } from '../../../src/docker/commands/image.js';
import { createNetwork } from '../../../src/docker/commands/network.js';
import { createMemoryVolume, listAllVolumes } from '../../../src/docker/commands/volume.js';
import { parseEndpoint } from '../../../src/docker/endpoint.js';
import { labelFilter } from '../../../src/docker/labels.js';

const here = parseEndpoint('unix:///run/docker.sock');
const remote = parseEndpoint('ssh://ops@10.0.0.1');

const least: CreateOptions = {
  name: 'orders-redis-6379',
  image: 'redisforge/redis:8.0',
  entrypoint: '/bin/sh',
  args: ['-c', 'echo "$HOME"'],
  env: {},
  user: '999:999',
  network: 'host',
  publish: [],
  mounts: [],
  tmpfs: [],
  restart: 'unless-stopped',
  nofile: 65_536,
  log: { maxSizeMb: 10, maxFiles: 3 },
  labels: {},
  stopTimeoutS: 30,
  pull: 'never',
};

describe('a docker command', () => {
  it('is shown as the line that a person can paste', () => {
    expect(renderCommand(inspectContainer('a', 'b'), here)).toBe(
      'docker -H unix:///run/docker.sock container inspect a b',
    );
    expect(renderCommand(inspectContainer("it's"), remote)).toBe(
      `docker -H ssh://ops@10.0.0.1 container inspect 'it'\\''s'`,
    );
  });

  it('says what it reads from standard input, in one line', () => {
    const command = copyInto('a', '/data', { bytes: new Uint8Array(), description: 'a tar\nof x (0600)' });
    expect(renderCommand(command, remote)).toBe('docker -H ssh://ops@10.0.0.1 cp - a:/data  # reads a tar of x (0600)');
  });

  it('is read by a shell as it was meant, whatever its words hold', () => {
    const word = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));
    const words = ['', "'", "''a'", '$HOME', '`id`', 'a b', '\n', '-n', ...fc.sample(word, 300)];
    // One shell for all: printf ends each with a NUL.
    const { stdout } = spawnSync('/bin/sh', ['-c', `printf '%s\\0' ${words.map(quoteWord).join(' ')}`]);
    expect(stdout).toEqual(Buffer.from(words.map((each) => `${each}\0`).join('')));
  });

  it('creates containers that may do nothing more than they need', () => {
    expect(createContainer(least).args).toEqual([
      ...['create', '--name', 'orders-redis-6379', '--pull', 'never'],
      ...['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--user', '999:999'],
      ...['--restart', 'unless-stopped', '--stop-timeout', '30', '--network', 'host'],
      ...['--ulimit', 'nofile=65536:65536', '--no-healthcheck'],
      ...['--log-driver', 'json-file', '--log-opt', 'max-size=10m', '--log-opt', 'max-file=3'],
      ...['--entrypoint', '/bin/sh', 'redisforge/redis:8.0', '-c', 'echo "$HOME"'],
    ]);
  });

  it('creates containers with all that they can be given', () => {
    const { args } = createContainer({
      ...least,
      env: { TZ: 'UTC' },
      workdir: '/data',
      network: 'orders',
      aliases: ['redis-1'],
      publish: [
        { hostPort: 6379, containerPort: 6379 },
        { hostIp: '127.0.0.1', hostPort: 16_379, containerPort: 16_379 },
        { hostIp: '::1', hostPort: 1, containerPort: 2 },
      ],
      mounts: [
        { volume: 'orders-data', target: '/data' },
        { directory: '/srv/tls', target: '/tls', readOnly: true },
      ],
      tmpfs: ['/tmp'],
      memoryBytes: 4_294_967_296,
      cpus: 1.5,
      health: { command: ['/h.sh', "it's"], intervalMs: 5_000, timeoutMs: 1_000, startMs: 30_000, retries: 3 },
      labels: { b: '2', a: '1' },
    });
    const line = args.join(' ');
    expect(line).toContain('--network orders --network-alias redis-1');
    expect(line).toContain('--publish 6379:6379 --publish 127.0.0.1:16379:16379 --publish [::1]:1:2');
    expect(line).toContain('--volume orders-data:/data --volume /srv/tls:/tls:ro');
    expect(line).toContain('--tmpfs /tmp:rw,noexec,nosuid,nodev,size=64m');
    expect(line).toContain('--memory 4294967296 --memory-swap 4294967296 --cpus 1.5');
    expect(line).toContain(`--health-cmd '/h.sh' 'it'\\''s' --health-interval 5000ms --health-timeout 1000ms`);
    expect(line).toContain('--health-start-period 30000ms --health-retries 3');
    expect(line).toContain('--label a=1 --label b=2 --env TZ=UTC --workdir /data --entrypoint');
  });

  it('makes volumes with their labels together with the container that has them first', () => {
    const labels = { b: 'say "no"', a: '1,2' };
    const mounts = [
      { volume: 'orders-data', target: '/data', labels: { k: 'v' }, keepsOwner: true },
      { volume: 'orders-config', target: '/etc/x', labels, readOnly: true },
    ];
    const { args } = createContainer({ ...least, mounts });
    const written = args.flatMap((word, index) => (args[index - 1] === '--mount' ? [word] : []));
    expect(written).toEqual([
      'type=volume,source=orders-data,target=/data,volume-nocopy,volume-label=k=v',
      'type=volume,source=orders-config,target=/etc/x,readonly,"volume-label=a=1,2","volume-label=b=say ""no"""',
    ]);
    const filler = fillerContainer({ name: 'n', image: 'i', mounts: mounts.slice(0, 1), labels: {}, pull: 'never' });
    expect(filler.args).toContain(written[0]);
  });

  it('knows whether it changes anything, and how long it may take', () => {
    expect(createContainer(least)).toMatchObject({ effect: 'changes' });
    expect(inspectContainer('a')).toMatchObject({ effect: 'reads' });
    expect(stopContainer('a', 30)).toMatchObject({ args: ['stop', '-t', '30', 'a'], timeoutMs: 90_000 });
  });

  it('finds containers by label, and reads logs with their times', () => {
    expect(listContainers(labelFilter('x', 'y'), 'publish=6379').args.join(' ')).toBe(
      'ps --all --no-trunc --filter label=x=y --filter publish=6379 --format {{.ID}}',
    );
    expect(listContainers(labelFilter('x')).args).toContain('label=x');
    expect(containerLogs('a', 20, { follow: true, since: '10m' }).args.join(' ')).toBe(
      'logs --timestamps --tail 20 --since 10m --follow a',
    );
  });

  it('makes volumes, networks and images of ours known by labels', () => {
    expect(createMemoryVolume('v', { k: 'w' }, { uid: 1, gid: 2, mode: 0o700, sizeMb: 3 }).args.join(' ')).toBe(
      'volume create --driver local --opt type=tmpfs --opt device=tmpfs --opt o=size=3m,mode=0700,uid=1,gid=2,noexec,nosuid,nodev --label k=w v',
    );
    expect(listAllVolumes('k', 'l').args.join(' ')).toBe(
      'volume ls --format {{.Name}}\t{{.Label "k"}}\t{{.Label "l"}}',
    );
    expect(createNetwork({ name: 'n', labels: { k: 'w' }, subnet: '10.9.0.0/24' }).args.join(' ')).toBe(
      'network create --driver bridge --subnet 10.9.0.0/24 --label k=w n',
    );
    const context = { bytes: new Uint8Array(1), description: 'a tar' };
    const build = buildImage({
      tag: 't:1',
      context,
      arguments: { BASE: 'debian' },
      labels: { k: 'w' },
      network: 'host',
    });
    expect(build.args.join(' ')).toBe('build --tag t:1 --network host --build-arg BASE=debian --label k=w -');
    expect(build.input).toBe(context);
  });
});
