import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changesTrust, type InstallStage, installOrder, type OrderParty } from '../../../src/certs/install-order.js';
import { type CertificateSet, certificatePart, certificateSet, judgeSet } from '../../../src/certs/install-set.js';
import { keyPem } from '../../../src/certs/keys.js';
import { parseSubjectName } from '../../../src/certs/names.js';
import { authority, NOW, newKey, pair, type TestAuthority } from './made.js';

const old = authority('orders CA');
const next = authority('orders CA');
const key = newKey();
const keyText = keyPem(key);

type PairOptions = Partial<Parameters<typeof pair>[2]>;
const certificate = (options: PairOptions = {}) => {
  const { certificate: facts } = pair('node', 'nodes/a', { by: old, names: ['a', '10.0.0.1'], key, ...options });
  return facts?.x509.toString() ?? '';
};
const files = (changes: Partial<Record<'server.crt' | 'server.key' | 'ca.crt', string>> = {}) =>
  Object.entries({ 'server.crt': certificate(), 'server.key': keyText, 'ca.crt': old.pem, ...changes });
const wanted = { now: NOW, names: ['a', '10.0.0.1'].map(parseSubjectName), usages: ['server', 'client'] as const };
const judged = (changes: Parameters<typeof files>[0] = {}, more: Partial<Parameters<typeof judgeSet>[1]> = {}) =>
  judgeSet(certificateSet(files(changes)), { ...wanted, ...more });

describe('files of certificates', () => {
  it('are told apart by what they hold', () => {
    expect(certificatePart(old.pem + next.pem)).toBe('trust');
    expect(certificatePart(certificate())).toBe('pair');
    expect(certificatePart(certificate() + old.pem)).toBe('pair');
    expect(certificatePart(keyText)).toBe('pair');
    expect(certificatePart(old.pem + keyText)).toBe('pair');
    expect(certificatePart('port 6379\n')).toBeUndefined();
    expect(certificatePart('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')).toBe('pair');
  });

  it('are read as what is shown, the keys, and who is trusted', () => {
    const set = certificateSet([
      ...files(),
      ['both.pem', certificate() + keyText],
      ['x.crt', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
    ]);
    expect([...set.shown.keys()]).toEqual(['server.crt', 'both.pem']);
    expect([...set.keys.keys()]).toEqual(['server.key', 'both.pem']);
    expect(set.trusted.map(({ fingerprint256 }) => fingerprint256)).toEqual([old.x509.fingerprint256]);
    expect(set.faults).toEqual(['x.crt is damaged']);
  });
});

describe('a set of certificates', () => {
  it('may be given out when all of it fits', () => {
    expect(judged()).toEqual([]);
    expect(judged({ 'ca.crt': next.pem + old.pem })).toEqual([]);
    expect(judgeSet(certificateSet([['ca.crt', old.pem]]), { ...wanted, usages: undefined })).toEqual([]);
  });

  it.each<[string, Parameters<typeof files>[0], RegExp]>([
    ['has expired', { 'server.crt': certificate({ from: -9, until: -1 }) }, /^server\.crt expired on 2030-06-14$/],
    ['is not yet valid', { 'server.crt': certificate({ from: 2 }) }, /^server\.crt is valid only from 2030-06-17 on/],
    ['has the key of another', { 'server.key': keyPem(newKey()) }, /^no key that is there belongs to server\.crt$/],
    ['has a key that is encrypted', { 'server.key': keyPem(key, 'word') }, /^server\.key is encrypted/],
    ['is of a CA that it does not go with', { 'ca.crt': next.pem }, /^no CA that goes with it has signed server\.crt$/],
    ['is for other names', { 'server.crt': certificate({ names: ['a'] }) }, /^server\.crt is not for 10\.0\.0\.1$/],
    [
      'is for servers only',
      { 'server.crt': certificate({ usages: ['server'] }) },
      /^server\.crt may not be used as a client$/,
    ],
    [
      'is damaged',
      { 'server.crt': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
      /^server\.crt is damaged$/,
    ],
  ])('may not when its certificate %s', (_, changes, fault) => {
    const faults = judged(changes);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(fault);
  });

  it('may not with a key that is too small, without a key, or with CAs that have all expired', () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    expect(judged({ 'server.crt': certificate({ key: small }), 'server.key': keyPem(small) })).toEqual([
      'the key of server.crt has only 1024 bits',
    ]);
    expect(judgeSet(certificateSet(files().filter(([path]) => path !== 'server.key')), wanted)).toEqual([
      'there is no key of server.crt',
    ]);
    const ended = authority('ended', { from: -20, until: -1 });
    expect(judged({ 'server.crt': certificate({ by: ended }), 'ca.crt': ended.pem })).toEqual([
      'the CA that has signed server.crt has expired',
      'every CA that it would trust has expired',
    ]);
    // Beside one that goes on, it does no harm.
    expect(judged({ 'ca.crt': old.pem + ended.pem })).toEqual([]);
  });

  it('of somebody else’s CA is judged by its time and its key only', () => {
    const elsewhere = { 'server.crt': certificate({ by: next, names: ['b'], usages: ['server'] }) };
    expect(judged(elsewhere, { usages: undefined })).toEqual([]);
    expect(judged({ ...elsewhere, 'server.key': keyPem(newKey()) }, { usages: undefined })).toHaveLength(1);
    // Its password may be in the configuration beside it.
    expect(judged({ ...elsewhere, 'server.key': keyPem(key, 'word') }, { usages: undefined })).toEqual([]);
  });
});

const both = old.pem + next.pem;
const setOf = (by: TestAuthority, trusted: string): CertificateSet =>
  certificateSet(files({ 'server.crt': certificate({ by }), 'ca.crt': trusted }));
const SETS = {
  /** Before a change of the CA, and after each of its three steps. */
  before: setOf(old, old.pem),
  announced: setOf(old, both),
  switched: setOf(next, both),
  retired: setOf(next, next.pem),
} as const;
type Step = keyof typeof SETS;
const STEPS = Object.keys(SETS) as Step[];

function party(name: string, before: Step, after?: Step, isNode = true): OrderParty {
  return { name, chosen: after !== undefined, isNode, before: SETS[before], after: SETS[after ?? before] };
}
const order = (...parties: OrderParty[]) => installOrder(parties, NOW);
const stagesOf = (...parties: OrderParty[]) => {
  const result = order(...parties);
  return 'stages' in result ? result.stages : undefined;
};

describe('the order in which certificates are given out', () => {
  it('is all at once for what everybody understands already', () => {
    expect(stagesOf(party('a', 'before', 'before'), party('b', 'before', 'before'))).toEqual(['all']);
    for (const [from, to] of [
      ['before', 'announced'],
      ['announced', 'switched'],
      ['switched', 'retired'],
    ] as const) {
      expect(stagesOf(party('a', from, to), party('b', from, to), party('proxy', from, to, false)), to).toEqual([
        'all',
      ]);
      // One after the other, too.
      expect(stagesOf(party('a', from, to), party('b', from), party('proxy', to, undefined, false)), to).toEqual([
        'all',
      ]);
    }
  });

  it('is trust first, when a step was left out in which the next CA became known', () => {
    expect(stagesOf(party('a', 'before', 'switched'), party('b', 'before', 'switched'))).toEqual(['trust', 'pair']);
  });

  it('is certificates first, when the previous CA would go before what it has signed', () => {
    expect(stagesOf(party('a', 'announced', 'retired'), party('b', 'announced', 'retired'))).toEqual(['pair', 'trust']);
  });

  it('refuses what would cut somebody off, and says who', () => {
    expect(order(party('a', 'before', 'switched'), party('b', 'before'))).toEqual({
      broken: [{ verifier: 'b', shower: 'a', file: 'server.crt' }],
    });
    expect(order(party('a', 'switched', 'retired'), party('b', 'announced'))).toEqual({
      broken: [{ verifier: 'a', shower: 'b', file: 'server.crt' }],
    });
    expect(stagesOf(party('a', 'before', 'retired'), party('b', 'before', 'retired'))).toBeUndefined();
    expect(stagesOf(party('a', 'switched', 'retired'), party('proxy', 'announced', undefined, false))).toBeUndefined();
  });

  it('does not mind proxies and exporters that never speak to each other, and those that were cut off before', () => {
    expect(stagesOf(party('proxy', 'before', 'retired', false), party('exporter', 'before', undefined, false))).toEqual(
      ['all'],
    );
    expect(stagesOf(party('a', 'before', 'retired'), party('b', 'retired'))).toEqual(['all']);
    const ended = {
      ...party('a', 'before', 'retired'),
      before: certificateSet(files({ 'server.crt': certificate({ from: -9, until: -1 }) })),
    };
    expect(installOrder([ended, { ...ended, name: 'b' }], NOW)).toEqual({ stages: ['all'] });
  });

  it('never lets two lose each other, whatever everybody has and gets, and whoever is first', () => {
    const step = fc.constantFrom(...STEPS);
    const someone = fc.record({ before: step, after: fc.option(step, { nil: undefined }), isNode: fc.boolean() });
    fc.assert(
      fc.property(fc.array(someone, { minLength: 2, maxLength: 4 }), fc.integer(), (all, seed) => {
        const parties = all.map(({ before, after, isNode }, index) => party(`p${index}`, before, after, isNode));
        const stages = stagesOf(...parties);
        if (stages === undefined) return;
        const states = new Map(parties.map((each) => [each.name, each.before]));
        const started = linksNow(parties, states);
        for (const stage of stages) {
          for (const each of shuffled(parties, seed)) {
            if (each.chosen) states.set(each.name, given(states.get(each.name) ?? each.before, each.after, stage));
            const now = linksNow(parties, states);
            expect(started.filter((link) => !now.includes(link))).toEqual([]);
          }
        }
        for (const each of parties) expect(states.get(each.name)).toEqual(each.after);
      }),
    );
  });

  it('matters where CAs change, not where a certificate is renewed', () => {
    const change = (before: Step, after: Step) => changesTrust({ before: SETS[before], after: SETS[after] });
    expect(change('before', 'before')).toBe(false);
    expect(changesTrust({ before: SETS.announced, after: setOf(old, both) })).toBe(false);
    for (const [from, to] of [
      ['before', 'announced'],
      ['announced', 'switched'],
      ['switched', 'retired'],
    ] as const) {
      expect(change(from, to), to).toBe(true);
    }
  });
});

function given(state: CertificateSet, after: CertificateSet, stage: InstallStage): CertificateSet {
  if (stage === 'all') return after;
  return stage === 'trust' ? { ...state, trusted: after.trusted } : { ...after, trusted: state.trusted };
}

/** By hand, and by names of CAs' keys: who would take whose certificate. */
function linksNow(parties: readonly OrderParty[], states: ReadonlyMap<string, CertificateSet>): string[] {
  return parties.flatMap((verifier) =>
    parties.flatMap((shower) => {
      if (verifier === shower || !(verifier.isNode || shower.isNode)) return [];
      const shown = states.get(shower.name)?.shown.get('server.crt');
      const trusted = states.get(verifier.name)?.trusted ?? [];
      const taken = trusted.some(({ publicKey }) => shown?.x509.verify(publicKey));
      return taken ? [`${verifier.name}<${shower.name}`] : [];
    }),
  );
}

function shuffled<Item>(items: readonly Item[], seed: number): Item[] {
  return items
    .map((item, index) => ({ item, rank: Math.sin(seed + index * 7.3) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
