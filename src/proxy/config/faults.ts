import * as z from 'zod/mini';
import { percent } from './fraction.js';
import { distinct, duration, oneOf, withDefault } from './values.js';

/** Faults of one listener, and commands of one fault. */
const FAULTS_MAX = 64;
const COMMANDS_MAX = 256;
const DELAY_MAX_MS = 3_600_000;

const ALL = 100;
/** A command as people write it, `GET` or `config|set`; becomes small letters. */
const COMMAND = /^[a-z0-9][a-z0-9._-]*(?:\|[a-z0-9][a-z0-9._-]*)?$/;
const command = z.pipe(
  z.pipe(
    z.string(),
    z.transform((text: string) => text.toLowerCase()),
  ),
  z.string().check(z.regex(COMMAND, "a command's name, such as GET, or a part of one, CONFIG|SET")),
);

const fault = z
  .strictObject({
    fault_type: oneOf(['DELAY', 'ERROR']),
    /** Percent of the commands. */
    fault_enabled: withDefault(percent, 0),
    /** Of both kinds: an error may come late, too. */
    delay: z.optional(duration(0, DELAY_MAX_MS)),
    /** All that may have faults when not given. */
    commands: withDefault(distinct(command, 0, COMMANDS_MAX), []),
  })
  .check(z.refine(({ fault_type: type, delay }) => type === 'ERROR' || (delay ?? 0) > 0, "DELAY needs 'delay'"));

/** What goes wrong on purpose, for rehearsals. */
export const faults = withDefault(
  z.array(fault).check(
    z.maxLength(FAULTS_MAX),
    z.superRefine((all, context) => {
      const general = sum(all.filter(({ commands }) => commands.length === 0));
      if (general > ALL) context.addIssue({ code: 'custom', path: [], message: tooMuch('commands', general) });
      for (const name of new Set(all.flatMap(({ commands }) => commands))) {
        const share = general + sum(all.filter(({ commands }) => commands.includes(name)));
        if (general <= ALL && share > ALL)
          context.addIssue({ code: 'custom', path: [], message: tooMuch(name.toUpperCase(), share) });
      }
    }),
  ),
  [],
);

export type FaultConfig = z.infer<typeof fault>;

const sum = (faults: readonly { readonly fault_enabled: number }[]) =>
  faults.reduce((total, { fault_enabled: share }) => total + share, 0);

const tooMuch = (what: string, share: number) => `the faults of ${what} add up to ${share} %, which is more than all`;
