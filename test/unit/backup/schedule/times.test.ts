import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSchedule } from '../../../../src/backup/schedule/times.js';
import { refusal } from '../../operations/planners/support.js';

describe('when a backup runs', () => {
  it.each([
    ['hourly', '0 * * * *', '*-*-* *:00:00'],
    [' Daily ', '0 2 * * *', '*-*-* 02:00:00'],
    ['weekly', '0 2 * * 0', 'Sun *-*-* 02:00:00'],
    ['30 3 * * 1-5', '30 3 * * 1-5', 'Mon,Tue,Wed,Thu,Fri *-*-* 03:30:00'],
    ['*/20  0-6/3 1,15 jan-mar *', '*/20 0-6/3 1,15 jan-mar *', '*-01,02,03-01,15 00,03,06:00,20,40:00'],
    ['5/25 * * * sun,7', '5/25 * * * sun,7', 'Sun *-*-* *:05,30,55:00'],
  ])('is %s', (text, cron, calendar) => {
    expect(parseSchedule(text)).toEqual({ cron, calendar });
  });

  it('has no words in systemd where cron takes either of two days', () => {
    expect(parseSchedule('0 0 1 * 1')).toEqual({ cron: '0 0 1 * 1', calendar: undefined });
  });

  it.each([
    '',
    'often',
    '* * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
    '*/0 * * * *',
    '*-3 * * * *',
    '1; * * * *',
    '@daily',
  ])('is not %j', (text) => {
    expect(refusal(() => parseSchedule(text)).kind).toBe('usage');
  });

  it('names in both the same minutes and hours, whatever the fields are', () => {
    const list = (most: number) => fc.uniqueArray(fc.integer({ min: 0, max: most }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(list(59), list(23), (minutes, hours) => {
        const { calendar } = parseSchedule(`${minutes.join(',')} ${hours.join(',')} * * *`);
        const [, hoursText = '', minutesText = ''] = /^\*-\*-\* ([\d,]+):([\d,]+):00$/.exec(calendar ?? '') ?? [];
        expect(hoursText.split(',').map(Number)).toEqual(hours.toSorted((one, other) => one - other));
        expect(minutesText.split(',').map(Number)).toEqual(minutes.toSorted((one, other) => one - other));
      }),
    );
  });
});
