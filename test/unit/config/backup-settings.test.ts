import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backupCluster, requireBackupCluster, type StoreFlagValues } from '../../../src/config/backup-flags.js';
import { parsePlace } from '../../../src/config/backup-place.js';
import { findBackupFaults } from '../../../src/config/backup-report.js';
import { storeSettings } from '../../../src/config/backup-settings.js';
import { loadSettings } from '../../../src/config/resolve.js';
import { settingLines } from '../../../src/config/resolve-report.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-backup-settings-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const FULL = `
cluster: orders
backup:
  bucket: s3://of-file/prefix/
  endpoint: https://s3.internal
  region: eu-1
  checksums: supported
  storage_class: STANDARD_IA
  server_side_encryption: aws:kms
  kms_key_id: alias/backups
  tags: { team: data }
  ca: store-ca.crt
  access_key_id: { environment: KEY_ID }
  secret_access_key: { filename: secret }
  retention: { last: 3, within: 30d, floor: 2 }
`;

async function settings(environment: NodeJS.ProcessEnv = {}, file?: string, name?: string) {
  if (file !== undefined) await writeFile(path.join(directory, 'forge.yaml'), file);
  return loadSettings({ directory, environment, name });
}
const store = async (
  flags: StoreFlagValues | string,
  environment: NodeJS.ProcessEnv = {},
  file?: string,
  name?: string,
) => storeSettings(flags, await settings(environment, file, name));

describe('a place', () => {
  it.each([
    ['/var/backups', { kind: 'directory', directory: '/var/backups' }],
    ['backups', { kind: 'directory', directory: 'backups' }],
    ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '' }],
    ['s3://bucket/', { kind: 's3', bucket: 'bucket', prefix: '' }],
    ['S3://bucket//a//b/', { kind: 's3', bucket: 'bucket', prefix: 'a/b' }],
    ['s3://Old_Bucket.1/ä b', { kind: 's3', bucket: 'Old_Bucket.1', prefix: 'ä b' }],
  ])('is read: %s', (text, place) => {
    expect(parsePlace(text, '--to')).toEqual(place);
  });

  it.each([
    '',
    's3://',
    's3:///prefix',
    's3://b',
    's3://key:hunter2@bucket/x',
    's3://bucket/../x',
    's3://bucket/a/./b',
    's3://bucket/a\\b',
    's3://bucket/a\u0000b',
    `s3://bucket/${'a'.repeat(769)}`,
    'https://bucket/x',
    'gs://bucket',
    'a\0b',
  ])('is refused: %j', (text) => {
    expect(() => parsePlace(text, '--to')).toThrow(expect.objectContaining({ kind: 'configuration' }));
    expect(() => parsePlace(text, '--to')).toThrow(/^(?!.*hunter2)/);
  });
});

describe('a store', () => {
  it('is asked for where nothing names one', async () => {
    await expect(store({})).rejects.toMatchObject({ kind: 'configuration', next: [expect.stringContaining('--to')] });
  });

  it('is the directory that is named, relative to where it is named', async () => {
    expect(await store('/a')).toEqual({ kind: 'directory', directory: '/a' });
    expect(await store({ from: 'a' })).toEqual({ kind: 'directory', directory: path.resolve('a') });
    expect(await store({}, { BACKUP_DIRECTORY: '/b', BACKUP_DIR: '/c' })).toMatchObject({ directory: '/b' });
    expect(await store({}, { BACKUP_DIR: '/c' })).toMatchObject({ directory: '/c' });
    const file = 'cluster: orders\nbackup: { directory: d }\n';
    expect(await store({}, {}, file)).toEqual({ kind: 'directory', directory: path.join(directory, 'd') });
  });

  it.each(['bucket/a', 's3://bucket/a', 's3://bucket/a/'])('is the bucket of BACKUP_S3_BUCKET: %s', async (text) => {
    expect(await store({}, { BACKUP_S3_BUCKET: text })).toEqual({
      ...{ kind: 's3', bucket: 'bucket', prefix: 'a', pathStyle: false, checksums: 'required' },
    });
  });

  it('beside Amazon’s has the bucket in the path, and some region', async () => {
    const environment = { BACKUP_S3_ENDPOINT: 'http://127.0.0.1:9000/', AWS_ENDPOINT_URL: 'http://other' };
    expect(await store('s3://bucket', environment)).toMatchObject({
      ...{ endpoint: 'http://127.0.0.1:9000', pathStyle: true, region: 'us-east-1' },
    });
    expect(await store({ to: 's3://bucket', 'path-style': false }, environment)).toMatchObject({ pathStyle: false });
    expect(await store('s3://with.dots')).toMatchObject({ pathStyle: true });
    expect(await store('s3://bucket', { AWS_DEFAULT_REGION: 'eu-2' })).toMatchObject({
      region: 'eu-2',
      pathStyle: false,
    });
  });

  it('has all that forge.yaml says', async () => {
    await writeFile(path.join(directory, 'secret'), 'of-file-secret\n', { mode: 0o600 });
    expect(await store({}, { KEY_ID: 'of-variable' }, FULL)).toEqual({
      ...{ kind: 's3', bucket: 'of-file', prefix: 'prefix', endpoint: 'https://s3.internal', region: 'eu-1' },
      ...{ pathStyle: true, checksums: 'supported', storageClass: 'STANDARD_IA', tags: { team: 'data' } },
      encryption: { kind: 'aws:kms', keyId: 'alias/backups' },
      caFile: path.join(directory, 'store-ca.crt'),
      credentials: { accessKeyId: 'of-variable', secretAccessKey: 'of-file-secret' },
    });
  });

  it('is by flag, by environment, by forge.yaml, in this order; forge.yaml goes first where the cluster was named', async () => {
    const environment = { BACKUP_S3_BUCKET: 'of-environment', AWS_REGION: 'eu-2', KEY_ID: 'a' };
    await writeFile(path.join(directory, 'secret'), 's', { mode: 0o600 });
    expect(await store({ to: 's3://of-flag', region: 'eu-3' }, environment, FULL)).toMatchObject({
      ...{ bucket: 'of-flag', region: 'eu-3' },
    });
    expect(await store({}, environment, FULL)).toMatchObject({ bucket: 'of-environment', region: 'eu-2' });
    expect(await store({}, environment, FULL, 'orders')).toMatchObject({ bucket: 'of-file', region: 'eu-1' });
  });

  it('has key and secret of one place', async () => {
    await writeFile(path.join(directory, 'secret'), 'of-file-secret', { mode: 0o600 });
    const environment = {
      KEY_ID: 'of-file',
      AWS_ACCESS_KEY_ID: 'A',
      AWS_SECRET_ACCESS_KEY: 'B',
      AWS_SESSION_TOKEN: 'C',
    };
    const ofEnvironment = { accessKeyId: 'A', secretAccessKey: 'B', sessionToken: 'C' };
    const ofFile = { accessKeyId: 'of-file', secretAccessKey: 'of-file-secret' };
    expect(await store({}, environment, FULL)).toMatchObject({ credentials: ofEnvironment });
    expect(await store({}, environment, FULL, 'orders')).toMatchObject({ credentials: ofFile });
    expect(await store({}, { ...environment, AWS_SECRET_ACCESS_KEY: '' }, FULL)).toMatchObject({ credentials: ofFile });
    await rm(path.join(directory, 'forge.yaml'));
    await expect(store('s3://bucket', { AWS_ACCESS_KEY_ID: 'A' })).rejects.toMatchObject({ kind: 'configuration' });
    await expect(store({}, {}, FULL)).rejects.toMatchObject({
      message: expect.stringContaining('KEY_ID, which is not set'),
    });
  });

  it.each<[StoreFlagValues, NodeJS.ProcessEnv]>([
    [{ endpoint: 'ftp://x' }, {}],
    [{ endpoint: 'https://me:hunter2@x' }, {}],
    [{ 'storage-class': 'a b' }, {}],
    [{ tag: ['no-value'] }, {}],
    [{ tag: ['a=1', 'a=2'] }, {}],
    [{ tag: ['a=<>'] }, {}],
    [{ tag: Array.from({ length: 11 }, (_, index) => `t${index}=1`) }, {}],
    [{ 'sse-key-id': 'k' }, {}],
    [{}, { BACKUP_S3_CHECKSUMS: 'maybe' }],
    [{}, { BACKUP_S3_PATH_STYLE: 'perhaps' }],
    [{}, { BACKUP_S3_SSE: 'rot13' }],
    [{}, { BACKUP_S3_TAGS: 'a' }],
  ])('cannot have %j %j', async (flags, environment) => {
    const refused = store({ to: 's3://bucket', ...flags }, environment);
    await expect(refused).rejects.toMatchObject({ kind: 'configuration' });
    await expect(refused).rejects.toThrow(/^(?!.*hunter2)/);
  });

  it.each([
    'region: {}',
    'tags: { a: "<" }',
    'retention: { within: 5m }',
    'retention: { last: -1 }',
    'encryption_key: hunter2',
  ])('cannot have %s in forge.yaml', async (line) => {
    const refused = settings({}, `cluster: orders\nbackup: { ${line} }\n`);
    await expect(refused).rejects.toMatchObject({ kind: 'configuration' });
    await expect(refused).rejects.toThrow(/^(?!.*hunter2)/s);
  });
});

describe('the folder of a cluster', () => {
  it('is what it is called, or what it is told to be', async () => {
    const file = 'cluster: orders\nbackup: { directory: d }\n';
    expect(backupCluster({}, await settings())).toBeUndefined();
    expect(() => requireBackupCluster({}, { environment: {}, named: false })).toThrow('what the cluster is called');
    expect(backupCluster({}, await settings({}, file))).toBe('orders');
    expect(backupCluster({}, await settings({ BACKUP_CLUSTER: 'a' }))).toBe('a');
    expect(backupCluster({}, await settings({ BACKUP_CLUSTER: 'a' }, undefined, 'orders'))).toBe('orders');
    expect(backupCluster({}, await settings({}, undefined, 'local'))).toBe('local');
    expect(requireBackupCluster({ cluster: 'b' }, await settings({ BACKUP_CLUSTER: 'a' }))).toBe('b');
    expect(() => backupCluster({ cluster: '../x' }, { environment: {}, named: false })).toThrow('folder');
  });
});

describe('forge config', () => {
  it('shows where all of it comes from, and no secret', async () => {
    await writeFile(path.join(directory, 'secret'), 'hunter2', { mode: 0o600 });
    const environment = {
      KEY_ID: 'hunter3',
      BACKUP_ENCRYPTION_KEY_COMMAND: 'pass show key',
      BACKUP_RETENTION_DAYS: '9',
    };
    const lines = settingLines({}, await settings(environment, FULL), environment)
      .filter(({ setting }) => setting.startsWith('backup.'))
      .map(({ setting, value, from }) => `${setting} | ${value} | ${from}`);
    expect(lines).toEqual([
      'backup.bucket | s3://of-file/prefix | forge.yaml',
      'backup.endpoint | https://s3.internal | forge.yaml',
      'backup.region | eu-1 | forge.yaml',
      'backup.checksums | supported | forge.yaml',
      `backup.ca | ${path.join(directory, 'store-ca.crt')} | forge.yaml`,
      'backup.storage_class | STANDARD_IA | forge.yaml',
      'backup.server_side_encryption | aws:kms | forge.yaml',
      'backup.kms_key_id | alias/backups | forge.yaml',
      'backup.tags | team=data | forge.yaml',
      'backup.access_key_id | in KEY_ID, set | forge.yaml',
      `backup.secret_access_key | in ${path.join(directory, 'secret')} | forge.yaml`,
      'backup.retention_days | 9 | BACKUP_RETENTION_DAYS',
      'backup.retention.last | 3 | forge.yaml',
      'backup.retention.floor | 2 | forge.yaml',
      'backup.retention.within | 720h | forge.yaml',
      'backup.encryption_key | printed by pass | BACKUP_ENCRYPTION_KEY_COMMAND',
    ]);
    const other = { BACKUP_S3_BUCKET: 'b-1', AWS_ACCESS_KEY_ID: 'hunter4', AWS_SECRET_ACCESS_KEY: 'hunter5' };
    await rm(path.join(directory, 'forge.yaml'));
    const shown = settingLines({}, await settings(other), other).filter(({ setting }) => setting.startsWith('backup.'));
    expect(shown.map(({ setting, value, from }) => `${setting} | ${value} | ${from}`)).toEqual([
      'backup.bucket | s3://b-1 | BACKUP_S3_BUCKET',
      'backup.access_key_id | set | AWS_ACCESS_KEY_ID',
      'backup.secret_access_key | set | AWS_SECRET_ACCESS_KEY',
    ]);
  });

  it('finds what is missing, open or wrong', async () => {
    await writeFile(path.join(directory, 'secret'), 's', { mode: 0o644 });
    await writeFile(path.join(directory, 'key'), 'short');
    const file = `${FULL}  encryption_key: { filename: key }\n`;
    const found = await findBackupFaults(await settings({}, file));
    expect(found.map(({ level, about }) => `${level} ${about}`)).toEqual([
      'fault backup.access_key_id',
      'warning backup.secret_access_key',
      'warning backup.encryption_key',
      'fault backup.encryption_key',
    ]);
    expect(await findBackupFaults(await settings({}, 'cluster: orders\n'))).toEqual([]);
    const wrong = await findBackupFaults(await settings({ BACKUP_S3_BUCKET: '/no/bucket' }));
    expect(wrong).toMatchObject([{ level: 'fault', about: 'backup' }]);
  });
});
