/** Where backups go and come from, and with which key: flags, environment, `.env` and forge.yaml as one. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { folderOf, type Settings } from './resolve.js';

/** What is needed to reach a store. Secrets are in it: never printed. */
export type StoreSettings = DirectorySettings | S3Settings;

export interface DirectorySettings {
  readonly kind: 'directory';
  /** Absolute. */
  readonly directory: string;
}

export interface S3Settings {
  readonly kind: 's3';
  readonly bucket: string;
  /** Without slashes at its ends; empty for none. */
  readonly prefix: string;
  /** Without it, Amazon's own. */
  readonly endpoint?: string;
  readonly region: string;
  /** The bucket in the path, not in the host's name. */
  readonly pathStyle: boolean;
  /** `required`: only where S3 asks for one, which old stores accept. */
  readonly checksums: 'required' | 'supported';
  readonly storageClass?: string;
  readonly encryption?: { readonly kind: 'AES256' | 'aws:kms'; readonly keyId?: string };
  readonly tags?: Readonly<Record<string, string>>;
  /** Without them, as the AWS tools find theirs: environment, profile, instance. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** Of the store's certificate. */
  readonly caFile?: string;
}

/** As `backup` asks for. */
const SECRET_BYTES_MIN = 32;
const SECRET_BYTES_MAX = 64 * 1024;

/**
 * The store: what the flag names, else BACKUP_S3_BUCKET or BACKUP_DIRECTORY, else what forge.yaml says.
 * @param place of `--to` or `--from`: a directory, or s3://bucket/prefix
 * @throws ForgeError `configuration` where there is none, or it cannot be used
 */
export async function storeSettings(place: string | undefined, settings: Settings): Promise<StoreSettings> {
  const { environment, cluster } = settings;
  const named = place ?? environment['BACKUP_S3_BUCKET'] ?? environment['BACKUP_DIRECTORY'];
  const configured = cluster?.backup?.bucket ?? cluster?.backup?.directory;
  const chosen = named ?? (configured?.startsWith('s3://') ? configured : undefined);
  if (chosen === undefined && configured === undefined) {
    throw new ForgeError('configuration', 'Nothing says where backups are.', {
      next: 'Give --to (or --from) a directory or s3://bucket/prefix, or set BACKUP_S3_BUCKET, or backup in forge.yaml.',
    });
  }
  if (chosen?.startsWith('s3://')) throw new ForgeError('missing', 'Stores of the S3 kind are not built in.');
  if (chosen !== undefined) return { kind: 'directory', directory: path.resolve(chosen) };
  return { kind: 'directory', directory: path.resolve(folderOf(settings), configured ?? '') };
}

/**
 * What backups are encrypted with; undefined for none.
 * @param file `--encryption-key-file`, else BACKUP_ENCRYPTION_KEY_FILE
 */
export async function backupSecret(file: string | undefined, settings: Settings): Promise<Buffer | undefined> {
  const chosen = file ?? settings.environment['BACKUP_ENCRYPTION_KEY_FILE'];
  if (chosen === undefined) return undefined;
  const secret = await readFile(chosen).catch((cause) => {
    throw new ForgeError('configuration', `The key file ${chosen} cannot be read.`, { cause });
  });
  if (secret.length < SECRET_BYTES_MIN || secret.length > SECRET_BYTES_MAX) {
    throw new ForgeError(
      'configuration',
      `The key file ${chosen} has ${secret.length} bytes; at least 32 are needed.`,
      {
        next: `Make one: head -c 32 /dev/urandom > ${chosen}`,
      },
    );
  }
  return secret;
}
