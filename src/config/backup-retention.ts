/** Which backups stay, as flags, environment and forge.yaml say it. */
import { Flags } from '@oclif/core';
import { ForgeError } from '../errors.js';
import { parseDuration } from './duration.js';
import type { Settings } from './resolve.js';

const COUNT_MAX = 100_000;
const DAY_MS = 24 * 3_600_000;
const DAYS_MAX = 36_500;
const WITHIN_MIN_MS = 60_000;

const count = (description: string) => Flags.integer({ description, helpValue: 'N', min: 0, max: COUNT_MAX });

/** What `forge backup prune` leaves; the other rules come from the environment and forge.yaml only where none is given. */
export const retentionFlags = {
  'keep-last': count('So many of the newest stay.'),
  'keep-hourly': count('The newest of each of so many hours that have one stays.'),
  'keep-daily': count('The newest of each of so many days (UTC) that have one stays.'),
  'keep-weekly': count('The newest of each of so many weeks (from Monday) that have one stays.'),
  'keep-monthly': count('The newest of each of so many months that have one stays.'),
  'keep-within': Flags.string({
    description: 'All stay that were begun so long before the newest, at most: 48h, 30d (BACKUP_RETENTION_DAYS).',
    helpValue: 'DURATION',
  }),
  floor: Flags.integer({
    description: 'So many of the newest good ones stay, whatever the rules say; 1 when not told.',
    helpValue: 'N',
    min: 1,
    max: COUNT_MAX,
  }),
};

export interface RetentionFlagValues {
  readonly 'keep-last'?: number;
  readonly 'keep-hourly'?: number;
  readonly 'keep-daily'?: number;
  readonly 'keep-weekly'?: number;
  readonly 'keep-monthly'?: number;
  readonly 'keep-within'?: string;
  readonly floor?: number;
}

/** As src/backup/retention.ts has them. */
export interface ConfiguredRetention {
  readonly last?: number;
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly withinMs?: number;
  readonly floor?: number;
}

/**
 * The rules: those of the flags where there is one; else what forge.yaml says, with BACKUP_RETENTION_DAYS for its
 * days (forge.yaml's own where the cluster was named). Pure.
 * @throws ForgeError `usage` or `configuration` for what is no number or duration
 */
export function retentionRules(flags: RetentionFlagValues, settings: Settings): ConfiguredRetention {
  const { cluster, environment, named } = settings;
  const { retention = {}, retention_days: days } = cluster?.backup ?? {};
  const given = withoutAbsent({
    last: flags['keep-last'],
    hourly: flags['keep-hourly'],
    daily: flags['keep-daily'],
    weekly: flags['keep-weekly'],
    monthly: flags['keep-monthly'],
    withinMs:
      flags['keep-within'] === undefined
        ? undefined
        : parseDuration(flags['keep-within'], { minMs: WITHIN_MIN_MS, maxMs: DAYS_MAX * DAY_MS }),
  });
  const floor = flags.floor ?? retention.floor;
  if (Object.keys(given).length > 0) return { ...given, ...withoutAbsent({ floor }) };
  const { within, floor: _, ...counts } = retention;
  const own = longest(within, days === undefined ? undefined : days * DAY_MS);
  const variable = variableMs(environment['BACKUP_RETENTION_DAYS']);
  const withinMs = named ? (own ?? variable) : (variable ?? own);
  return withoutAbsent({ ...counts, withinMs, floor });
}

function longest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}

function variableMs(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const days = /^\s*\d{1,5}\s*$/.test(text) ? Number(text) : 0;
  if (days >= 1 && days <= DAYS_MAX) return days * DAY_MS;
  throw new ForgeError('configuration', `BACKUP_RETENTION_DAYS: ${JSON.stringify(text)} is no number of days.`, {
    next: `Take one from 1 to ${DAYS_MAX}.`,
  });
}

function withoutAbsent(rules: ConfiguredRetention): ConfiguredRetention {
  return Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined));
}
