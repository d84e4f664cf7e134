import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { StoredDirectory, StoredPair } from '../../../src/certs/directory.js';
import { type JudgeOptions, judgeDirectory } from '../../../src/certs/judge.js';
import { nagiosOfCertificateFailure, nagiosOfCertificates } from '../../../src/certs/nagios.js';
import { authority, directory, NOW, newKey, pair, stored } from './made.js';

const ca = authority();
const another = authority('another CA');
const key = newKey();
const OPTIONS: JudgeOptions = { now: NOW, warnDays: 30, failDays: 7, nodes: [] };

const node = (options: Partial<Parameters<typeof pair>[2]> = {}) =>
  pair('node', 'nodes/a', { by: ca, names: ['a', '10.0.0.1'], key, ...options });
const folder = (pairs: readonly StoredPair[], changes: Partial<StoredDirectory> = {}) =>
  directory({ authority: stored(ca), bundle: [ca.x509], pairs, ...changes });
const judge = (what: StoredDirectory, options: Partial<JudgeOptions> = {}) =>
  judgeDirectory(what, { ...OPTIONS, ...options });
/** What does not pass: `VERDICT text`. */
const reasons = (what: StoredDirectory, options: Partial<JudgeOptions> = {}) => {
  const { certificates, findings } = judge(what, options);
  return [...certificates, ...findings].flatMap((each) =>
    each.reasons.map(({ verdict, text }) => `${verdict} ${text}`),
  );
};

describe('a folder of certificates', () => {
  it('passes when everything fits, and tells when each ends', () => {
    const report = judge(folder([node(), pair('client', 'clients/app', { by: ca, key })]));
    expect(report).toMatchObject({ verdict: 'PASS', rotation: 'none' });
    expect(report.certificates.map(({ check, kind, daysLeft, expires }) => [check, kind, daysLeft, expires])).toEqual([
      ['ca.crt', 'ca', 3650, '2040-06-12T12:00:00.000Z'],
      ['nodes/a/server.crt', 'node', 365, '2031-06-15T12:00:00.000Z'],
      ['clients/app/client.crt', 'client', 365, '2031-06-15T12:00:00.000Z'],
    ]);
  });

  it.each<[string, StoredPair, string]>([
    ['has expired', node({ from: -9, until: -1 }), 'FAIL nodes/a/server.crt expired on 2030-06-14'],
    ['ends within days', node({ until: 6.5 }), 'FAIL nodes/a/server.crt ends in 6 days, on 2030-06-22'],
    ['ends soon', node({ until: 29.5 }), 'WARN nodes/a/server.crt ends in 29 days, on 2030-07-15'],
    [
      'is of the future',
      node({ from: 2 }),
      'FAIL nodes/a/server.crt is valid only from 2030-06-17 on; is the clock (2030-06-15) right?',
    ],
    [
      'is of another CA',
      node({ by: another }),
      'FAIL no CA that is trusted here has signed nodes/a/server.crt (it says CN=another CA)',
    ],
    ['is a server only', node({ usages: ['server'] }), 'FAIL nodes/a/server.crt may not be used as a client'],
    ['is for nobody', node({ names: [] }), 'FAIL nodes/a/server.crt is for no name and no address'],
    [
      'cannot be read',
      { ...node(), certificate: undefined, certificateFault: 'is damaged' },
      'FAIL nodes/a/server.crt is damaged',
    ],
    [
      'has the key of another',
      { ...node(), key: { state: 'read', key: newKey() } },
      'FAIL the key in nodes/a/server.key does not belong to nodes/a/server.crt',
    ],
    [
      'has no key',
      { ...node(), key: undefined, keyFault: 'does not exist', keyMode: undefined },
      'FAIL nodes/a/server.key does not exist',
    ],
    [
      'has a damaged key',
      { ...node(), key: { state: 'damaged', fault: 'holds a damaged private key' } },
      'FAIL nodes/a/server.key holds a damaged private key',
    ],
    [
      'has an encrypted key',
      { ...node(), key: { state: 'encrypted' } },
      'WARN nodes/a/server.key is encrypted, so nobody knows whether it belongs to nodes/a/server.crt',
    ],
    [
      'has a key for all to read',
      { ...node(), keyMode: 0o644 },
      'WARN others than its owner may read nodes/a/server.key (mode 0644)',
    ],
    ['has a weak key', node({ key: newKey(1024) }), 'WARN the key of nodes/a/server.crt has only 1024 bits'],
  ])('tells of a certificate that %s', (_, what, text) => {
    const own = what.certificate?.keyBits === 1024 ? { ...what, key: undefined, keyFault: undefined } : what;
    expect(reasons(folder([own]))).toEqual([text]);
  });

  it('warns of a CA three months ahead, and fails what an expired CA has signed', () => {
    const ending = authority('ending CA', { until: 60 });
    const old = authority('old CA', { from: -10, until: -1 });
    const end = { authority: stored(ending), bundle: [ending.x509] };
    expect(reasons(folder([node({ by: ending, until: 60 })], end))).toEqual([
      'WARN ca.crt ends in 60 days, on 2030-08-14',
    ]);
    expect(reasons(folder([node({ by: old })], { authority: stored(old), bundle: [old.x509] }))).toEqual([
      'FAIL ca.crt expired on 2030-06-14',
      'FAIL the CA that has signed nodes/a/server.crt expired on 2030-06-14',
    ]);
  });

  it('tells of a CA that is none, and of one with the key of another', () => {
    const leaf = { ...node(), role: undefined, folder: undefined, certificateFile: 'ca.crt', keyFile: 'ca.key' };
    expect(reasons(folder([], { authority: leaf, bundle: undefined }))).toContain(
      'FAIL ca.crt is not the certificate of a CA',
    );
    const wrong = { ...stored(ca), key: stored(another).key };
    expect(reasons(folder([], { authority: wrong }))).toEqual(['FAIL the key in ca.key does not belong to ca.crt']);
  });

  it('needs no key of the CA, and can say nothing of an encrypted one', () => {
    const offline = { ...stored(ca), key: undefined, keyFault: 'does not exist', keyMode: undefined };
    expect(reasons(folder([node()], { authority: offline }))).toEqual([]);
    expect(reasons(folder([node()], { authority: { ...stored(ca), key: { state: 'encrypted' } } }))).toEqual([]);
  });

  it('asks for a bundle that has the CA', () => {
    expect(reasons(folder([node()], { bundle: undefined }))).toEqual([
      'WARN there is no ca-bundle.crt to give to those who trust',
    ]);
    expect(reasons(folder([node()], { bundle: [another.x509] }))).toEqual([
      'FAIL ca.crt is not in ca-bundle.crt, so nobody trusts it',
    ]);
    expect(reasons(folder([node()], { bundle: undefined, bundleFault: 'is damaged' }))).toEqual([
      'FAIL ca-bundle.crt is damaged',
    ]);
  });

  it('asks for a certificate for each node of forge.yaml', () => {
    const nodes = (...hosts: string[]) => ({ nodes: hosts.map((host) => ({ host, port: 6379 })) });
    expect(reasons(folder([node()]), nodes('a'))).toEqual([]);
    expect(reasons(folder([node()]), nodes('10.0.0.1'))).toEqual([]);
    expect(reasons(folder([node()]), nodes('2001:db8::9'))).toEqual([
      'FAIL no certificate is for the node [2001:db8::9]:6379',
    ]);
    expect(reasons(folder([node({ names: ['b'] })]), nodes('a'))).toEqual([
      'FAIL nodes/a/server.crt is not for a (node a:6379)',
    ]);
    expect(reasons(folder([node()]), { ...nodes('a'), serverName: 'redis.internal' })).toEqual([
      'FAIL nodes/a/server.crt is not for redis.internal (node a:6379)',
    ]);
    expect(reasons(folder([node()]), { nodes: [{ host: 'a', port: 1, addresses: ['10.0.0.9'] }] })).toEqual([
      'FAIL nodes/a/server.crt is not for 10.0.0.9 (node a:1)',
    ]);
    // Its own folder counts more than that of its host.
    const own = pair('node', 'nodes/a-6379', { by: ca, names: ['x'], key });
    expect(reasons(folder([node(), own]), nodes('a'))).toEqual([
      'FAIL nodes/a-6379/server.crt is not for a (node a:6379)',
    ]);
  });

  it('may be of another layout, with other kinds of keys', () => {
    const other = { ...node({ names: ['*.b.c'] }), role: undefined, folder: undefined, certificateFile: 'server.crt' };
    const root = { ...stored(ca), certificateFile: 'root.pem', keyFile: 'root.key' };
    const what = directory({ files: [], others: [root, other] });
    expect(judge(what, { nodes: [{ host: 'a.b.c', port: 1 }] })).toMatchObject({ verdict: 'PASS' });
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    expect(reasons(directory({ others: [root, { ...other, key: { state: 'read', key: ec } }] }))).toEqual([
      'FAIL the key in nodes/a/server.key does not belong to server.crt',
    ]);
  });

  it('says that nothing is there, or that a run was interrupted', () => {
    expect(reasons(directory({}))).toEqual(['FAIL there is no certificate in /certs']);
    expect(reasons(folder([], { halfDone: true })).join()).toContain('a run was interrupted');
  });

  it('says how far a change of the CA is', () => {
    const next = stored(another, 'ca-next');
    const announced = judge(folder([node()], { next, bundle: [ca.x509, another.x509] }));
    expect(announced).toMatchObject({ verdict: 'WARN', rotation: 'announced' });
    expect(announced.findings.at(-1)?.next).toContain('--switch-ca');
    const switched = judge(
      folder([node({ by: another })], {
        authority: stored(another),
        previous: { ...stored(ca, 'ca-previous'), key: undefined, keyFile: '' },
        bundle: [ca.x509, another.x509],
      }),
    );
    expect(switched).toMatchObject({ verdict: 'WARN', rotation: 'switched' });
    expect(switched.certificates.every(({ verdict }) => verdict === 'PASS')).toBe(true);
  });

  it('has a next step for all that does not pass', () => {
    const { certificates, findings } = judge(
      folder([node({ until: 1 }), { ...pair('client', 'clients/b', { by: ca, key }), keyMode: 0o640 }]),
      { nodes: [{ host: 'z', port: 1 }] },
    );
    const bad = [...certificates, ...findings].filter(({ verdict }) => verdict !== 'PASS');
    expect(bad.map(({ next }) => next)).toEqual([
      'forge gen-certs /certs --renew',
      'chmod 600 /certs/clients/b/client.key',
      'forge gen-certs /certs --renew',
    ]);
  });
});

describe('the line for Nagios', () => {
  it('has the first end, and the codes of its plugins', () => {
    const good = nagiosOfCertificates(judge(folder([node({ until: 99 })])), OPTIONS);
    expect(good).toEqual({
      line: 'CERTS OK - 2 certificates, the first ends in 99 days (nodes/a/server.crt) | days_left=99;30:;7: certificates=2 findings=0',
      exitCode: 0,
    });
    expect(nagiosOfCertificates(judge(folder([node({ until: 9 })])), OPTIONS)).toMatchObject({ exitCode: 1 });
    const bad = nagiosOfCertificates(judge(folder([node({ until: -0.5 })])), OPTIONS);
    expect(bad).toMatchObject({ exitCode: 2 });
    expect(bad.line).toMatch(/^CERTS CRITICAL - nodes\/a\/server.crt expired on 2030-06-15 \| days_left=-1;/);
    expect(nagiosOfCertificateFailure('no | folder\nhere')).toEqual({
      line: 'CERTS UNKNOWN - no / folder here',
      exitCode: 3,
    });
  });
});
