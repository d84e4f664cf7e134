import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { StoredPair } from '../../../src/certs/directory.js';
import { type PlanOptions, planCreation, planRenewal } from '../../../src/certs/plan.js';
import { wantedCertificates } from '../../../src/certs/wanted.js';
import { authority, NOW, newKey, pair } from './made.js';

const ca = authority();
const another = authority('another CA');
const wanted = wantedCertificates({ nodes: [{ host: 'a', port: 6379 }] }).filter(({ role }) => role === 'node');
const NAMES = ['a', 'localhost', '127.0.0.1', '::1'];
const key = newKey();

const plan = (pairs: readonly StoredPair[], options: Partial<PlanOptions> = {}, who = wanted) =>
  planRenewal({ pairs }, who, { now: NOW, withinDays: 30, newKeys: false, signer: ca.x509, ...options });
const node = (options: Partial<Parameters<typeof pair>[2]> = {}) =>
  pair('node', 'nodes/a', { by: ca, names: NAMES, key, ...options });
const one = (stored: StoredPair, options: Partial<PlanOptions> = {}) => plan([stored], options)[0];

describe('a plan', () => {
  it('makes everything where there is nothing', () => {
    expect(planCreation(wanted)).toMatchObject([{ action: 'create', key: 'new', usages: ['server', 'client'] }]);
    expect(plan([])).toMatchObject([{ action: 'create', key: 'new' }]);
  });

  it('keeps what fits', () => {
    expect(one(node())).toMatchObject({ action: 'keep', reasons: [] });
    expect(one(node({ names: [...NAMES, 'more'] }))).toMatchObject({ action: 'keep' });
    expect(one(node({ until: 31 }))).toMatchObject({ action: 'keep' });
  });

  it.each([
    ['ends soon', node({ until: 29.5 }), 'it ends in 29 days'],
    ['has expired', node({ from: -9, until: -1 }), 'it expired on 2030-06-14'],
    ['is of the future', node({ from: 2 }), 'it is valid only from 2030-06-17 on'],
    ['is of another CA', node({ by: another }), 'another CA has signed it'],
    ['lacks names', node({ names: ['a', '10.0.0.7'] }), 'it is not for localhost, 127.0.0.1, ::1'],
    ['cannot be a client', node({ usages: ['server'] }), 'it may not be used as a client'],
  ])('renews a certificate that %s, and keeps its key', (_, stored, reason) => {
    expect(one(stored)).toMatchObject({ action: 'renew', key: 'keep', reasons: [reason] });
  });

  it.each<[string, Partial<StoredPair>, string]>([
    ['does not exist', { key: undefined, keyFault: 'does not exist' }, 'its key does not exist'],
    ['is encrypted', { key: { state: 'encrypted' } }, 'its key is encrypted'],
    ['is damaged', { key: { state: 'damaged', fault: 'holds nothing' } }, 'its key holds nothing'],
    ['is too weak', { key: { state: 'read', key: newKey(1024) } }, 'its key has only 1024 bits'],
    ['is another one', { key: { state: 'read', key: newKey() } }, 'its key is another one'],
    [
      'is of another kind',
      { key: { state: 'read', key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } },
      'its key is of the kind ec',
    ],
  ])('makes a new key where it %s', (_, change, reason) => {
    expect(one({ ...node(), ...change })).toMatchObject({ action: 'renew', key: 'new', reasons: [reason] });
  });

  it('renews a certificate that cannot be read, for its key', () => {
    const damaged = { ...node(), certificate: undefined, certificateFault: 'is damaged' };
    expect(one(damaged)).toMatchObject({ action: 'renew', key: 'keep', reasons: ['its certificate is damaged'] });
  });

  it('makes all keys anew when asked to', () => {
    expect(one(node(), { newKeys: true })).toMatchObject({ action: 'renew', key: 'new' });
  });

  it('never takes a name away', () => {
    const names = one(node({ names: ['a', '10.0.0.7'] }))?.names.map(({ value }) => value);
    expect(names).toEqual([...NAMES, '10.0.0.7']);
  });

  it('renews what nobody asks for as it is', () => {
    const old = pair('client', 'clients/old', { by: ca, until: 3 });
    const items = plan([node(), old]);
    expect(items).toMatchObject([
      { folder: 'nodes/a', action: 'keep' },
      { folder: 'clients/old', action: 'renew', usages: ['client'], names: [], commonName: 'old' },
    ]);
  });

  it('does not make a certificate for no name where the old one cannot be read, and a client needs none', () => {
    const lost = (stored: StoredPair) => ({ ...stored, certificate: undefined, certificateFault: 'is damaged' });
    expect(() => plan([lost(pair('node', 'nodes/b', { by: ca, key }))])).toThrow(
      'nodes/b/server.crt is damaged, and nothing says for which names it was.',
    );
    expect(plan([lost(pair('client', 'clients/app', { by: ca, key }))], {}, [])).toMatchObject([
      { action: 'renew', key: 'keep', commonName: 'app' },
    ]);
  });

  it('does not renew what ends with its CA, until it has expired: it would end on the same day', () => {
    const short = authority('short CA', { until: 10 });
    const stored = node({ by: short, until: 10 });
    expect(one(stored, { signer: short.x509 })).toMatchObject({ action: 'keep' });
    expect(one(stored, { signer: short.x509, now: NOW + 11 * 86_400_000 })).toMatchObject({ action: 'renew' });
  });
});
