/** Where backups go and come from: flags, environment, `.env` and forge.yaml as one. */
import path from 'node:path';
import { ForgeError } from '../errors.js';
import type { StoreFlagValues } from './backup-flags.js';
import {
  CHECKSUMS,
  ENDPOINT,
  ENDPOINT_WORDS,
  type Place,
  parsePlace,
  parseTags,
  SERVER_SIDE_ENCRYPTIONS,
  STORAGE_CLASS,
} from './backup-place.js';
import { readPasswordFile } from './credentials.js';
import { folderOf, type Settings } from './resolve.js';
import type { SecretPlace } from './schema-values.js';

export { backupSecret } from './backup-secret.js';

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
  /** Without it, that of the profile; `us-east-1` where an endpoint is named. */
  readonly region?: string;
  /** The bucket in the path, not in the host's name. */
  readonly pathStyle: boolean;
  /** `required`: only where S3 asks for one, which old stores accept. */
  readonly checksums: 'required' | 'supported';
  readonly storageClass?: string;
  readonly encryption?: { readonly kind: 'AES256' | 'aws:kms'; readonly keyId?: string };
  readonly tags?: Readonly<Record<string, string>>;
  /** Without them, as the AWS tools find theirs: profile, container, instance. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** Of the AWS tools' files. */
  readonly profile?: string;
  /** Of the store's certificate. */
  readonly caFile?: string;
}

/** A value, and where it is from: `--region`, `AWS_REGION`, `forge.yaml`, `default`. */
export interface Chosen<Value> {
  readonly value: Value;
  readonly from: string;
}

const FORGE_FILE = 'forge.yaml';
/** What most stores that are not Amazon's call theirs, or do not look at. */
const REGION_DEFAULT = 'us-east-1';

interface Candidates<Value> {
  readonly flag?: Value;
  readonly flagName?: string;
  readonly variables: readonly string[];
  readonly own?: Value;
  readonly read: (text: string, from: string) => Value;
}

/** By flag, environment, `.env`, forge.yaml; where the cluster was named, forge.yaml before the environment. */
function choose<Value>({ environment, named }: Settings, candidates: Candidates<Value>): Chosen<Value> | undefined {
  const { flag, flagName = '', variables, own, read } = candidates;
  if (flag !== undefined) return { value: flag, from: flagName };
  const ours = own === undefined ? undefined : { value: own, from: FORGE_FILE };
  if (named && ours !== undefined) return ours;
  const variable = variables.find((name) => environment[name]);
  if (variable === undefined) return ours;
  return { value: read(environment[variable] ?? '', variable), from: variable };
}

const text = (value: string) => value.trim();

function wrong(from: string, message: string): ForgeError {
  return new ForgeError('configuration', `${from}: ${message}.`, {
    next: 'Correct it; docs/backup-store.md has all settings.',
  });
}

function word<const Word extends string>(words: readonly Word[]) {
  return (value: string, from: string): Word => {
    const found = words.find((each) => each.toLowerCase() === value.trim().toLowerCase());
    if (found === undefined) throw wrong(from, `one of ${words.join(', ')}`);
    return found;
  };
}

function matching(pattern: RegExp, words: string) {
  return (value: string, from: string): string => {
    if (!pattern.test(value.trim())) throw wrong(from, words);
    return value.trim();
  };
}

function yesOrNo(value: string, from: string): boolean {
  if (/^(1|true|yes|on)$/i.test(value.trim())) return true;
  if (/^(0|false|no|off)$/i.test(value.trim())) return false;
  throw wrong(from, 'yes or no');
}

const endpointOf = matching(ENDPOINT, ENDPOINT_WORDS);
const storageClassOf = matching(STORAGE_CLASS, 'a storage class such as STANDARD_IA');

/** The place that is meant; undefined where nothing says it. Pure. @throws ForgeError `configuration` */
export function choosePlace(flags: StoreFlagValues, settings: Settings): Chosen<Place> | undefined {
  const { bucket, directory } = settings.cluster?.backup ?? {};
  const flagName = flags.to === undefined ? '--from' : '--to';
  const flag = flags.to ?? flags.from;
  if (flag !== undefined) return { value: absolute(parsePlace(flag, flagName), ''), from: flagName };
  const folder = folderOf(settings);
  const inFile = bucket ?? directory;
  return choose<Place>(settings, {
    variables: ['BACKUP_S3_BUCKET', 'BACKUP_DIRECTORY', 'BACKUP_DIR'],
    own: inFile === undefined ? undefined : absolute(parsePlace(inFile, FORGE_FILE), folder),
    read: (value, from) => absolute(parsePlace(text(value), from, { bare: from === 'BACKUP_S3_BUCKET' }), ''),
  });
}

function absolute(place: Place, folder: string): Place {
  if (place.kind === 's3') return place;
  return { kind: 'directory', directory: path.resolve(folder, place.directory) };
}

/** Settings of an S3 store that are no secrets, each with where it is from. Pure. @throws ForgeError `configuration` */
export function chooseS3(flags: StoreFlagValues, settings: Settings) {
  const own = settings.cluster?.backup ?? {};
  const folder = folderOf(settings);
  const inFolder = (file: string | undefined) => (file === undefined ? undefined : path.resolve(folder, file));
  const pick = <Value>(candidates: Candidates<Value>) => choose(settings, candidates);
  return {
    endpoint: pick({
      flag: flags.endpoint === undefined ? undefined : endpointOf(flags.endpoint, '--endpoint'),
      flagName: '--endpoint',
      variables: ['BACKUP_S3_ENDPOINT', 'AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
      own: own.endpoint,
      read: endpointOf,
    }),
    region: pick({
      flag: flags.region,
      flagName: '--region',
      variables: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
      own: own.region,
      read: text,
    }),
    pathStyle: pick({
      flag: flags['path-style'],
      flagName: '--path-style',
      variables: ['BACKUP_S3_PATH_STYLE'],
      own: own.path_style,
      read: yesOrNo,
    }),
    checksums: pick({
      flag: flags.checksums,
      flagName: '--checksums',
      variables: ['BACKUP_S3_CHECKSUMS'],
      own: own.checksums,
      read: word(CHECKSUMS),
    }),
    storageClass: pick({
      flag:
        flags['storage-class'] === undefined ? undefined : storageClassOf(flags['storage-class'], '--storage-class'),
      flagName: '--storage-class',
      variables: ['BACKUP_S3_STORAGE_CLASS'],
      own: own.storage_class,
      read: storageClassOf,
    }),
    sse: pick({
      flag: flags.sse,
      flagName: '--sse',
      variables: ['BACKUP_S3_SSE'],
      own: own.server_side_encryption,
      read: word(SERVER_SIDE_ENCRYPTIONS),
    }),
    sseKeyId: pick({
      flag: flags['sse-key-id'],
      flagName: '--sse-key-id',
      variables: ['BACKUP_S3_SSE_KEY_ID'],
      own: own.kms_key_id,
      read: text,
    }),
    tags: pick({
      flag: flags.tag === undefined ? undefined : parseTags(flags.tag, '--tag'),
      flagName: '--tag',
      variables: ['BACKUP_S3_TAGS'],
      own: own.tags,
      read: (value, from) => parseTags(value.split(',').map(text), from),
    }),
    caFile: pick({
      flag: flags['s3-ca'] === undefined ? undefined : path.resolve(flags['s3-ca']),
      flagName: '--s3-ca',
      variables: ['AWS_CA_BUNDLE'],
      own: inFolder(own.ca),
      read: (value) => path.resolve(value),
    }),
    profile: pick({ variables: ['AWS_PROFILE'], own: own.profile, read: text }),
  };
}

/**
 * The store: what the flags name, else BACKUP_S3_BUCKET or BACKUP_DIRECTORY, else what forge.yaml says.
 * @param flags those of the command line, or the place of `--to` or `--from` alone
 * @throws ForgeError `configuration` where there is none, or it cannot be used
 */
export async function storeSettings(
  flags: StoreFlagValues | string | undefined,
  settings: Settings,
): Promise<StoreSettings> {
  const values: StoreFlagValues = typeof flags === 'string' ? { to: flags } : (flags ?? {});
  const place = choosePlace(values, settings)?.value;
  if (place === undefined) {
    throw new ForgeError('configuration', 'Nothing says where backups are.', {
      next: 'Give --to (or --from) a directory or s3://bucket/prefix, or set BACKUP_S3_BUCKET, or backup in forge.yaml.',
    });
  }
  if (place.kind === 'directory') return place;
  const { endpoint, region, pathStyle, checksums, storageClass, sse, sseKeyId, tags, caFile, profile } = chooseS3(
    values,
    settings,
  );
  if (sseKeyId !== undefined && sse?.value !== 'aws:kms') {
    throw wrong(sseKeyId.from, 'a key of KMS is of use with the server-side encryption aws:kms only');
  }
  const credentials = await readStoreCredentials(settings);
  // Stores beside Amazon's rarely have a host name per bucket; and no certificate covers a bucket's name with dots.
  const path = endpoint !== undefined || (pathStyle === undefined && place.bucket.includes('.'));
  const regionName = region?.value ?? (endpoint === undefined ? undefined : REGION_DEFAULT);
  return {
    ...place,
    pathStyle: pathStyle?.value ?? path,
    checksums: checksums?.value ?? 'required',
    ...(endpoint && { endpoint: endpoint.value.replace(/\/+$/, '') }),
    ...(regionName === undefined ? {} : { region: regionName }),
    ...(storageClass && { storageClass: storageClass.value }),
    ...(sse && { encryption: { kind: sse.value, ...(sseKeyId && { keyId: sseKeyId.value }) } }),
    ...(tags && { tags: tags.value }),
    ...(caFile && { caFile: caFile.value }),
    ...(profile && { profile: profile.value }),
    ...(credentials && { credentials }),
  };
}

/** Where a part of the store's credentials is: a variable that has it, or a place of forge.yaml. */
export interface KeyChoice {
  readonly name: 'access_key_id' | 'secret_access_key' | 'session_token';
  readonly variable?: string;
  readonly place: SecretPlace;
}

/** Key and secret of one place: those of forge.yaml, or the environment's; never a mixture. Pure. */
export function chooseKeys({ environment, cluster, named }: Settings): KeyChoice[] {
  const own = cluster?.backup ?? {};
  const variables = [
    ['access_key_id', 'AWS_ACCESS_KEY_ID'],
    ['secret_access_key', 'AWS_SECRET_ACCESS_KEY'],
    ['session_token', 'AWS_SESSION_TOKEN'],
  ] as const;
  const inFile = own.access_key_id !== undefined || own.secret_access_key !== undefined;
  const given = Boolean(environment['AWS_ACCESS_KEY_ID'] && environment['AWS_SECRET_ACCESS_KEY']);
  return variables.flatMap(([name, variable]): KeyChoice[] => {
    const place = own[name];
    if (inFile && (named || !given)) return place === undefined ? [] : [{ name, place }];
    return environment[variable] ? [{ name, variable, place: { environment: variable } }] : [];
  });
}

/** @throws ForgeError `configuration` for a half of them */
async function readStoreCredentials(settings: Settings): Promise<S3Settings['credentials']> {
  const choices = chooseKeys(settings);
  if (choices.length === 0) return undefined;
  const values: Partial<Record<KeyChoice['name'], string>> = {};
  for (const { name, place } of choices) values[name] = await readAt(place, name, settings);
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, session_token: sessionToken } = values;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new ForgeError('configuration', 'The access key of the store and its secret are only of use together.', {
      next: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or both in backup of forge.yaml, or neither.',
    });
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

async function readAt(place: SecretPlace, name: string, settings: Settings): Promise<string> {
  if (place.filename !== undefined)
    return (await readPasswordFile(path.resolve(folderOf(settings), place.filename))).trim();
  const value = settings.environment[place.environment ?? ''];
  if (value) return value.trim();
  throw new ForgeError('configuration', `forge.yaml has backup.${name} in ${place.environment}, which is not set.`, {
    next: `Set ${place.environment}, in the environment or in .env.`,
  });
}
