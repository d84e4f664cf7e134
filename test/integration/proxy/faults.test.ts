import { rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, runProxy, startProxy, writeConfig } from '../../support/proxy.js';
import { RawClient } from '../../support/raw-client.js';
import { poll, type RedisCluster, startCluster } from '../../support/redis.js';
import { command } from '../../support/resp.js';

const WAIT_MS = 10_000;
const FAULT = '-Fault Injected: Error\r\n';
/** A tick, the steps of the deadlines, and a busy machine. */
const SLACK_MS = 150;

let cluster: RedisCluster;
const running: RunningProxy[] = [];

beforeAll(async () => {
  cluster = await startCluster();
});

afterEach(async () => {
  for (const proxy of running.splice(0)) await proxy.stop();
});

afterAll(async () => {
  await cluster?.stop();
});

const half = { default_value: { numerator: 50, denominator: 'HUNDRED' } };

const configWith = (faults: unknown) => ({
  listeners: [{ cluster: 'main', faults }],
  clusters: [{ name: 'main', endpoints: cluster.addresses.split(',') }],
});

async function proxyWith(faults: unknown) {
  const proxy = await startProxy({ config: configWith(faults) });
  running.push(proxy);
  return { proxy, client: await RawClient.connect({ port: proxy.port }) };
}

const text = (replies: Buffer[]) => replies.map((reply) => reply.toString());

describe('faults', () => {
  it('let a share of one command fail, in its place of the pipeline', async () => {
    const { proxy, client } = await proxyWith([{ fault_type: 'ERROR', fault_enabled: half, commands: ['GET'] }]);
    const rounds = 2000;
    client.send(
      Buffer.concat(
        Array.from({ length: rounds }, (_, i) =>
          Buffer.concat([command('SET', `k${i}`, `${i}`), command('GET', `k${i}`)]),
        ),
      ),
    );
    const replies = text(await client.raw(rounds * 2));
    let failed = 0;
    for (let i = 0; i < rounds; i++) {
      expect(replies[2 * i]).toBe('+OK\r\n');
      if (replies[2 * i + 1] === FAULT) failed++;
      else expect(replies[2 * i + 1]).toBe(`$${`${i}`.length}\r\n${i}\r\n`);
    }
    // Five standard deviations.
    expect(Math.abs(failed - rounds / 2)).toBeLessThan(5 * Math.sqrt(rounds / 4));
    const stats = await proxy.stats('fault|command.get.error');
    expect(stats).toMatchObject({
      'redis.egress_redis.command.get.error_fault': failed,
      'redis.egress_redis.command.get.error': failed,
      'redis.egress_redis.faults_active': 1,
    });
    expect(proxy.stderr()).toContain('faults are injected on purpose');
  });

  it('delay replies for about as long as they say, a pipeline as a whole, in its order', async () => {
    const delay = 300;
    const { client, proxy } = await proxyWith([
      { fault_type: 'DELAY', fault_enabled: 100, delay: `${delay}ms`, commands: ['incr'] },
    ]);
    await client.call('SET', 'n', '0');
    const started = performance.now();
    client.send(Buffer.concat(Array.from({ length: 100 }, () => command('INCR', 'n'))));
    expect(text(await client.raw(100))).toEqual(Array.from({ length: 100 }, (_, i) => `:${i + 1}\r\n`));
    const took = performance.now() - started;
    expect(took).toBeGreaterThanOrEqual(delay);
    expect(took).toBeLessThan(delay + SLACK_MS);
    const other = performance.now();
    await client.call('GET', 'n');
    expect(performance.now() - other).toBeLessThan(delay);
    expect((await proxy.stats('delay_fault'))['redis.egress_redis.command.incr.delay_fault']).toBe(100);
  });

  it('leave transactions, blocking commands, subscribers and what the proxy answers itself alone', async () => {
    const { proxy, client } = await proxyWith([{ fault_type: 'ERROR', fault_enabled: 100 }]);
    expect(await client.call('PING')).toBe('PONG');
    for (const words of [['MULTI'], ['SET', 'a', '1'], ['EXEC']])
      expect(text([await client.exchange(...words)])[0]).not.toBe(FAULT);
    expect((await client.exchange('BLPOP', 'nobody', '0.1')).toString()).not.toBe(FAULT);
    expect((await client.exchange('GET', 'a')).toString()).toBe(FAULT);
    expect((await client.exchange('MGET', 'a', 'b')).toString()).toBe(FAULT);
    expect((await client.exchange('DBSIZE')).toString()).toBe(FAULT);
    const subscriber = await RawClient.connect({ port: proxy.port });
    expect((await subscriber.exchange('SUBSCRIBE', 'c')).toString()).not.toBe(FAULT);
    subscriber.close();
  });

  it('come and go with a reload', async () => {
    const { proxy, client } = await proxyWith([]);
    await client.call('SET', 'a', '1');
    const change = async (faults: unknown) => {
      await proxy.configure(configWith(faults));
      expect((await proxy.reload()).outcome).toBe('applied');
    };
    expect(await client.call('GET', 'a')).toBe('1');
    await change([{ fault_type: 'ERROR', fault_enabled: 100, commands: ['GET'] }]);
    await poll('it fails', WAIT_MS, async () => (await client.exchange('GET', 'a')).toString() === FAULT);
    expect(proxy.stderr()).toContain('faults are injected on purpose');
    await change([]);
    await poll('it is well again', WAIT_MS, async () => (await client.exchange('GET', 'a')).toString() !== FAULT);
    expect((await proxy.stats('faults_active'))['redis.egress_redis.faults_active']).toBe(0);
  });

  it('that make no sense are refused by name', async () => {
    const refused = async (fault: Record<string, unknown>, ...more: Record<string, unknown>[]) => {
      const { file, dir } = await writeConfig({
        ...configWith([fault, ...more]),
        listeners: [{ cluster: 'main', address: '127.0.0.1:1', faults: [fault, ...more] }],
      });
      const { code, stderr } = await runProxy(['--config', file, '--check']);
      await rm(dir, { recursive: true });
      expect(code).toBe(3);
      return stderr;
    };
    expect(await refused({ fault_type: 'ERROR', commands: ['GTE'] })).toMatch(
      /no command is named 'gte'; did you mean/,
    );
    expect(await refused({ fault_type: 'DELAY', fault_enabled: 1 })).toContain("DELAY needs 'delay'");
    expect(await refused({ fault_type: 'EROR' })).toContain("did you mean 'ERROR'?");
    expect(
      await refused(
        { fault_type: 'ERROR', fault_enabled: 60, commands: ['GET'] },
        { fault_type: 'ERROR', fault_enabled: 50 },
      ),
    ).toContain('the faults of GET add up to 110 %');
  });
});
