import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runSmokeTest, smokeFailure } from '../../../src/smoke/run.js';
import type { SmokeOptions, SmokeReport } from '../../../src/smoke/types.js';
import { freePort } from '../../support/ports.js';
import { poll, type RedisCluster, type RedisServer, startCluster, startRedis } from '../../support/redis.js';

const PASSWORD = 'correct horse';
const INTERRUPTS = 12;

const statuses = (report: SmokeReport) =>
  Object.fromEntries(report.steps.map(({ name, status }) => [name, status] as const));
const step = (report: SmokeReport, name: string) => report.steps.find((result) => result.name === name)!;

async function kindOf(options: SmokeOptions): Promise<string | undefined> {
  return smokeFailure(await runSmokeTest(options))?.kind;
}

describe('forge smoke-test against a server of no cluster', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ requirepass: PASSWORD });
  });
  afterAll(() => server.stop());
  const target = () => ({ host: server.host, port: server.port, password: PASSWORD });

  it('passes every check, tells which it could not make, and leaves no key', async () => {
    const report = await runSmokeTest(target());
    expect(report.passed).toBe(true);
    expect(report.target).toMatchObject({ kind: 'endpoint', server: expect.stringMatching(/^(Redis|Valkey) \d/) });
    expect(statuses(report)).toEqual({
      connect: 'passed',
      cluster: 'skipped',
      values: 'passed',
      'big-value': 'passed',
      'multi-key': 'passed',
      pipeline: 'passed',
      slots: 'passed',
      latency: 'passed',
      'clean-up': 'passed',
    });
    expect(step(report, 'multi-key').data).toMatchObject({ split: false });
    const latency = step(report, 'latency').data as { p50Ms: number; p99Ms: number };
    expect(latency.p50Ms).toBeGreaterThan(0);
    expect(latency.p99Ms).toBeGreaterThanOrEqual(latency.p50Ms);
    expect(await server.call('DBSIZE')).toBe(0);
  });

  it('gives every key a TTL, so that a killed run leaves nothing for long', async () => {
    // Keys cannot be deleted here, as if the run had been killed before its end.
    await server.call('ACL', 'SETUSER', 'nodelete', 'on', `>${PASSWORD}`, '~*', '+@all', '-del');
    const report = await runSmokeTest({ ...target(), username: 'nodelete', timeoutMs: 20_000 });
    expect(step(report, 'clean-up')).toMatchObject({ status: 'failed', error: { kind: 'denied' } });
    const names = (await server.call('KEYS', '*')) as string[];
    expect(names.length).toBeGreaterThan(100);
    for (const name of names) {
      const left = Number(await server.call('TTL', name));
      expect(left, name).toBeGreaterThan(0);
      expect(left, name).toBeLessThanOrEqual(20 + 30);
    }
    await server.call('FLUSHALL');
  });

  it('goes on after a check that failed, and exits with that check’s kind', async () => {
    await server.call('ACL', 'SETUSER', 'nomset', 'on', `>${PASSWORD}`, '~*', '+@all', '-mset');
    const report = await runSmokeTest({ ...target(), username: 'nomset' });
    expect(statuses(report)).toMatchObject({ 'multi-key': 'failed', pipeline: 'passed', 'clean-up': 'passed' });
    expect(smokeFailure(report)).toMatchObject({ kind: 'denied', exitCode: 11 });
    expect(await server.call('DBSIZE')).toBe(0);
  });

  it('names a wrong and a missing password as access denied', async () => {
    expect(await kindOf({ ...target(), password: 'wrong' })).toBe('denied');
    expect(await kindOf({ host: server.host, port: server.port })).toBe('denied');
  });

  it('never repeats the password, not even in a failure', async () => {
    const password = 'a-wrong-password-that-must-not-be-seen';
    const report = await runSmokeTest({ ...target(), password });
    expect(JSON.stringify([report, smokeFailure(report)])).not.toContain(password);
  });

  it('stops at once when the user interrupts, and still deletes its keys', async () => {
    // At another moment each time: a step that is given up goes on by itself.
    for (let round = 0; round < INTERRUPTS; round++) {
      const controller = new AbortController();
      const running = runSmokeTest({ ...target(), signal: controller.signal });
      await poll('keys are written', 5_000, async () => Number(await server.call('DBSIZE')) > 0);
      await sleep(round);
      const started = performance.now();
      controller.abort(new Error('interrupted'));
      const report = await running;
      expect(performance.now() - started).toBeLessThan(3_000);
      expect(report.passed).toBe(false);
      expect(await server.call('DBSIZE')).toBe(0);
    }
  });
});

describe('forge smoke-test against what does not answer', () => {
  it('calls a port on which nothing listens unreachable', async () => {
    const report = await runSmokeTest({ host: '127.0.0.1', port: await freePort() });
    expect(smokeFailure(report)).toMatchObject({ kind: 'unreachable', exitCode: 4 });
    expect(report.steps.slice(1).every(({ status }) => status === 'skipped')).toBe(true);
  });

  it('calls a stopped server timed out, within the given time', async () => {
    const server = await startRedis();
    try {
      await server.kill('SIGSTOP');
      const started = performance.now();
      const report = await runSmokeTest({ host: server.host, port: server.port, timeoutMs: 1_000 });
      expect(performance.now() - started).toBeLessThan(1_900);
      expect(smokeFailure(report)).toMatchObject({ kind: 'timeout', exitCode: 7 });
      // With time to spare, the bound of the connecting itself ends it, as the same kind.
      expect(await kindOf({ host: server.host, port: server.port, timeoutMs: 30_000 })).toBe('timeout');
    } finally {
      await server.stop();
    }
  });

  it('calls a proxy’s admin page that does not answer unreachable', async () => {
    const server = await startRedis();
    try {
      const admin = { host: '127.0.0.1', port: await freePort() };
      const report = await runSmokeTest({ host: server.host, port: server.port, admin });
      expect(step(report, 'cluster')).toMatchObject({ status: 'failed', error: { kind: 'unreachable' } });
    } finally {
      await server.stop();
    }
  });
});

describe('forge smoke-test against a node of a cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startCluster({ masters: 3, requirepass: PASSWORD });
  });
  afterAll(() => cluster.stop());
  const target = () => ({ host: '127.0.0.1', port: cluster.nodes[1]!.port, password: PASSWORD });

  it('passes every check over all masters and leaves no key', async () => {
    const report = await runSmokeTest(target());
    expect(smokeFailure(report)).toBeUndefined();
    expect(report.target.kind).toBe('cluster node');
    expect(report.steps.every(({ status }) => status === 'passed')).toBe(true);
    expect(step(report, 'cluster').data).toMatchObject({ state: 'ok', slotsServed: 16_384, masters: 3, failing: [] });
    expect(step(report, 'multi-key').data).toMatchObject({ split: true });
    for (const node of cluster.nodes) expect(await node.call('DBSIZE')).toBe(0);
  });

  it('calls missing slots a failed verification and names them', async () => {
    await cluster.nodes[0]!.call('CLUSTER', 'DELSLOTSRANGE', 10, 20);
    try {
      const report = await runSmokeTest({ ...target(), port: cluster.nodes[0]!.port });
      expect(smokeFailure(report)).toMatchObject({ kind: 'verification', exitCode: 9 });
      expect(step(report, 'cluster').summary).toContain('nobody serves 11 of 16384 slots (10-20)');
      expect(step(report, 'values').status).toBe('skipped');
    } finally {
      await cluster.nodes[0]!.call('CLUSTER', 'ADDSLOTSRANGE', 10, 20);
    }
  });

  it('names the node that hangs when it is another one', async () => {
    const hanging = cluster.nodes[2]!;
    await hanging.kill('SIGSTOP');
    try {
      const report = await runSmokeTest({ ...target(), timeoutMs: 3_000 });
      expect(smokeFailure(report)).toMatchObject({ kind: 'timeout', host: hanging.address });
    } finally {
      await hanging.kill('SIGCONT');
    }
  });
});
