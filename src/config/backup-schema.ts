/** What forge.yaml says of backups: where they go, how long they stay, what they are encrypted with. Pure. */
import * as z from 'zod/mini';
import { name as anyName, exactlyOne, oneOf, whole } from '../proxy/config/values.js';
import {
  areTags,
  CHECKSUMS,
  ENDPOINT,
  ENDPOINT_WORDS,
  SERVER_SIDE_ENCRYPTIONS,
  STORAGE_CLASS,
  TAG_WORDS,
} from './backup-place.js';
import { file, secretPlace } from './schema-values.js';

const RETENTION_DAYS_MAX = 36_500;
const RETENTION_COUNT_MAX = 100_000;
const HOUR_MS = 3_600_000;
const COMMAND_WORDS_MAX = 100;

const count = whole(0, RETENTION_COUNT_MAX);

const AGE = /^([1-9]\d{0,5})(h|d)$/;

/** `48h`, `30d` → milliseconds. */
const age = z.pipe(
  z.string({ error: 'hours or days such as 48h or 30d' }).check(z.regex(AGE, 'hours or days such as 48h or 30d')),
  z.transform((text: string): number => {
    const [, number, unit] = AGE.exec(text) ?? [];
    return Number(number) * (unit === 'd' ? 24 * HOUR_MS : HOUR_MS);
  }),
);

const retention = z.strictObject({
  last: z.optional(count),
  hourly: z.optional(count),
  daily: z.optional(count),
  weekly: z.optional(count),
  monthly: z.optional(count),
  /** All that are younger; milliseconds once read. */
  within: z.optional(age),
  floor: z.optional(whole(1, RETENTION_COUNT_MAX)),
});

const KEY_WORDS = 'its place: { filename: FILE }, { environment: NAME } or { command: [WORD, WORD] }';

/** Where the key is; a command prints it. */
const keyPlace = z
  .strictObject(
    {
      environment: z.optional(anyName),
      filename: z.optional(file),
      /** Its words, run without a shell. */
      command: z.optional(z.array(z.string()).check(z.minLength(1), z.maxLength(COMMAND_WORDS_MAX))),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? KEY_WORDS : undefined) },
  )
  .check(exactlyOne('filename, environment, command'));

export const backup = z.optional(
  z.strictObject({
    /** `s3://bucket/prefix`. */
    bucket: z.optional(
      z.string().check(z.regex(/^s3:\/\/[A-Za-z0-9][A-Za-z0-9._-]{1,62}(?:\/.*)?$/, 's3://bucket/prefix')),
    ),
    endpoint: z.optional(z.string().check(z.regex(ENDPOINT, ENDPOINT_WORDS))),
    region: z.optional(anyName),
    path_style: z.optional(z.boolean()),
    checksums: z.optional(oneOf(CHECKSUMS)),
    storage_class: z.optional(z.string().check(z.regex(STORAGE_CLASS, 'a storage class such as STANDARD_IA'))),
    server_side_encryption: z.optional(oneOf(SERVER_SIDE_ENCRYPTIONS)),
    kms_key_id: z.optional(anyName),
    tags: z.optional(z.record(z.string(), z.string()).check(z.refine(areTags, TAG_WORDS))),
    /** Of the store's certificate: a file. */
    ca: z.optional(file),
    profile: z.optional(anyName),
    access_key_id: z.optional(secretPlace),
    secret_access_key: z.optional(secretPlace),
    session_token: z.optional(secretPlace),
    directory: z.optional(file),
    /** The folder of this cluster's backups; else the cluster's name. */
    cluster: z.optional(
      z
        .string()
        .check(z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'up to 63 letters, digits, dots, dashes and underscores')),
    ),
    retention_days: z.optional(whole(1, RETENTION_DAYS_MAX)),
    retention: z.optional(retention),
    encryption_key: z.optional(keyPlace),
  }),
);

export type BackupSection = NonNullable<z.infer<typeof backup>>;
export type KeyPlace = z.infer<typeof keyPlace>;
