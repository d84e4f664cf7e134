import { describe, expect, it } from 'vitest';
import {
  certificateFiles,
  observedAfter,
  observedCertificateFiles,
  planCertificates,
  takenBack,
} from '../../../src/deploy/certificates-plan.js';
import { proxyPorts, redisPorts } from '../../../src/deploy/certificates-ports.js';
import { type DesiredContainer, UNTOLD_MODE } from '../../../src/deploy/container.js';
import { monitoringEffect } from '../../../src/deploy/monitoring-effect.js';
import type { EffectOf } from '../../../src/deploy/plan.js';
import { redisContainer } from '../../../src/deploy/redis-container.js';
import { redisEffect } from '../../../src/deploy/redis-files.js';
import { parseServerVersion } from '../../../src/redis-config/version.js';
import { observedContainer } from '../../support/deploy-observed.js';
import { deploySettings } from '../../support/deploy-settings.js';
import { authority, newKey, pair } from '../certs/made.js';

const VERSION = parseServerVersion('7.0');
const effectOf: EffectOf = (_, changes) => redisEffect(changes, VERSION);
const ca = authority();
const pemOf = () => pair('node', 'nodes/a', { by: ca, names: ['a'], key: KEY }).certificate?.x509.toString() ?? '';
const KEY = newKey();
const [FIRST, SECOND] = [pemOf(), pemOf()];
const KEY_TEXT = KEY.export({ type: 'pkcs8', format: 'pem' }).toString();

function wanted(changes: Record<string, string> = {}): DesiredContainer {
  const settings = deploySettings();
  const [node] = settings.nodes;
  if (node === undefined) throw new Error('no node');
  const files = {
    'redis.conf': 'port 7901\n',
    'server.crt': FIRST,
    'server.key': KEY_TEXT,
    'ca.crt': ca.pem,
    ...changes,
  };
  return redisContainer(
    settings,
    node,
    Object.entries(files).map(([path, content]) => ({ path, content })),
  );
}
const there = (changes?: Record<string, string>, more?: Parameters<typeof observedContainer>[1]) =>
  observedContainer(wanted(changes), more);
const all = { stage: 'all' } as const;

describe('certificates of a container', () => {
  it('are the files that hold some, and nothing else', () => {
    const parts = [
      ['server.crt', 'pair'],
      ['server.key', 'pair'],
      ['ca.crt', 'trust'],
    ];
    expect(certificateFiles(wanted()).map(({ path, part }) => [path, part])).toEqual(parts);
    expect(observedCertificateFiles(there()).map(({ path, part }) => [path, part])).toEqual(parts);
    expect(certificateFiles(wanted({ 'proxy.yaml': FIRST })).map(({ path }) => path)).not.toContain('proxy.yaml');
  });

  it('are left alone when they are right', () => {
    expect(planCertificates(wanted(), there(), effectOf, all)).toEqual({ kind: 'unchanged' });
    // A setting that differs is a deployment's business.
    expect(planCertificates(wanted({ 'redis.conf': 'port 1\n' }), there(), effectOf, all)).toEqual({
      kind: 'unchanged',
    });
  });

  it('are changed as a set that is told by one command, and no other file is touched', () => {
    const plan = planCertificates(wanted({ 'server.crt': SECOND, 'redis.conf': 'port 1\n' }), there(), effectOf, all);
    if (plan.kind !== 'action') throw new Error(plan.kind);
    const { action } = plan;
    expect(action).toMatchObject({ kind: 'live', reasons: ['server.crt'], revision: 3 });
    expect(action.desired.files.map(({ path }) => path)).toEqual(['server.crt', 'server.key', 'ca.crt']);
    expect([...(action.observed?.files?.keys() ?? [])]).toEqual(['server.crt', 'server.key', 'ca.crt']);
    // The lock is made of an image that the host has for certain.
    expect(action.desired.options.image).toBe('sha256:image');
    expect(action.live.map(({ shown }) => shown)).toEqual([
      'CONFIG SET tls-cert-file /etc/redisforge/server.crt tls-key-file /etc/redisforge/server.key tls-ca-cert-file /etc/redisforge/ca.crt',
    ]);
  });

  it('are changed in parts, each of which begins where the one before has ended', () => {
    const other = authority();
    const desired = wanted({ 'server.crt': SECOND, 'ca.crt': other.pem });
    const trust = planCertificates(desired, there(), effectOf, { stage: 'trust' });
    if (trust.kind !== 'action') throw new Error(trust.kind);
    expect(trust.action.reasons).toEqual(['ca.crt']);
    const state = observedAfter(there(), trust.action);
    expect(planCertificates(desired, state, effectOf, { stage: 'trust' })).toEqual({ kind: 'unchanged' });
    const rest = planCertificates(desired, state, effectOf, { stage: 'pair' });
    if (rest.kind !== 'action') throw new Error(rest.kind);
    expect(rest.action.reasons).toEqual(['server.crt']);
    const end = observedAfter(state, rest.action);
    expect(planCertificates(desired, end, effectOf, all)).toEqual({ kind: 'unchanged' });
    expect(end.files?.get('redis.conf')).toEqual(there().files?.get('redis.conf'));
  });

  it('are told again when a run was ended before they were, and when something else is shown', () => {
    const left = there();
    const file = left.files?.get('server.crt');
    if (file === undefined) throw new Error('no file');
    const untold = { ...left, files: new Map([...(left.files ?? []), ['server.crt', { ...file, mode: UNTOLD_MODE }]]) };
    expect(planCertificates(wanted(), untold, effectOf, all)).toMatchObject({ kind: 'action' });
    expect(planCertificates(wanted(), left, effectOf, { ...all, again: true })).toMatchObject({
      kind: 'action',
      action: { live: [{ to: 'redis' }] },
    });
  });

  it('of a container that does not run are put there, and nobody is told', () => {
    const plan = planCertificates(wanted({ 'server.crt': SECOND }), there({}, { status: 'exited' }), effectOf, all);
    expect(plan).toMatchObject({ kind: 'action', action: { live: [] } });
  });

  it('are for a deployment where the container was made without them, or takes them at a start only', () => {
    const without = there();
    const files = new Map([...(without.files ?? [])].filter(([path]) => path !== 'ca.crt'));
    expect(planCertificates(wanted(), { ...without, files }, effectOf, all)).toEqual({
      kind: 'deploy',
      reasons: ['it has no ca.crt yet'],
    });
    const never: EffectOf = () => ({ kind: 'replace', reasons: ['it is old'] });
    expect(planCertificates(wanted({ 'server.crt': SECOND }), there(), never, all)).toEqual({
      kind: 'deploy',
      reasons: ['it is old'],
    });
  });

  it('are for a deployment where what is to be told was started otherwise', () => {
    const program: EffectOf = () => ({
      kind: 'live',
      changes: [{ to: 'program', words: ['reload'], shown: 'reload' }],
    });
    const desired = wanted({ 'server.crt': SECOND });
    const { options } = desired;
    const other = there({}, { wanted: JSON.stringify({ ...options, args: ['--older'] }) });
    const reasons = ['it was started with other arguments'];
    expect(planCertificates(desired, other, program, all)).toEqual({ kind: 'deploy', reasons });
    expect(planCertificates(desired, there({}, { wanted: 'damaged' }), program, all)).toEqual({
      kind: 'deploy',
      reasons,
    });
    expect(planCertificates(desired, there(), program, all)).toMatchObject({ kind: 'action' });
    // Redis is told the same whatever its arguments are.
    expect(planCertificates(desired, other, effectOf, all)).toMatchObject({ kind: 'action' });
  });

  it('are taken back as they came', () => {
    const before = there();
    const plan = planCertificates(wanted({ 'server.crt': SECOND }), before, effectOf, all);
    if (plan.kind !== 'action') throw new Error(plan.kind);
    const back = takenBack(plan.action);
    if (back === undefined) throw new Error('nothing to take back');
    expect(back.live).toEqual(plan.action.live);
    expect(back.observed?.files?.get('server.crt')?.content.toString()).toBe(SECOND);
    expect(observedAfter(observedAfter(before, plan.action), back).files).toEqual(before.files);
  });

  it('of an exporter are read by it for each connection; one that comes or goes is another container', () => {
    const exporter = { role: 'redis-exporter' as const, probe: [] };
    const both = { path: 'client.crt', before: FIRST, after: SECOND };
    expect(monitoringEffect(exporter, [both, { path: 'ca.crt', before: 'a', after: 'b' }])).toEqual({
      kind: 'live',
      changes: [],
    });
    expect(monitoringEffect(exporter, [{ path: 'client.crt', after: SECOND }])).toMatchObject({ kind: 'replace' });
    expect(monitoringEffect(exporter, [both, { path: 'passwords.json', before: '1', after: '2' }])).toMatchObject({
      kind: 'replace',
    });
  });
});

describe('where certificates are shown', () => {
  it('is the clients’ port of a node and its bus, as others reach them', () => {
    const announce = { port: 7001, busPort: 17001 };
    const ports = (more: object, host = 'redis-1') =>
      redisPorts({ host, announce: { ...announce, ...more } }).map((each) => `${each.host}:${each.port} ${each.file}`);
    expect(ports({})).toEqual(['redis-1:7001 server.crt', 'redis-1:17001 server.crt']);
    expect(ports({ hostname: 'a.example', ip: '203.0.113.1' })[0]).toBe('203.0.113.1:7001 server.crt');
    expect(ports({ hostname: 'a.example' })[1]).toBe('a.example:17001 server.crt');
  });

  const listen = (file?: string) => ({
    ...(file === undefined ? {} : { tls_context: { tls_certificates: [{ certificate_chain: { filename: file } }] } }),
  });
  const shown = (config: unknown, network: 'host' | 'bridge' = 'host') => {
    const settings = deploySettings();
    const proxy = {
      ...settings.proxy,
      network: network === 'host' ? { kind: network } : { kind: network, name: 'net' },
    };
    const content = typeof config === 'string' ? config : JSON.stringify(config);
    const files = [{ path: 'proxy.yaml', content, mode: 0o640, uid: 0, gid: 0 }];
    return proxyPorts({ proxy }, { address: '10.0.0.9' }, { files }).map(
      ({ host, port, file }) => `${host}:${port} ${file}`,
    );
  };
  const OWN = '/etc/forge-proxy/tls/server.crt';

  it('is each address of a proxy that speaks TLS', () => {
    const config = {
      listeners: [
        { address: '0.0.0.0:6379', ...listen(OWN) },
        {
          address: '127.0.0.1:6380',
          additional_addresses: [
            { address: '[::]:6381', ...listen('/etc/forge-proxy/files/1-other.crt') },
            { address: 'unix:/run/x.sock', ...listen(OWN) },
            { address: { pipe: { path: '/run/y.sock' } }, ...listen(OWN) },
          ],
        },
        { address: ':6382', ...listen(OWN) },
      ],
    };
    expect(shown(config)).toEqual([
      '10.0.0.9:6379 tls/server.crt',
      '10.0.0.9:6381 files/1-other.crt',
      '10.0.0.9:6382 tls/server.crt',
    ]);
    expect(shown(config, 'bridge')).toEqual(['10.0.0.9:6379 tls/server.crt']);
  });

  it('is nowhere for a proxy without TLS, or whose configuration cannot be read', () => {
    expect(shown({ listeners: [{ address: '0.0.0.0:6379' }] })).toEqual([]);
    for (const text of ['', '[', 'listeners: 5', 'listeners: [null, 1, {address: 5}]'])
      expect(shown(text), text).toEqual([]);
    expect(shown({ listeners: [{ address: '0.0.0.0:6379', ...listen('/elsewhere/x.crt') }] })).toEqual([]);
  });
});
