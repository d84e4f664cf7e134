/** The kinds of value that settings have: durations, addresses, names, words of a list, secrets. */
import * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';
import { nearest } from './nearest.js';

// zod/mini keeps the executable's resident memory 5 MB below what zod takes; its messages come from the locale.
z.config(en());

/** A setting that need not be given. */
export const withDefault = z._default;

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `250ms`, `1.5s`, `2m`, `1h` → milliseconds. */
export function duration(minMs: number, maxMs: number) {
  const text = z
    .string({ error: 'a duration such as 250ms, 5s or 1m' })
    .check(z.regex(DURATION, 'a duration such as 250ms, 5s or 1m'));
  const milliseconds = z.transform((value: string) => {
    const [, number, unit] = DURATION.exec(value) as unknown as [string, string, string];
    return Math.round(Number(number) * (MS_PER_UNIT[unit] as number));
  });
  return z.pipe(
    z.pipe(text, milliseconds),
    z.number().check(z.refine((ms) => ms >= minMs && ms <= maxMs, `between ${minMs} ms and ${maxMs} ms`)),
  );
}

/** A whole number within bounds, both allowed. */
export function whole(least: number, most: number) {
  return z.int().check(z.minimum(least), z.maximum(most));
}

/** One word of a list. A wrong one is told with the nearest right one, or with all. */
export function oneOf<const Word extends string>(words: readonly Word[]) {
  return z.enum(words as readonly [Word, ...Word[]], { error: ({ input }) => wordHint(input, words) });
}

/** What to say of a word that is not in a list; capital and small letters do not count for nearness. */
function wordHint(input: unknown, words: readonly string[]): string {
  const lower = words.map((word) => word.toLowerCase());
  const guess = typeof input === 'string' ? nearest(input.toLowerCase(), lower) : null;
  return guess === null ? `one of ${words.join(', ')}` : `did you mean '${words[lower.indexOf(guess)]}'?`;
}

const ADDRESS = /^(?:\[([0-9a-fA-F]*:[0-9a-fA-F:.%]*)\]|([^\s:[\]]+)):(\d{1,5})$/;

export interface Address {
  host: string;
  port: number;
}

/** `host:port` or `[ipv6]:port`; null when it is neither. */
export function readAddress(text: string): Address | null {
  const match = ADDRESS.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port > 65535) return null;
  return { host: (match[1] ?? match[2]) as string, port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export const address = z.pipe(
  z.string({ error: 'host:port' }),
  z.transform((text: string, context): Address => {
    const read = readAddress(text);
    if (read !== null) return read;
    context.issues.push({ code: 'custom', message: 'host:port or [ipv6]:port', input: text });
    return z.NEVER;
  }),
);

const NAME_CHARACTERS_MAX = 1024;

/** A name, as it is shown on pages and in statistics. */
export const name = z
  .string()
  .check(
    z.minLength(1),
    z.maxLength(NAME_CHARACTERS_MAX),
    z.regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'a name without control characters'),
  );

/** Where a secret may be. */
export const secretSources = {
  inline: z.optional(z.string()),
  environment: z.optional(name),
  filename: z.optional(name),
};

/** One of several settings is given, and no other. */
export function exactlyOne<Settings extends object>(names: string) {
  return z.refine<Settings>(
    (source) => Object.values(source).filter((value) => value !== undefined).length === 1,
    `exactly one of ${names}`,
  );
}

/** Where a secret is; the configuration itself should not hold it. */
export const secret = z.strictObject(secretSources).check(exactlyOne('filename, environment, inline'));

export type SecretSource = z.infer<typeof secret>;

/** A list whose entries differ. */
export function distinct<Schema extends z.core.SomeType>(item: Schema, least: number, most: number) {
  return z.array(item).check(
    z.minLength(least),
    z.maxLength(most),
    z.superRefine((items, context) => {
      const seen = new Set<string>();
      items.forEach((each, index) => {
        const text = JSON.stringify(each);
        if (seen.has(text)) context.addIssue({ code: 'custom', path: [index], message: 'is in the list already' });
        seen.add(text);
      });
    }),
  );
}
