import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runSmokeTest, smokeFailure } from '../../../src/smoke/run.js';
import { freePort } from '../../support/ports.js';
import { type RunningProxy, startProxy } from '../../support/proxy.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';

const PASSWORD = 'of the nodes';
const CLIENT_PASSWORD = 'of the endpoint';
const env = { REDIS_REQUIREPASS: PASSWORD, PROXY_AUTH_PASSWORD: CLIENT_PASSWORD };

let cluster: RedisCluster;
let proxy: RunningProxy;
beforeAll(async () => {
  cluster = await startCluster({ masters: 3, requirepass: PASSWORD });
  proxy = await startProxy({ cluster: cluster.addresses, env });
});
afterAll(async () => {
  await proxy?.stop();
  await cluster?.stop();
});

const target = () => ({ host: proxy.host, port: proxy.port, password: CLIENT_PASSWORD });

describe('forge smoke-test against the proxy', () => {
  it('passes every check through the one endpoint, its readiness included', async () => {
    const report = await runSmokeTest({ ...target(), admin: { host: proxy.host, port: proxy.adminPort } });
    expect(smokeFailure(report)).toBeUndefined();
    expect(report.steps.map(({ status }) => status)).toEqual(report.steps.map(() => 'passed'));
    for (const node of cluster.nodes) expect(await node.call('DBSIZE')).toBe(0);
  });

  it('takes it for an endpoint and says that it did not see the cluster’s state, without its admin page', async () => {
    const report = await runSmokeTest(target());
    expect(smokeFailure(report)).toBeUndefined();
    expect(report.target.kind).toBe('endpoint');
    expect(report.steps.filter(({ status }) => status === 'skipped').map(({ name }) => name)).toEqual(['cluster']);
    // One command over many slots: what only an endpoint can do.
    expect(report.steps.find(({ name }) => name === 'multi-key')?.data).toMatchObject({ split: false });
  });

  it('names a wrong password of the endpoint as access denied', async () => {
    const report = await runSmokeTest({ ...target(), password: 'wrong' });
    expect(smokeFailure(report)).toMatchObject({ kind: 'denied', exitCode: 11 });
  });

  it('calls a proxy that reaches no node not ready', async () => {
    const lost = await startProxy({ cluster: `127.0.0.1:${await freePort()}`, env, until: 'listening' });
    try {
      const report = await runSmokeTest({
        ...{ host: lost.host, port: lost.port, password: CLIENT_PASSWORD },
        admin: { host: lost.host, port: lost.adminPort },
      });
      expect(smokeFailure(report)).toMatchObject({ kind: 'verification', exitCode: 9 });
      expect(report.steps.find(({ name }) => name === 'cluster')?.summary).toContain('not ready');
    } finally {
      await lost.stop();
    }
  });
});
