/** How the place of backups is written: a directory, or a bucket and a prefix; and what a store takes beside. Pure. */
import { ForgeError } from '../errors.js';

/** Variables that say where backups are, how they are kept, and with which key. */
export const BACKUP_VARIABLES = [
  'BACKUP_S3_BUCKET',
  'BACKUP_DIRECTORY',
  'BACKUP_DIR',
  'BACKUP_CLUSTER',
  'BACKUP_S3_ENDPOINT',
  'AWS_ENDPOINT_URL_S3',
  'AWS_ENDPOINT_URL',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'BACKUP_S3_PATH_STYLE',
  'BACKUP_S3_CHECKSUMS',
  'BACKUP_S3_STORAGE_CLASS',
  'BACKUP_S3_SSE',
  'BACKUP_S3_SSE_KEY_ID',
  'BACKUP_S3_TAGS',
  'AWS_CA_BUNDLE',
  'AWS_PROFILE',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'BACKUP_RETENTION_DAYS',
  'BACKUP_ENCRYPTION_KEY_FILE',
  'BACKUP_ENCRYPTION_KEY_COMMAND',
] as const;

export const CHECKSUMS = ['required', 'supported'] as const;
/** Of objects on the store's side. */
export const SERVER_SIDE_ENCRYPTIONS = ['AES256', 'aws:kms'] as const;
/** `STANDARD_IA`, `GLACIER_IR`; other stores have words of their own. */
export const STORAGE_CLASS = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
export const ENDPOINT = /^https?:\/\/[^\s@?#]+$/;
export const ENDPOINT_WORDS = 'https://host, without user and password';
/** Names of buckets; those of old stores have capitals, dots and underscores. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/;
/** A key has 1,024 bytes at most, and the names of a backup need their part. */
const PREFIX_BYTES_MAX = 768;
const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
/** S3's own bound. */
export const TAGS_MAX = 10;
const TAG_NAME_MAX = 128;
const TAG_VALUE_MAX = 256;
const TAG_TEXT = /^[\p{L}\p{N}\p{Z}_.:/=+\-@]*$/u;
export const TAG_WORDS = `up to ${TAGS_MAX} names of ${TAG_NAME_MAX} characters with values of ${TAG_VALUE_MAX}: letters, digits, blanks and _.:/=+-@`;

export type Place =
  | { readonly kind: 'directory'; readonly directory: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

/**
 * Reads what `--to`, BACKUP_S3_BUCKET or forge.yaml say.
 * @param from where the text is from, for messages
 * @param bare whether a text without `s3://` is a bucket, too: BACKUP_S3_BUCKET
 * @throws ForgeError `configuration` for what is neither a directory nor a bucket; a password in it is not repeated
 */
export function parsePlace(text: string, from: string, { bare = false } = {}): Place {
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined && !bare) {
    if (text === '' || text.includes('\0')) throw wrong(from, 'this is no directory');
    return { kind: 'directory', directory: text };
  }
  if (scheme !== undefined && scheme !== 's3') throw wrong(from, `${scheme}:// is no store that forge knows`);
  const [bucket = '', ...rest] = text.replace(SCHEME, '').split('/');
  if (!BUCKET.test(bucket)) throw wrong(from, 'this is no name of a bucket');
  const prefix = rest.filter((part) => part !== '').join('/');
  if (rest.some((part) => part === '.' || part === '..') || /[\p{Cc}\\]/u.test(prefix)) {
    throw wrong(from, 'its prefix has parts that a store may not take: ".", "..", control characters or backslashes');
  }
  if (Buffer.byteLength(prefix) > PREFIX_BYTES_MAX)
    throw wrong(from, `its prefix has more than ${PREFIX_BYTES_MAX} bytes`);
  return { kind: 's3', bucket, prefix };
}

const wrong = (from: string, why: string) =>
  new ForgeError('configuration', `The place of the backups (${from}) cannot be used: ${why}.`, {
    next: 'Give a directory, or s3://bucket/prefix.',
  });

/** Whether a store takes these as an object's tags. */
export function areTags(tags: Readonly<Record<string, string>>): boolean {
  const all = Object.entries(tags);
  return all.length <= TAGS_MAX && all.every(([key, value]) => isTag(key, value));
}

function isTag(key: string, value: string): boolean {
  const short = key.length >= 1 && key.length <= TAG_NAME_MAX && value.length <= TAG_VALUE_MAX;
  return short && TAG_TEXT.test(key) && TAG_TEXT.test(value);
}

/**
 * `team=data` and so on, each as a name and its value.
 * @throws ForgeError `configuration` for what is none, or what S3 does not take
 */
export function parseTags(texts: readonly string[], from: string): Readonly<Record<string, string>> {
  const tags = Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      return [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
    }),
  );
  if (areTags(tags) && Object.keys(tags).length === texts.length) return tags;
  throw new ForgeError('configuration', `The tags (${from}) cannot be used.`, {
    next: `Write NAME=VALUE: ${TAG_WORDS}.`,
  });
}
