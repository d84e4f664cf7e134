import * as z from 'zod/mini';
import { oneOf, withDefault } from './values.js';

/** What a whole is to each of Envoy's denominators. */
const DENOMINATORS = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;
type Denominator = keyof typeof DENOMINATORS;

const PERCENT = 'a percentage from 0 to 100, or { default_value: { numerator, denominator } }';

/** A number of percent, or Envoy's RuntimeFractionalPercent without runtime; becomes percent. */
export const percent = z.pipe(
  z.pipe(
    z.transform((value: unknown) =>
      typeof value === 'number' ? { default_value: { numerator: value, denominator: 'HUNDRED' } } : value,
    ),
    z.strictObject(
      {
        default_value: z
          .strictObject({
            numerator: withDefault(z.number().check(z.minimum(0)), 0),
            denominator: withDefault(oneOf(Object.keys(DENOMINATORS) as Denominator[]), 'HUNDRED'),
          })
          .check(z.refine(({ numerator, denominator }) => numerator <= DENOMINATORS[denominator], 'more than a whole')),
        /** Envoy's name of a value that can be changed at run time; here the default value holds. */
        runtime_key: z.optional(z.string()),
      },
      { error: (issue) => (issue.code === 'invalid_type' ? PERCENT : undefined) },
    ),
  ),
  z.transform(
    ({ default_value: { numerator, denominator } }) => (numerator * 100) / DENOMINATORS[denominator as Denominator],
  ),
);
