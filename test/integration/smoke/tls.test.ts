/** Smoke tests of what speaks TLS: who is trusted, with which certificate, and what is said when that fails. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import SmokeTest from '../../../src/commands/smoke-test.js';
import type { SmokeReport } from '../../../src/smoke/types.js';
import { type Authority, type CertificateFiles, makeAuthority } from '../../support/certificates.js';
import { type RedisCluster, startCluster } from '../../support/redis.js';
import { ROOT } from '../../support/repository.js';

const PASSWORD = 'smoke over TLS';

let authority: Authority;
let stranger: Authority;
let client: CertificateFiles;
let cluster: RedisCluster;

beforeAll(async () => {
  [authority, stranger] = await Promise.all([makeAuthority(), makeAuthority()]);
  client = await authority.issue({ name: 'client' });
  const [ca, cert, key] = await Promise.all(
    [authority.ca, client.certificate, client.key].map((file) => readFile(file)),
  );
  cluster = await startCluster({
    masters: 3,
    requirepass: PASSWORD,
    tls: { ...authority.server, ca: authority.ca, connect: { ca, cert, key } },
    // Nobody gets in without a certificate.
    args: ['--tls-auth-clients', 'yes'],
  });
});
afterAll(async () => {
  await cluster?.stop();
  await Promise.all([authority?.remove(), stranger?.remove()]);
});
beforeEach(() => {
  for (const stream of ['stdout', 'stderr'] as const) vi.spyOn(process[stream], 'write').mockReturnValue(true);
  vi.stubEnv('FORGE_HOME', path.join(authority.dir, 'home'));
  vi.stubEnv('FORGE_CONFIG', '/dev/null');
  vi.stubEnv('REDIS_REQUIREPASS', PASSWORD);
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(path.join(authority.dir, 'home'), { recursive: true, force: true });
});

const run = async (...words: string[]): Promise<SmokeReport> =>
  SmokeTest.run([cluster.masters[0]?.address ?? '', '--timeout', '20s', ...words], ROOT);
const trusting = ({ ca }: Authority) => ['--cacert', ca];
const showing = ({ certificate, key }: CertificateFiles) => ['--cert', certificate, '--key', key];

describe('forge smoke-test over TLS', () => {
  it('passes every check on every node, with the certificate that the nodes want', async () => {
    const report = await run(...trusting(authority), ...showing(client));
    expect(report).toMatchObject({ passed: true, target: { kind: 'cluster node' } });
    expect(report.steps.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(report.steps.find(({ name }) => name === 'slots')).toMatchObject({ status: 'passed' });
    for (const master of cluster.masters) expect(await master.call('DBSIZE')).toBe(0);
  });

  it.each<[string, () => string[], string, RegExp]>([
    [
      'an authority that is not trusted',
      () => [...trusting(stranger), ...showing(client)],
      'unreachable',
      /certificate/i,
    ],
    ['no certificate of its own', () => trusting(authority), 'unreachable', /certificate|TLS/i],
    ['no TLS at all', () => [], 'unreachable', /TLS/],
  ])('tells of %s', async (_, words, kind, text) => {
    const failure = await run(...words()).then(
      () => undefined,
      (error) => error,
    );
    expect(failure).toMatchObject({ kind });
    expect(`${failure.message} ${failure.next.join(' ')}`).toMatch(text);
  });
});
