import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DatedBackup, FUTURE_MS, judgeRetention, type RetentionRules } from '../../../src/backup/retention.js';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 22, 12);

const backup = (atMs: number, more: Partial<DatedBackup> = {}): DatedBackup => ({
  id: `b${String(atMs).padStart(15, '0')}`,
  atMs,
  complete: true,
  kept: false,
  running: false,
  damaged: false,
  ...more,
});
const stay = (backups: DatedBackup[], rules: RetentionRules, now = NOW) =>
  judgeRetention(backups, rules, now).flatMap(({ id, stays }) => (stays ? [id] : []));
const hourly = (count: number) => Array.from({ length: count }, (_, i) => backup(NOW - i * 3_600_000));

describe('which backups stay', () => {
  it('is all of them without a rule', () => {
    expect(stay(hourly(50), {})).toHaveLength(50);
    expect(stay(hourly(50), { floor: 3 })).toHaveLength(50);
    expect(stay(hourly(50), { last: 0, daily: 0, withinMs: 0 })).toHaveLength(50);
  });

  it('is the last of each hour, day, week and month that has one', () => {
    const backups = Array.from({ length: 24 * 70 }, (_, i) => backup(NOW - i * 3_600_000 - 60_000));
    expect(stay(backups, { last: 4 })).toEqual(backups.slice(0, 4).map(({ id }) => id));
    const days = stay(backups, { daily: 3 }).map((id) => new Date(Number(id.slice(1))).toISOString().slice(0, 16));
    expect(days).toEqual(['2026-11-22T11:59', '2026-11-21T23:59', '2026-11-20T23:59']);
    const weeks = stay(backups, { weekly: 3 }).map((id) => new Date(Number(id.slice(1))).getUTCDay());
    // Sundays; the first of them is today.
    expect(weeks).toEqual([0, 0, 0]);
    const months = stay(backups, { monthly: 12 }).map((id) => new Date(Number(id.slice(1))).toISOString().slice(0, 10));
    expect(months).toEqual(['2026-11-22', '2026-10-31', '2026-09-30']);
  });

  it('knows gaps: what was not taken does not count', () => {
    const backups = [0, 1, 40, 41, 300].map((day) => backup(NOW - day * DAY_MS));
    expect(stay(backups, { daily: 4 })).toEqual(backups.slice(0, 4).map(({ id }) => id));
  });

  it('goes by age, counted from the newest, whatever the clock says', () => {
    const backups = [1, 2, 3, 4, 5].map((day) => backup(NOW - day * DAY_MS));
    expect(stay(backups, { withinMs: 2.5 * DAY_MS })).toHaveLength(3);
    const ids = backups.map(({ id }) => id);
    // Nobody has made a backup for years, or the clock is wrong: the same stay.
    const late = NOW + 10_000 * DAY_MS;
    expect(stay(backups, { withinMs: DAY_MS }, late)).toEqual(ids.slice(0, 2));
    expect(stay(backups, { withinMs: 1 }, late)).toEqual(ids.slice(0, 2));
    expect(stay(backups, { withinMs: 1, floor: 3 }, late)).toEqual(ids.slice(0, 3));
  });

  it('does not take all away because of one backup after a pause, or after a jump of the clock', () => {
    const before = [100, 101, 102, 150].map((day) => backup(NOW - day * DAY_MS));
    const rules = { withinMs: 10 * DAY_MS };
    const first = backup(NOW - DAY_MS);
    expect(stay([first, ...before], rules)).toEqual([first, ...before.slice(0, 3)].map(({ id }) => id));
    const second = backup(NOW);
    expect(stay([second, first, ...before], rules)).toEqual([second.id, first.id]);
  });

  it('is unmoved by backups of a time that is yet to come', () => {
    const future = [10, 20, 4_000].map((day) => backup(NOW + day * DAY_MS));
    const backups = [0, 1, 2, 3].map((day) => backup(NOW - day * DAY_MS));
    for (const rules of [{ last: 2 }, { daily: 2 }, { withinMs: DAY_MS }]) {
      const kept = stay([...future, ...backups], rules);
      expect(kept).toEqual([...[...future].reverse(), ...backups.slice(0, 2)].map(({ id }) => id));
    }
    // A clock that was put back: all are yet to come.
    expect(stay(backups, { last: 1 }, NOW - 30 * DAY_MS)).toHaveLength(4);
    // One of a host whose clock is a little ahead is as good as any.
    expect(stay([backup(NOW + 60_000), ...backups], { last: 1 })).toHaveLength(1);
  });

  it('counts only what is complete and not damaged', () => {
    const good = backup(NOW - 5 * DAY_MS);
    const backups = [
      backup(NOW - DAY_MS, { complete: false }),
      backup(NOW - 2 * DAY_MS, { damaged: true }),
      backup(NOW - 3 * DAY_MS, { running: true, complete: false }),
      good,
      backup(NOW - 6 * DAY_MS, { complete: false }),
      backup(NOW - 6.5 * DAY_MS, { damaged: true }),
      backup(NOW - 7 * DAY_MS),
    ];
    const verdicts = judgeRetention(backups, { last: 1 }, NOW);
    expect(verdicts.map(({ stays }) => stays)).toEqual([true, true, true, true, false, false, false]);
    expect(verdicts.map(({ reasons }) => reasons[0])).toEqual([
      'one of the last 1',
      'nothing newer is good',
      'somebody is at work on it',
      'the newest that is good',
      'it is not complete, and a newer one is',
      'it is damaged, and a newer one is good',
      'no rule keeps it',
    ]);
  });

  it('leaves what is damaged or not complete as long as a good one of its time, and no good one goes for it', () => {
    const backups = [
      backup(NOW),
      backup(NOW - DAY_MS, { damaged: true }),
      backup(NOW - 2 * DAY_MS, { complete: false }),
      backup(NOW - 3 * DAY_MS),
      backup(NOW - 4 * DAY_MS),
      backup(NOW - 5 * DAY_MS, { damaged: true }),
    ];
    expect(stay(backups, { daily: 3 })).toEqual(backups.slice(0, 5).map(({ id }) => id));
    expect(stay(backups, { last: 1 })).toEqual([backups[0]?.id]);
    expect(stay(backups, { withinMs: 10 * DAY_MS })).toHaveLength(6);
  });

  const backups = fc.uniqueArray(
    fc.record({
      atMs: fc.integer({ min: NOW - 800 * DAY_MS, max: NOW + 3 * DAY_MS }),
      complete: fc.boolean(),
      kept: fc.boolean(),
      running: fc.boolean(),
      damaged: fc.boolean(),
    }),
    { selector: ({ atMs }) => atMs, maxLength: 40 },
  );
  const count = fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined });
  const rules = fc.record({
    last: count,
    hourly: count,
    daily: count,
    weekly: count,
    monthly: count,
    withinMs: fc.option(fc.integer({ min: 0, max: 400 * DAY_MS }), { nil: undefined }),
    floor: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
  });

  it('never loses what is marked, running, or among the newest that are good', () => {
    fc.assert(
      fc.property(backups, rules, (records, policy) => {
        const all = records.map((record) => backup(record.atMs, record));
        const kept = new Set(stay(all, policy));
        const good = all
          .filter(({ complete, damaged, running }) => complete && !damaged && !running)
          .filter(({ atMs }) => atMs <= NOW + FUTURE_MS)
          .sort((one, other) => other.atMs - one.atMs);
        for (const { id, atMs } of all) {
          if (atMs > NOW + FUTURE_MS || atMs > (good[0]?.atMs ?? 0)) expect(kept).toContain(id);
        }
        for (const { id, kept: marked, running } of all) if (marked || running) expect(kept).toContain(id);
        for (const { id } of good.slice(0, Math.max(1, policy.floor ?? 1))) expect(kept).toContain(id);
        const verdicts = judgeRetention(all, policy, NOW);
        expect(verdicts).toHaveLength(all.length);
        for (const { reasons } of verdicts) expect(reasons.length).toBeGreaterThan(0);
      }),
    );
  });

  it('is the same once the others are gone', () => {
    fc.assert(
      fc.property(backups, rules, (records, policy) => {
        const all = records.map((record) => backup(record.atMs, record));
        const kept = stay(all, policy);
        expect(
          stay(
            all.filter(({ id }) => kept.includes(id)),
            policy,
          ),
        ).toEqual(kept);
      }),
    );
  });
});
