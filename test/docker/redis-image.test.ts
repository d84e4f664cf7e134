/** The container image of templates/redis.Dockerfile: Redis 7, Redis 8 and Valkey 9, built and run by a real Docker. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dockerForTests, hasDocker, type TestDocker } from '../support/docker/engine.js';
import { MONITORING_PROGRAMS, monitoringImage, redisImage } from '../support/docker/images.js';
import { poll } from '../support/redis.js';
import { FULL } from '../support/servers.js';

const SAFE = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];
const HEALTHY_MS = 20_000;

describe.skipIf(!hasDocker())('templates/redis.Dockerfile', () => {
  let docker: TestDocker;
  const made: string[] = [];

  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
  });
  afterAll(async () => {
    for (const name of made) {
      await docker.try(['rm', '-f', '-v', name]);
      await docker.try(['volume', 'rm', name]);
    }
    await docker.stop();
  });

  /** Starts it as an operator would, the health check at a pace for tests. */
  async function start(
    image: string,
    name: string,
    ...words: string[]
  ): Promise<(...command: string[]) => Promise<string>> {
    made.push(name);
    const health = [
      '--health-interval',
      '200ms',
      '--health-retries',
      '1',
      '--health-start-period',
      '0s',
      '--health-timeout',
      '1s',
    ];
    await docker.run(['run', '-d', '--name', name, ...SAFE, ...health, '-v', `${name}:/data`, image, ...words]);
    return async (...command) => await docker.run(['exec', name, 'redis-cli', '-s', '/data/redis.sock', ...command]);
  }

  async function health(name: string, wanted: string): Promise<void> {
    await poll(`${name} is ${wanted}`, HEALTHY_MS, async () => {
      return (await docker.run(['inspect', '-f', '{{.State.Health.Status}}', name])) === wanted;
    });
  }

  it.each(
    (
      [
        ['redis-7', /^Redis server v=7\./],
        ['redis-8', /^Redis server v=8\./],
        ['valkey-9', /^Valkey server v=9\./],
      ] as const
    ).filter(([kind]) => FULL || kind !== 'redis-8'),
  )('%s runs hardened, is healthy without a password, keeps its data and ends cleanly', async (kind, version) => {
    const image = await redisImage(docker, kind);
    const name = `forge-${kind}-${process.pid}`;
    const ask = await start(image, name);
    await health(name, 'healthy');
    expect(await docker.run(['exec', name, 'redis-server', '--version'])).toMatch(version);
    expect(await docker.run(['inspect', '-f', '{{.Config.User}} {{json .Config.Volumes}}', image])).toBe(
      '10001:10001 null',
    );
    expect(await docker.run(['exec', name, 'id', '-u'])).toBe('10001');
    expect(await docker.try(['exec', name, 'touch', '/usr/bin/other'])).toBe(false);
    // The main process itself, and none of the processes that Docker runs beside it.
    const status = await docker.run(['exec', name, 'cat', '/proc/1/status']);
    expect(status).toMatch(/^Uid:\s+10001\s+10001\s+10001\s+10001$/m);
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    // With a password, too, and none in any argument or variable of the container.
    expect(await ask('CONFIG', 'SET', 'requirepass', 'very-secret')).toBe('OK');
    expect(await ask('PING')).toMatch(/NOAUTH/);
    await health(name, 'healthy');
    expect(await docker.run(['inspect', name])).not.toContain('very-secret');
    await docker.run(['stop', '-t', '10', name]);
    expect(await docker.run(['inspect', '-f', '{{.State.ExitCode}}', name])).toBe('0');
    expect(await docker.run(['logs', name])).toContain('ready to exit');
  });

  it('is unhealthy when the server hangs', async () => {
    const name = `forge-hangs-${process.pid}`;
    const image = await redisImage(docker, 'redis-7');
    await start(image, name, '--unixsocket', '/data/redis.sock', '--enable-debug-command', 'yes');
    await health(name, 'healthy');
    const sleeping = docker.run(['exec', name, 'redis-cli', '-s', '/data/redis.sock', 'DEBUG', 'SLEEP', '4']);
    await health(name, 'unhealthy');
    await sleeping;
    await health(name, 'healthy');
  });

  it('keeps its data in the volume', async () => {
    const name = `forge-data-${process.pid}`;
    const image = await redisImage(docker, 'redis-7');
    const words = ['--unixsocket', '/data/redis.sock', '--appendonly', 'yes'];
    const ask = await start(image, name, ...words);
    await health(name, 'healthy');
    expect(await ask('SET', 'key', 'kept')).toBe('OK');
    await docker.run(['rm', '-f', name]);
    // Another version, on the same volume.
    const newer = await start(await redisImage(docker, 'redis-8'), name, ...words);
    await health(name, 'healthy');
    expect(await newer('GET', 'key')).toBe('kept');
  });

  it.runIf(FULL)('is not built of another version than was asked for', async () => {
    const tag = `forge-test/redis:wrong-${process.pid}`;
    await expect(redisImage(docker, 'redis-8', { tag, version: '7.0' })).rejects.toThrow(
      /BASE has redis-server 8\.\S+, not 7\.0/,
    );
    expect(await docker.try(['image', 'inspect', tag])).toBe(false);
    await redisImage(docker, 'redis-8', { tag, version: '8' });
    expect(
      await docker.run(['inspect', '-f', '{{index .Config.Labels "org.opencontainers.image.version"}}', tag]),
    ).toBe('8');
    await docker.run(['rmi', tag]);
  });

  it('has images of the monitoring programs to go with it', async () => {
    for (const kind of Object.keys(MONITORING_PROGRAMS) as (keyof typeof MONITORING_PROGRAMS)[]) {
      const image = await monitoringImage(docker, kind);
      expect(await docker.run(['inspect', '-f', '{{.Config.User}}', image])).toBe('10001:10001');
      // The exporter of Redis says its version in its log, the others on standard output.
      const said = docker.run(['run', '--rm', ...SAFE, image, '--version']);
      expect(await said.catch((error: Error) => error.message)).toMatch(/version|exporter/i);
    }
  }, 240_000);
});
