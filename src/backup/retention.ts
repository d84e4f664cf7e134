/** Which backups stay. Pure. */

export interface RetentionRules {
  /** The newest so many. */
  readonly last?: number;
  /** The newest of each of so many hours, days, ISO weeks and months (UTC) that have one. */
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  /** All that are younger, milliseconds. */
  readonly withinMs?: number;
  /** So many of the newest stay whatever the other rules, and the clock, say; 1 when not told. */
  readonly floor?: number;
}

export interface DatedBackup {
  readonly id: string;
  /** Milliseconds since 1970: when it was begun. */
  readonly atMs: number;
  /** Every master is in it. */
  readonly complete: boolean;
  /** Somebody has said that it is to stay. */
  readonly kept: boolean;
  /** Somebody is at work on it. */
  readonly running: boolean;
  /** It was looked at and found damaged. */
  readonly damaged: boolean;
}

export interface RetentionVerdict {
  readonly id: string;
  readonly stays: boolean;
  /** Why it stays, or why it goes; at least one. */
  readonly reasons: readonly string[];
}

export const FLOOR_DEFAULT = 1;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** 1970-01-01 was a Thursday; ISO weeks begin on Monday. */
const MONDAY_MS = 4 * DAY_MS;
const WEEK_MS = 7 * DAY_MS;

const BUCKETS = {
  hourly: (atMs: number) => Math.floor(atMs / HOUR_MS),
  daily: (atMs: number) => Math.floor(atMs / DAY_MS),
  weekly: (atMs: number) => Math.floor((atMs - MONDAY_MS) / WEEK_MS),
  monthly: (atMs: number) => new Date(atMs).getUTCFullYear() * 12 + new Date(atMs).getUTCMonth(),
} as const;
type Bucket = keyof typeof BUCKETS;
const BUCKET_NAMES = Object.keys(BUCKETS) as Bucket[];
const WORDS: Record<Bucket, string> = { hourly: 'hour', daily: 'day', weekly: 'week', monthly: 'month' };

/**
 * The verdict on each, newest first. Without a rule, all stay. Only complete backups that are not damaged count for a
 * rule; one that is not complete stays while nothing newer is complete, since it may be all that there is.
 */
export function judgeRetention(
  backups: readonly DatedBackup[],
  rules: RetentionRules,
  nowMs: number,
): RetentionVerdict[] {
  const newestFirst = [...backups].sort((one, other) => other.atMs - one.atMs || (one.id < other.id ? 1 : -1));
  const good = newestFirst.filter(({ complete, damaged, running }) => complete && !damaged && !running);
  const reasons = new Map<string, string[]>(newestFirst.map(({ id }) => [id, []]));
  const say = (id: string, reason: string) => reasons.get(id)?.push(reason);

  const limited =
    BUCKET_NAMES.some((name) => rules[name] !== undefined) || rules.last !== undefined || rules.withinMs !== undefined;
  for (const { id, kept, running } of newestFirst) {
    if (running) say(id, 'it is being made');
    if (kept) say(id, 'it is marked to be kept');
    if (!limited) say(id, 'there is no rule');
  }
  const floor = Math.max(FLOOR_DEFAULT, rules.floor ?? FLOOR_DEFAULT);
  for (const [index, { id }] of good.slice(0, floor).entries()) {
    say(id, index === 0 ? 'the newest that is good' : `one of the newest ${floor}`);
  }
  for (const { id } of good.slice(0, rules.last ?? 0)) say(id, `one of the last ${rules.last}`);
  if (rules.withinMs !== undefined) {
    const since = nowMs - rules.withinMs;
    for (const { id, atMs } of good) if (atMs >= since) say(id, 'it is young enough');
  }
  for (const name of BUCKET_NAMES) {
    for (const id of newestOf(good, BUCKETS[name], rules[name] ?? 0)) say(id, `the last of its ${WORDS[name]}`);
  }
  const newestGood = good[0]?.atMs ?? Number.NEGATIVE_INFINITY;
  for (const { id, atMs, complete, damaged } of newestFirst) {
    if (!complete && !damaged && atMs > newestGood) say(id, 'nothing newer is complete');
  }
  return newestFirst.map(({ id, complete, damaged }) => {
    const why = reasons.get(id) ?? [];
    if (why.length > 0) return { id, stays: true, reasons: why };
    if (damaged) return { id, stays: false, reasons: ['it is damaged'] };
    return { id, stays: false, reasons: [complete ? 'no rule keeps it' : 'it is not complete, and a newer one is'] };
  });
}

/** The newest of each bucket, of so many buckets that have one. */
function newestOf(newestFirst: readonly DatedBackup[], bucketOf: (atMs: number) => number, count: number): string[] {
  const found = new Map<number, string>();
  for (const { id, atMs } of newestFirst) {
    const bucket = bucketOf(atMs);
    if (!found.has(bucket)) found.set(bucket, id);
  }
  return [...found.values()].slice(0, count);
}
