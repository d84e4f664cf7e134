import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rawEndpoint } from '../../../src/drills/link/raw.js';
import { LoadGenerator } from '../../../src/drills/load/generator.js';
import { Traffic } from '../../../src/drills/load/traffic.js';
import { forge, startForge } from '../../support/forge.js';
import { poll, type RedisServer, startRedis } from '../../support/redis.js';

const PASSWORD = 'for the load';
const COMMON = ['--config', '/dev/null', '--env-file', '/dev/null', '--yes'];

let server: RedisServer;
let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-load-'));
  server = await startRedis({ requirepass: PASSWORD, args: ['--enable-debug-command', 'yes'] });
});
afterAll(async () => {
  await server?.stop();
  await rm(home, { recursive: true, force: true });
});

const env = () => ({ FORGE_HOME: home, REDIS_REQUIREPASS: PASSWORD });
const load = (...words: string[]) => forge(['load', ...words, ...COMMON], { env: env() });

describe('forge load', () => {
  it('measures at several rates, and takes its keys away', async () => {
    const result = await load(server.address, '--targets', '50,0.2k', '--duration', '1s', '--keys', '500', '--json');
    expect(result.code, result.stderr).toBe(0);
    const { runs } = JSON.parse(result.stdout);
    expect(runs.map(({ target }: { target: number }) => target)).toEqual([50, 200]);
    for (const { target, operations, errors, wrong, latency, seconds } of runs) {
      // All that was due went out, and was answered.
      expect(operations / target).toBeGreaterThan(0.9);
      expect(operations / target).toBeLessThan(1.1);
      expect([errors, wrong]).toEqual([{}, 0]);
      expect(latency.p50).toBeGreaterThan(0);
      expect(latency.max).toBeGreaterThanOrEqual(latency.p999);
      expect(seconds.length).toBeGreaterThan(0);
    }
    expect(await server.call('DBSIZE')).toBe(0);
  });

  it('takes its keys away after Ctrl-C as well', async () => {
    const running = startForge(['load', server.address, '--duration', '60s', '--keys', '300', ...COMMON], {
      env: env(),
    });
    await poll('it is at work', 20_000, async () => (await server.call('DBSIZE')) === 300);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    expect(await server.call('DBSIZE')).toBe(0);
  });

  it('says what is wrong: no server, another password, errors', async () => {
    const { port } = server;
    const large = await load(server.address, '--size', '1000000', '--pipeline', '100');
    expect([large.code, large.stderr]).toEqual([2, expect.stringContaining('at once')]);
    expect((await load(server.address, '--size', '1000000', '--keys', '100000')).code).toBe(2);
    await server.call('CONFIG', 'SET', 'maxmemory', '1');
    const full = await load(server.address, '--duration', '1s');
    await server.call('CONFIG', 'SET', 'maxmemory', '0');
    expect([full.code, full.stderr]).toEqual([5, expect.stringContaining('OOM')]);
    expect((await load('127.0.0.1:1')).code).toBe(4);
    const denied = await forge(['load', `127.0.0.1:${port}`, ...COMMON], {
      env: { FORGE_HOME: home, REDIS_REQUIREPASS: 'another' },
    });
    expect([denied.code, denied.stderr]).toEqual([11, expect.stringContaining('WRONGPASS')]);
    expect(denied.stdout + denied.stderr).not.toContain('another');
    const asked = await forge(['load', server.address, '--config', '/dev/null'], { env: env() });
    expect([asked.code, asked.stderr]).toEqual([5, expect.stringContaining('--yes')]);
  });
});

describe('a load with a rate', () => {
  it('shows a second in which the server stands still as one', async () => {
    const endpoint = rawEndpoint({ host: server.host, port: server.port, password: PASSWORD });
    const traffic = new Traffic({ reads: 1, bytes: 8, keys: 10, prefix: 'still:' });
    const generator = await LoadGenerator.open(endpoint, { clients: 4, pipeline: 1, traffic });
    try {
      const running = generator.run({ durationMs: 3_000, rate: 500, signal: new AbortController().signal });
      const connection = await server.connect();
      await connection.call('DEBUG', 'SLEEP', '1');
      connection.close();
      const { latency, operations } = await running;
      // A third of what was due had to wait, half of that for longer than half a second.
      expect(latency.max).toBeGreaterThan(900);
      expect(latency.p99).toBeGreaterThan(500);
      expect(operations).toBeGreaterThan(1_300);
    } finally {
      generator.close();
    }
  });
});
