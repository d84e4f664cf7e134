/** When a scheduled backup runs: in cron's words, and in systemd's. Pure. */
import { ForgeError } from '../../errors.js';

export interface Schedule {
  /** Five fields, as crontab has them. */
  readonly cron: string;
  /** As OnCalendar takes it; undefined where systemd has no words for it. */
  readonly calendar: string | undefined;
}

const NAMED: Readonly<Record<string, Schedule>> = {
  hourly: { cron: '0 * * * *', calendar: '*-*-* *:00:00' },
  daily: { cron: '0 2 * * *', calendar: '*-*-* 02:00:00' },
  weekly: { cron: '0 2 * * 0', calendar: 'Sun *-*-* 02:00:00' },
};

interface Field {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** Words for its numbers, from `least` on. */
  readonly words?: readonly string[];
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const FIELDS: readonly Field[] = [
  { name: 'minute', least: 0, most: 59 },
  { name: 'hour', least: 0, most: 23 },
  { name: 'day of the month', least: 1, most: 31 },
  { name: 'month', least: 1, most: 12, words: MONTHS },
  // 0 and 7 are both Sunday.
  { name: 'day of the week', least: 0, most: 7, words: DAYS },
];
const WEEK = 7;

/**
 * `hourly`, `daily` (at 2), `weekly` (Sunday at 2), or five fields of cron.
 * @throws ForgeError `usage` for what is neither
 */
export function parseSchedule(text: string): Schedule {
  const named = NAMED[text.trim().toLowerCase()];
  if (named !== undefined) return named;
  const fields = text.trim().split(/\s+/);
  if (fields.length !== FIELDS.length)
    throw wrong(text, 'it is neither hourly, daily, weekly, nor five fields of cron');
  const values = FIELDS.map((field, index) => valuesOf(fields[index] as string, field, text));
  const [minutes, hours, days, months, weekdays] = values as [Values, Values, Values, Values, Values];
  const cron = fields.join(' ');
  // Where both are limited, cron takes a day that is one of both, and systemd a day that is both at once.
  if (days !== 'all' && weekdays !== 'all') return { cron, calendar: undefined };
  const date = `*-${listed(months)}-${listed(days)}`;
  const time = `${listed(hours)}:${listed(minutes)}:00`;
  const week =
    weekdays === 'all' ? '' : `${[...new Set(weekdays.map((day) => day % WEEK))].map((day) => DAYS[day]).join(',')} `;
  return { cron, calendar: `${week}${date} ${time}` };
}

type Values = 'all' | readonly number[];

const two = (value: number) => String(value).padStart(2, '0');
const listed = (values: Values) => (values === 'all' ? '*' : values.map(two).join(','));

function valuesOf(text: string, field: Field, whole: string): Values {
  if (text === '*') return 'all';
  const found = new Set<number>();
  for (const part of text.split(',')) for (const value of rangeOf(part, field, whole)) found.add(value);
  return [...found].sort((one, other) => one - other);
}

function* rangeOf(text: string, field: Field, whole: string): Generator<number> {
  const [, first, last, every] = /^(\*|[A-Za-z0-9]+)(?:-([A-Za-z0-9]+))?(?:\/([0-9]{1,2}))?$/.exec(text) ?? [];
  if (first === undefined || (first === '*' && last !== undefined)) throw wrong(whole, `${text} is no ${field.name}`);
  const start = first === '*' ? field.least : numberOf(first, field, whole);
  // A number with a step goes on to the end, as in crontab.
  const open = first === '*' || (last === undefined && every !== undefined);
  const end = last === undefined ? (open ? field.most : start) : numberOf(last, field, whole);
  const step = every === undefined ? 1 : Number(every);
  if (end < start || step < 1) throw wrong(whole, `${text} is no ${field.name}`);
  for (let value = start; value <= end; value += step) yield value;
}

function numberOf(text: string, { name, least, most, words = [] }: Field, whole: string): number {
  const word = words.findIndex((each) => each.toLowerCase() === text.toLowerCase());
  const value = word >= 0 ? word + least : /^[0-9]{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw wrong(whole, `${text} is no ${name}`);
}

function wrong(text: string, why: string): ForgeError {
  return new ForgeError('usage', `--every ${JSON.stringify(text)}: ${why}.`, {
    next: 'Write hourly, daily, weekly, or for example "30 3 * * 1-5".',
  });
}
