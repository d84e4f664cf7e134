import { describe, expect, it } from 'vitest';
import { type RetentionFlagValues, retentionRules } from '../../../src/config/backup-retention.js';
import type { Settings } from '../../../src/config/resolve.js';
import { ForgeError } from '../../../src/errors.js';

const DAY_MS = 86_400_000;
const settings = (backup: object, environment: NodeJS.ProcessEnv = {}, named = false) =>
  ({ cluster: { name: 'orders', backup }, environment, named }) as unknown as Settings;
const rules = (flags: RetentionFlagValues, ...given: Parameters<typeof settings>) =>
  retentionRules(flags, settings(...given));

describe('rules of which backups stay', () => {
  it('are those of flags alone where there is one, with the floor of forge.yaml', () => {
    const backup = { retention: { monthly: 12, floor: 3 }, retention_days: 30 };
    expect(rules({ 'keep-last': 5, 'keep-within': '36h' }, backup, { BACKUP_RETENTION_DAYS: '9' })).toEqual({
      ...{ last: 5, withinMs: 1.5 * DAY_MS, floor: 3 },
    });
    expect(rules({ 'keep-daily': 1, 'keep-hourly': 2, 'keep-weekly': 3, 'keep-monthly': 4, floor: 5 }, backup)).toEqual(
      {
        ...{ daily: 1, hourly: 2, weekly: 3, monthly: 4, floor: 5 },
      },
    );
  });

  it('are those of forge.yaml without flags, the longer of its two times', () => {
    expect(rules({}, { retention: { last: 1, daily: 7 } })).toEqual({ last: 1, daily: 7 });
    expect(rules({}, { retention: { within: DAY_MS }, retention_days: 2 })).toEqual({ withinMs: 2 * DAY_MS });
    expect(rules({ floor: 4 }, { retention: { daily: 7, floor: 2 } })).toEqual({ daily: 7, floor: 4 });
    expect(rules({}, {})).toEqual({});
    expect(retentionRules({}, { environment: {}, named: false })).toEqual({});
  });

  it('have the days of the environment before those of forge.yaml, but for a cluster that was named', () => {
    const backup = { retention: { monthly: 12 }, retention_days: 30 };
    const environment = { BACKUP_RETENTION_DAYS: ' 7 ' };
    expect(rules({}, backup, environment)).toEqual({ monthly: 12, withinMs: 7 * DAY_MS });
    expect(rules({}, backup, environment, true)).toEqual({ monthly: 12, withinMs: 30 * DAY_MS });
    expect(rules({}, {}, environment, true)).toEqual({ withinMs: 7 * DAY_MS });
    expect(rules({}, {}, { BACKUP_RETENTION_DAYS: '' })).toEqual({});
  });

  it('are refused where they are no numbers', () => {
    const kindOf = (work: () => unknown) => {
      try {
        work();
        return undefined;
      } catch (error) {
        return error instanceof ForgeError ? error.kind : error;
      }
    };
    for (const text of ['0', '-1', '1.5', 'week', '99999', '1e3']) {
      expect(
        kindOf(() => rules({}, {}, { BACKUP_RETENTION_DAYS: text })),
        text,
      ).toBe('configuration');
    }
    for (const text of ['0s', 'week', '30s']) {
      expect(
        kindOf(() => rules({ 'keep-within': text }, {})),
        text,
      ).toBe('usage');
    }
  });
});
