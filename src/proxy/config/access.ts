import * as z from 'zod/mini';
import { userLimits } from './limits.js';
import { duration, exactlyOne, secretSources, withDefault } from './values.js';

/** Loaded when there are addresses to check: it takes 5 MB. */
const net = () => process.getBuiltinModule('node:net');

/** Users of one listener. */
const USERS_MAX = 1024;
/** Passwords of one user: while one replaces another there are two. */
const PASSWORDS_MAX = 16;
const RULES_CHARACTERS_MAX = 64 * 1024;
const CIDRS_MAX = 256;
const FAILURE_DELAY_MS = 250;
const FAILURE_DELAY_MAX_MS = 60_000;

/** A password: its SHA-256, or where it is. */
const password = z
  .strictObject({
    sha256: z.optional(
      z.string().check(z.regex(/^[0-9a-f]{64}$/i, '64 hexadecimal digits, the SHA-256 of a password')),
    ),
    ...secretSources,
  })
  .check(exactlyOne('sha256, filename, environment, inline'));

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. */
const cidr = z.string().check(
  z.refine((text) => {
    const [address, bits, ...more] = text.split('/') as [string, ...string[]];
    const version = net().isIP(address);
    if (version === 0 || more.length > 0 || address.includes('%')) return false;
    return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
  }, 'an address, or a range such as 10.0.0.0/8 or 2001:db8::/32'),
);

const user = z.strictObject({
  /** As a client gives it in AUTH; `default` is who a client is that gives none. */
  name: z
    .string()
    .check(
      z.minLength(1),
      z.maxLength(256),
      z.regex(/^[^\s\p{Cc}\ufffd]+$/u, 'a name without spaces and control characters'),
    ),
  passwords: withDefault(z.array(password).check(z.maxLength(PASSWORDS_MAX)), []),
  /** What the user may do, in the words of Redis's ACL SETUSER. */
  rules: z.string().check(z.maxLength(RULES_CHARACTERS_MAX)),
  /** No command that writes, whatever the rules say. */
  read_only: withDefault(z.boolean(), false),
  /** Where the user may come from; anywhere when not given. */
  source_cidrs: withDefault(z.array(cidr).check(z.maxLength(CIDRS_MAX)), []),
  enabled: withDefault(z.boolean(), true),
  /** In place of `limits.per_user`, one by one. */
  limits: userLimits,
});

/** The settings of a listener that say who may do what. */
export const accessSettings = {
  users: withDefault(
    z.array(user).check(
      z.maxLength(USERS_MAX),
      z.superRefine((users, context) => {
        const seen = new Map<string, number>();
        users.forEach((each, index) => {
          const first = seen.get(each.name);
          if (first === undefined) seen.set(each.name, index);
          else
            context.addIssue({
              code: 'custom',
              path: [index, 'name'],
              message: `users[${first}] has this name already`,
            });
        });
      }),
    ),
    [],
  ),
  /** How long a wrong password is answered late. */
  auth_failure_delay: withDefault(duration(0, FAILURE_DELAY_MAX_MS), FAILURE_DELAY_MS),
};

export type UserConfig = z.infer<typeof user>;
