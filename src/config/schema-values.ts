/** The kinds of value that forge.yaml has beside those of the proxy's configuration. Pure. */
import * as z from 'zod/mini';
import { name as anyName, exactlyOne } from '../proxy/config/values.js';

const NO_SECRET = 'a secret is never written here; name its place: { environment: NAME } or { filename: FILE }';

/** Where a secret is. A value in its place is told apart, so that nobody wonders; it is not repeated. */
export const secretPlace = z
  .strictObject(
    { environment: z.optional(anyName), filename: z.optional(anyName) },
    { error: (issue) => (issue.code === 'invalid_type' ? NO_SECRET : undefined) },
  )
  .check(exactlyOne('environment, filename'));

export type SecretPlace = z.infer<typeof secretPlace>;

export const file = z.string({ error: 'the name of a file' }).check(z.minLength(1));

const MEMORY = 'an amount of memory such as 512mb or 4gb';
const UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
/** Docker refuses less. */
const MEMORY_BYTES_MIN = 6 * 2 ** 20;

/** `4gb`, `4g`, `512mb` → bytes, by powers of 1,024 as Docker has it for its limits. */
export const memory = z.pipe(
  z.string({ error: MEMORY }),
  z.transform((text: string, context): number => {
    const match = /^(\d{1,12}(?:\.\d{1,3})?)([kmgt])(?:i?b)?$/.exec(text.trim().toLowerCase());
    const bytes = match === null ? 0 : Math.round(Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0));
    if (bytes >= MEMORY_BYTES_MIN && Number.isSafeInteger(bytes)) return bytes;
    context.issues.push({ code: 'custom', message: match === null ? MEMORY : 'at least 6mb', input: text });
    return z.NEVER;
  }),
);

/** Names that Docker takes for networks, and that forge gives to hosts. */
export const dockerName = z
  .string({ error: 'a name' })
  .check(z.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'up to 63 letters, digits, dots, dashes and underscores'));

/** An image with its tag or digest. */
export const image = z
  .string({ error: 'an image such as redisforge/redis:8.0' })
  .check(
    z.maxLength(255),
    z.regex(
      /^[a-z0-9][a-z0-9._-]*(?::\d{1,5})?(?:\/[a-z0-9][a-z0-9._-]*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/,
      'an image such as redisforge/redis:8.0',
    ),
  );
