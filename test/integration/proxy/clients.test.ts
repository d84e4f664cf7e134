import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { createClient, RESP_TYPES } from 'redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';

const PROGRAM_MS = 60_000;
const PYTHON = '/usr/bin/python3';
/** Every byte value, and what looks like RESP. */
const BINARY = Buffer.concat([Buffer.from('\r\n*1\r\n$4\r\n'), Buffer.from(Array.from({ length: 256 }, (_, i) => i))]);
const MEGABYTE = Buffer.alloc(1024 * 1024, 'forge\r\n');

let cluster: RedisCluster;
let proxy: RunningProxy;

beforeAll(async () => {
  cluster = await startCluster();
  proxy = await startProxy({ cluster: cluster.addresses, workers: 2 });
});

afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

/** Runs a program to its end with the given standard input. */
async function run(program: string, args: readonly string[], input = '') {
  const child = spawn(program, args, { stdio: 'pipe', timeout: PROGRAM_MS });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => {
    output.stdout += text;
  });
  child.stderr.on('data', (text) => {
    output.stderr += text;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${program} is needed for this test: ${error.message}`)));
    child.once('close', resolve);
  });
  return { code, ...output };
}

describe('redis-cli', () => {
  const cli = (args: readonly string[], input = '') => run('redis-cli', ['-p', String(proxy.port), ...args], input);

  it('runs a command from its arguments, and commands from its input', async () => {
    expect((await cli(['SET', 'cli:s', 'a value', 'EX', '100'])).stdout).toBe('OK\n');
    const script = ['GET cli:s', 'HSET cli:h f v', 'HGETALL cli:h', 'RPUSH cli:l 1 2 3', 'LRANGE cli:l 0 -1'];
    expect((await cli([], script.join('\n'))).stdout).toBe('a value\n1\nf\nv\n3\n1\n2\n3\n');
    expect((await cli(['MSET', 'cli:1', 'x', 'cli:2', 'y', 'cli:3', 'z'])).stdout).toBe('OK\n');
    expect((await cli(['MGET', 'cli:3', 'cli:2', 'cli:none', 'cli:1'])).stdout).toBe('z\ny\n\nx\n');
    expect((await cli(['EVAL', 'return {KEYS[1],ARGV[1]}', '1', 'cli:k', 'arg'])).stdout).toBe('cli:k\narg\n');
  });

  it('speaks RESP3 with -3', async () => {
    await cli(['HSET', 'cli:three', 'field', 'value']);
    const { stdout } = await cli(['-3', '--no-raw'], 'HGETALL cli:three\nZADD cli:z 1.5 m\nZSCORE cli:z m\n');
    expect(stdout).toContain('1# "field" => "value"');
    expect(stdout).toContain('(double) 1.5');
  });

  it('loads commands in bulk with --pipe', async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `SET cli:bulk:${i} ${i}\r\n`).join('');
    const { stdout, code } = await cli(['--pipe'], lines);
    expect(stdout).toContain('errors: 0, replies: 5000');
    expect(code).toBe(0);
  });

  it('measures latency and reads a value from its input with -x', async () => {
    expect((await cli(['-x', 'SET', 'cli:x'], 'from input')).stdout).toBe('OK\n');
    expect((await cli(['STRLEN', 'cli:x'])).stdout).toBe('10\n');
  });
});

describe('ioredis with one endpoint', () => {
  let redis: Redis;

  beforeAll(async () => {
    redis = new Redis({ port: proxy.port, connectionName: 'io', lazyConnect: true, commandTimeout: 20_000 });
    await redis.connect();
  });

  afterAll(() => redis.disconnect());

  it('uses strings, hashes, lists, sorted sets and streams', async () => {
    expect(await redis.set('io:s', 'v', 'EX', 100)).toBe('OK');
    expect(await redis.ttl('io:s')).toBeGreaterThan(90);
    expect(await redis.pexpire('io:s', 50_000)).toBe(1);
    await redis.hset('io:h', { a: '1', b: '2' });
    expect(await redis.hgetall('io:h')).toEqual({ a: '1', b: '2' });
    await redis.rpush('io:l', 'a', 'b', 'c');
    expect(await redis.lrange('io:l', 0, -1)).toEqual(['a', 'b', 'c']);
    await redis.zadd('io:z', '1', 'one', '2.5', 'two');
    expect(await redis.zrange('io:z', '0', '-1', 'WITHSCORES')).toEqual(['one', '1', 'two', '2.5']);
    expect(await redis.xadd('io:x', '1-1', 'f', 'v')).toBe('1-1');
    expect(await redis.xread('COUNT', 10, 'STREAMS', 'io:x', '0')).toEqual([['io:x', [['1-1', ['f', 'v']]]]]);
    expect(await redis.client('GETNAME')).toBe('io');
  });

  it('keeps binary keys and values as they are', async () => {
    expect(await redis.set(BINARY, BINARY)).toBe('OK');
    expect(await redis.getBuffer(BINARY)).toEqual(BINARY);
    expect((await redis.mgetBuffer(BINARY, 'io:none', BINARY))[2]).toEqual(BINARY);
    expect(await redis.set('io:big', MEGABYTE)).toBe('OK');
    expect((await redis.getBuffer('io:big'))?.equals(MEGABYTE)).toBe(true);
  });

  it('uses many keys of many slots at once', async () => {
    const names = Array.from({ length: 1000 }, (_, i) => `io:many:${i}`);
    expect(await redis.mset(new Map(names.map((name) => [name, name])))).toBe('OK');
    expect(await redis.mget([...names, 'io:none'])).toEqual([...names, null]);
    expect(await redis.exists(names)).toBe(1000);
    expect(await redis.touch(...names.slice(0, 10))).toBe(10);
    expect(await redis.unlink(names.slice(0, 400))).toBe(400);
    expect(await redis.del(names)).toBe(600);
  });

  it('runs scripts, by text and by digest', async () => {
    expect(await redis.eval('return redis.call("INCRBY", KEYS[1], ARGV[1])', 1, 'io:n', 5)).toBe(5);
    const scripted = redis as Redis & { addAndDouble(key: string, by: number): Promise<number> };
    redis.defineCommand('addAndDouble', { numberOfKeys: 1, lua: 'return 2 * redis.call("INCRBY", KEYS[1], ARGV[1])' });
    for (const key of ['io:n1', 'io:n2', 'io:n3', 'io:n1']) {
      expect(await scripted.addAndDouble(key, 3)).toBeGreaterThanOrEqual(6);
    }
  });

  it('pipelines thousands of commands', async () => {
    const pipeline = redis.pipeline();
    for (let i = 0; i < 5000; i++) pipeline.set(`io:p:${i}`, i).get(`io:p:${i}`);
    const replies = (await pipeline.exec()) ?? [];
    expect(replies).toHaveLength(10_000);
    replies.forEach(([error, value], i) => {
      if (error !== null || value !== (i % 2 ? String((i - 1) / 2) : 'OK'))
        throw new Error(`reply ${i}: ${error}, ${value}`);
    });
  });

  it('pipelines by itself with enableAutoPipelining', async () => {
    const auto = new Redis({ port: proxy.port, enableAutoPipelining: true, commandTimeout: 20_000 });
    const values = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        await auto.set(`io:auto:${i}`, i);
        return auto.get(`io:auto:${i}`);
      }),
    );
    expect(values).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
    auto.disconnect();
  });
});

describe.each([2, 3] as const)('node-redis in RESP%i', (RESP) => {
  const own = (name: string) => `node${RESP}:${name}`;
  // One type for both versions; the replies are looked at as they come.
  const open = () =>
    createClient({ socket: { port: proxy.port, connectTimeout: 10_000, reconnectStrategy: false }, RESP, name: 'nr' });
  let redis: ReturnType<typeof open>;
  const failures: Error[] = [];

  beforeAll(async () => {
    redis = open();
    redis.on('error', (error: Error) => failures.push(error));
    await redis.connect();
  });

  afterAll(() => {
    redis.destroy();
    expect(failures).toEqual([]);
  });

  it('uses strings, hashes, lists, sorted sets and streams', async () => {
    expect(await redis.set(own('s'), 'v', { expiration: { type: 'EX', value: 100 } })).toBe('OK');
    expect(await redis.ttl(own('s'))).toBeGreaterThan(90);
    await redis.hSet(own('h'), { a: '1', b: '2' });
    expect({ ...(await redis.hGetAll(own('h'))) }).toEqual({ a: '1', b: '2' });
    await redis.rPush(own('l'), ['a', 'b', 'c']);
    expect(await redis.lRange(own('l'), 0, -1)).toEqual(['a', 'b', 'c']);
    await redis.zAdd(own('z'), [
      { score: 1, value: 'one' },
      { score: 2.5, value: 'two' },
    ]);
    expect(await redis.zScore(own('z'), 'two')).toBe(2.5);
    expect(await redis.zRangeWithScores(own('z'), 0, -1)).toEqual([
      { score: 1, value: 'one' },
      { score: 2.5, value: 'two' },
    ]);
    expect(await redis.xAdd(own('x'), '1-1', { f: 'v' })).toBe('1-1');
    expect(await redis.xLen(own('x'))).toBe(1);
    expect(await redis.clientGetName()).toBe('nr');
  });

  it('keeps binary keys and values as they are', async () => {
    const binary = redis.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    expect(await redis.set(own('big'), MEGABYTE)).toBe('OK');
    expect(MEGABYTE.equals((await binary.get(own('big'))) as Buffer)).toBe(true);
    expect(await redis.set(BINARY, BINARY)).toBe('OK');
    expect(BINARY.equals((await binary.get(BINARY)) as Buffer)).toBe(true);
  });

  it('uses many keys of many slots at once, scripts, and pipelines of thousands', async () => {
    const names = Array.from({ length: 500 }, (_, i) => own(`many:${i}`));
    expect(await redis.mSet(Object.fromEntries(names.map((name) => [name, name])))).toBe('OK');
    expect(await redis.mGet([...names, own('none')])).toEqual([...names, null]);
    expect(await redis.exists(names)).toBe(500);
    expect(await redis.touch(names)).toBe(500);
    expect(await redis.unlink(names.slice(0, 100))).toBe(100);
    expect(await redis.del(names)).toBe(400);
    expect(await redis.eval('return {KEYS[1], ARGV[1]}', { keys: [own('k')], arguments: ['arg'] })).toEqual([
      own('k'),
      'arg',
    ]);
    const all = await Promise.all(
      Array.from({ length: 3000 }, async (_, i) => {
        const [, value] = await Promise.all([redis.set(own(`p:${i}`), String(i)), redis.get(own(`p:${i}`))]);
        return value;
      }),
    );
    expect(all).toEqual(Array.from({ length: 3000 }, (_, i) => String(i)));
  });
});

describe("Python's redis", () => {
  it('uses every kind of command through the endpoint', async () => {
    const script = fileURLToPath(new URL('../../support/clients/python_client.py', import.meta.url));
    const { code, stdout, stderr } = await run(PYTHON, [script, String(proxy.port)]);
    expect(stderr, `${PYTHON} with python3-redis is needed for this test`).toBe('');
    expect(stdout.trim().split('\n')).toEqual([
      'strings',
      'binary',
      'structures',
      'several_keys',
      'scripts',
      'pipelines',
      'errors',
    ]);
    expect(code).toBe(0);
  });
});
