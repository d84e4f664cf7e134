/**
 * What all of `forge deploy` is for, as one operator does it on a host's own network: from forge.yaml to a system that
 * serves over TLS, and then settings, certificates and the version are changed under clients that see no error.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasDocker } from '../../support/docker/engine.js';
import { Applications } from './applications.js';
import { actions, System } from './system.js';

/** On two quiet cores all of it takes a minute and a half; a test that waits longer than this for a busy machine is wrong. */
const STEP_MS = 600_000;
const LIVE = { 'maxmemory-policy': 'allkeys-lru' };
const ROLLED = { ...LIVE, 'io-threads': 2 };

describe.skipIf(!hasDocker())('a system on a host’s own network', { timeout: STEP_MS }, () => {
  let system: System;
  let applications: Applications;
  const redis = () => system.operator.json('deploy', 'redis', '--all', '--yes');

  beforeAll(async () => {
    system = await System.prepare({ cluster: `h${process.pid}`, network: 'host' });
  });
  afterAll(async () => {
    applications?.redis.disconnect();
    await system?.end();
  });

  it('comes up from forge.yaml, and passes every test and check', async () => {
    await system.comeUp();
    await system.expectAllWell(/^7\./);
    await system.expectWatched();
  });

  it('stays as it is when it is deployed again', async () => {
    await system.expectUnchangedByDeploys();
  });

  it('takes a setting while it runs', async () => {
    applications = await Applications.start(system.endpoint);
    const before = await system.operator.lives();
    await system.write({ settings: LIVE });
    expect(actions((await redis()).nodes)).toEqual(['live']);
    expect(await system.operator.lives()).toEqual(before);
    await applications.expectNoErrors('a setting was set live');
  });

  it('takes certificates while it runs', async () => {
    const { operator } = system;
    const [before, serials] = await Promise.all([operator.lives(), system.serials()]);
    await operator.run('gen-certs', 'certs', '--renew');
    await operator.run('gen-certs', 'certs', '--install', '--all', '--yes');
    expect((await system.serials()).filter((serial, index) => serial === serials[index])).toEqual([]);
    expect(await operator.lives()).toEqual(before);
    await applications.expectNoErrors('certificates were renewed');
    await system.expectUnchangedByDeploys();
  });

  it('rolls a setting that is taken at a start only, also when it is ended halfway', async () => {
    const proxy = await system.operator.lives('proxy');
    await system.write({ settings: ROLLED });
    const ended = system.operator.start('deploy', 'redis', '--all', '--yes');
    await ended.said('[3/18]');
    ended.child.kill('SIGTERM');
    expect(await ended.ended).toMatchObject({ code: 143 });
    await applications.expectNoErrors('the roll of a setting was ended');
    // Whatever was done by then, there is something left.
    const { nodes = [] } = await redis();
    const left = nodes.filter(({ action }) => action !== 'unchanged');
    expect(left.length).toBeGreaterThan(0);
    expect(left.every(({ rolling }) => rolling)).toBe(true);
    expect(left[0]?.reasons).toEqual(['io-threads unset → 2, which is taken at a start only']);
    await applications.expectNoErrors('a setting was rolled');
    await system.expectUnchangedByDeploys();
    expect(await system.operator.lives('proxy')).toEqual(proxy);
  });

  it('rolls another version, and nothing was lost in all of this', async () => {
    await system.write({ upgraded: true, settings: ROLLED });
    await redis();
    await system.expectAllWell(/^8\./);
    await system.expectWatched();
    const { rounds, entries, slowestMs } = await applications.finish();
    expect(rounds).toBeGreaterThan(100);
    console.log(`${rounds} rounds and ${entries} entries of clients; the slowest took ${slowestMs.toFixed(0)} ms`);
  });

  it('has told somebody that nodes were started anew', async () => {
    await system.watching?.webhook.toldOf('RedisRestarted', system.cluster);
  });
});
