import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toldCertificates, writeCertificateTextfile } from '../../../src/monitoring/certificate-textfile.js';

const JUDGED = [
  { check: 'nodes/10.0.0.1/server.crt', expires: '2027-01-02T03:04:05.000Z' },
  { check: 'ca.crt', expires: '2036-01-01T00:00:00.000Z' },
  { check: 'proxy/server.crt', expires: null },
];

describe('what Prometheus is told of certificates', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-textfile-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is the end of each that can be read, by its file', () => {
    expect(toldCertificates(JUDGED)).toEqual([
      { name: 'nodes/10.0.0.1/server', notAfter: new Date('2027-01-02T03:04:05Z') },
      { name: 'ca', notAfter: new Date('2036-01-01T00:00:00Z') },
    ]);
  });

  it('is a file of the cluster in the folder, which the exporter may read', async () => {
    const file = await writeCertificateTextfile(folder, 'orders', JUDGED);
    expect(file).toBe(path.join(folder, 'redisforge-certificates-orders.prom'));
    expect((await stat(file)).mode & 0o777).toBe(0o644);
    const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.startsWith('redisforge'));
    expect(lines).toEqual([
      'redisforge_certificate_not_after_timestamp_seconds{redis_cluster="orders",certificate="ca"} 2082758400',
      'redisforge_certificate_not_after_timestamp_seconds{redis_cluster="orders",certificate="nodes/10.0.0.1/server"} 1798859045',
    ]);
    const other = path.join(folder, 'mine.prom');
    expect(await writeCertificateTextfile(other, 'orders', JUDGED)).toBe(other);
  });

  it('is refused where the exporter would not look, or where nobody can write', async () => {
    await expect(writeCertificateTextfile(path.join(folder, 'mine.txt'), 'orders', JUDGED)).rejects.toMatchObject({
      kind: 'usage',
    });
    await expect(writeCertificateTextfile(path.join(folder, 'no/mine.prom'), 'orders', JUDGED)).rejects.toMatchObject({
      kind: 'configuration',
      message: expect.stringContaining('ENOENT'),
    });
  });
});
