/** What forge.yaml says of the logs that are rotated. Pure. */
import * as z from 'zod/mini';
import { whole } from '../proxy/config/values.js';
import { parseDuration } from './duration.js';

const FOLDERS_MAX = 100;
const PATTERNS_MAX = 100;
const HOSTS_MAX = 1_000;
const SIZE_MAX_MB = 1024 * 1024;
/** As `rotate-logs` has it. */
export const LOG_COUNT_MAX = 999;
export const LOG_AGE_BOUNDS = { minMs: 60_000, maxMs: 3_650 * 24 * 3_600_000 };
const AGE_WORDS = 'an age from 1m to 3650d, such as 24h or 7d';
const SIZE_WORDS = `MiB, above 0 and up to ${SIZE_MAX_MB}`;

const age = z.pipe(
  z.string({ error: AGE_WORDS }),
  z.transform((text: string, context): number => {
    try {
      return parseDuration(text, LOG_AGE_BOUNDS);
    } catch {
      context.issues.push({ code: 'custom', message: AGE_WORDS, input: text });
      return z.NEVER;
    }
  }),
);

/** A name, never a path. */
const pattern = z.string().check(z.regex(/^[^/\0]{1,255}$/, 'a name of a log, with * and ?'));

const folder = z.strictObject({
  /** On each host that it is rotated on. */
  directory: z.string().check(z.regex(/^\/[^\0\n]{0,4095}$/, 'an absolute folder')),
  size_mb: z.number({ error: SIZE_WORDS }).check(z.gt(0, SIZE_WORDS), z.lte(SIZE_MAX_MB, SIZE_WORDS)),
  count: whole(1, LOG_COUNT_MAX),
  /** Milliseconds once read. */
  age: z.optional(age),
  patterns: z._default(z.array(pattern).check(z.minLength(1), z.maxLength(PATTERNS_MAX)), ['*.log']),
  /** Names of `hosts`, or addresses of nodes; every host of the cluster when not given. */
  hosts: z.optional(z.array(z.string()).check(z.minLength(1), z.maxLength(HOSTS_MAX))),
});

export type LogFolderSettings = z.infer<typeof folder>;

export const logs = z.optional(z.array(folder).check(z.minLength(1), z.maxLength(FOLDERS_MAX)));
