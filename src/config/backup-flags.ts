/** Flags that all commands of backups share. */
import { Flags } from '@oclif/core';
import { ForgeError } from '../errors.js';
import { CHECKSUMS, SERVER_SIDE_ENCRYPTIONS } from './backup-place.js';
import type { Settings } from './resolve.js';

/** How a store is reached. */
const storeFlags = {
  cluster: Flags.string({
    description: 'Folder of the cluster’s backups (BACKUP_CLUSTER); as a rule the name of the cluster.',
    helpValue: 'NAME',
  }),
  endpoint: Flags.string({
    description: 'Address of a store that is not Amazon’s (BACKUP_S3_ENDPOINT).',
    helpValue: 'URL',
  }),
  region: Flags.string({ description: 'Region of the bucket (AWS_REGION).', helpValue: 'NAME' }),
  'path-style': Flags.boolean({
    description: 'The bucket in the path, not in the host name; as a rule so with --endpoint (BACKUP_S3_PATH_STYLE).',
    allowNo: true,
  }),
  's3-ca': Flags.string({ description: 'Authority of the store’s certificate (AWS_CA_BUNDLE).', helpValue: 'FILE' }),
  checksums: Flags.option({
    options: CHECKSUMS,
    description: 'Checksums of uploads: where S3 asks for one, which old stores accept, or with every part.',
  })(),
};

/** `--to` and all that says how a backup is put there. */
export const toFlags = {
  to: Flags.string({
    description: 'Directory or s3://bucket/prefix that backups go to (BACKUP_S3_BUCKET, BACKUP_DIRECTORY).',
    helpValue: 'PLACE',
  }),
  ...storeFlags,
  'storage-class': Flags.string({
    description: 'Storage class of new objects, such as STANDARD_IA (BACKUP_S3_STORAGE_CLASS).',
    helpValue: 'NAME',
  }),
  sse: Flags.option({
    options: SERVER_SIDE_ENCRYPTIONS,
    description: 'Encryption on the side of the store (BACKUP_S3_SSE).',
  })(),
  'sse-key-id': Flags.string({ description: 'Key of KMS for --sse aws:kms (BACKUP_S3_SSE_KEY_ID).', helpValue: 'ID' }),
  tag: Flags.string({
    description: 'A tag of new objects (BACKUP_S3_TAGS). May be repeated.',
    helpValue: 'NAME=VALUE',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

/** `--from` and all that says how a backup is read there. */
export const fromFlags = {
  from: Flags.string({
    description: 'Directory or s3://bucket/prefix that backups are in (BACKUP_S3_BUCKET, BACKUP_DIRECTORY).',
    helpValue: 'PLACE',
  }),
  ...storeFlags,
};

/** What backups are encrypted with on this side. */
export const encryptionFlags = {
  'encryption-key-file': Flags.string({
    description: 'File with the key of encrypted backups (BACKUP_ENCRYPTION_KEY_FILE).',
    helpValue: 'FILE',
    exclusive: ['encryption-key-command'],
  }),
  'encryption-key-command': Flags.string({
    description: 'Command that prints the key; run without a shell (BACKUP_ENCRYPTION_KEY_COMMAND).',
    helpValue: 'COMMAND',
  }),
};

export interface StoreFlagValues {
  readonly to?: string;
  readonly from?: string;
  readonly cluster?: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly 'path-style'?: boolean;
  readonly 's3-ca'?: string;
  readonly checksums?: (typeof CHECKSUMS)[number];
  readonly 'storage-class'?: string;
  readonly sse?: (typeof SERVER_SIDE_ENCRYPTIONS)[number];
  readonly 'sse-key-id'?: string;
  readonly tag?: readonly string[];
}

export interface EncryptionFlagValues {
  readonly 'encryption-key-file'?: string;
  readonly 'encryption-key-command'?: string;
}

/** As layout.ts has it: what becomes a folder. */
const CLUSTER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/**
 * The folder of the cluster's backups: `--cluster`, BACKUP_CLUSTER, `backup.cluster` of forge.yaml, the name of the
 * cluster there, or that of a local one. Undefined where nothing has a name: then all clusters of a store are meant, or
 * a name must be asked for.
 * @throws ForgeError `configuration` for what cannot be a folder
 */
export function backupCluster(flags: Pick<StoreFlagValues, 'cluster'>, settings: Settings): string | undefined {
  const { cluster, environment, named, unknownName } = settings;
  const variable = environment['BACKUP_CLUSTER'];
  const own = cluster?.backup?.cluster ?? cluster?.name;
  const name = flags.cluster ?? (named ? (own ?? variable) : (variable ?? own)) ?? unknownName;
  if (name === undefined || CLUSTER.test(name)) return name;
  throw new ForgeError('configuration', `${JSON.stringify(name)} cannot be the folder of a cluster's backups.`, {
    next: 'Take up to 63 letters, digits, dots, dashes and underscores, a letter or digit first.',
  });
}

/**
 * As `backupCluster`, for what writes: two clusters in one folder would be taken for one.
 * @throws ForgeError `configuration` where nothing has a name
 */
export function requireBackupCluster(flags: Pick<StoreFlagValues, 'cluster'>, settings: Settings): string {
  const name = backupCluster(flags, settings);
  if (name !== undefined) return name;
  throw new ForgeError('configuration', 'Nothing says what the cluster is called, so its backups have no folder.', {
    next: 'Give --cluster NAME, or set BACKUP_CLUSTER, or name the cluster in forge.yaml.',
  });
}
