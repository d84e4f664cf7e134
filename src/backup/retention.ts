/** Which backups stay. Pure. */

export interface RetentionRules {
  /** The newest so many. */
  readonly last?: number;
  /** The newest of each of so many hours, days, ISO weeks and months (UTC) that have one. */
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  /**
   * All that were begun within so many milliseconds before the newest good one: counted from it and not from now, a
   * clock that is wrong, or weeks without a backup, do not make all of them old at once.
   */
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
/** Clocks of hosts may differ so much; what is later than that was dated by a clock that is wrong. */
export const FUTURE_MS = HOUR_MS;
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
 * rule; others stay as long as good ones of their time would, and while nothing newer is good, since they may be all that
 * there is. What is dated after `nowMs` stays
 * and counts for nothing: else every backup that is made now would be older than so many that wait for their time.
 * @param nowMs milliseconds since 1970; used for that alone
 */
export function judgeRetention(
  backups: readonly DatedBackup[],
  rules: RetentionRules,
  nowMs: number,
): RetentionVerdict[] {
  const newestFirst = [...backups].sort((one, other) => other.atMs - one.atMs || (one.id < other.id ? 1 : -1));
  const isFuture = ({ atMs }: DatedBackup) => atMs > nowMs + FUTURE_MS;
  const good = newestFirst.filter((each) => each.complete && !each.damaged && !each.running && !isFuture(each));
  const reasons = new Map<string, string[]>(newestFirst.map(({ id }) => [id, []]));
  const say = (id: string, reason: string) => reasons.get(id)?.push(reason);

  const limited = hasRule(rules);
  for (const each of newestFirst) {
    const { id, kept, running } = each;
    if (running) say(id, 'somebody is at work on it');
    if (kept) say(id, 'it is marked to be kept');
    if (isFuture(each)) say(id, 'its time is yet to come: a clock was wrong');
    if (!limited) say(id, 'there is no rule');
  }
  const floor = Math.max(FLOOR_DEFAULT, rules.floor ?? FLOOR_DEFAULT);
  for (const [index, { id }] of good.slice(0, floor).entries()) {
    say(id, index === 0 ? 'the newest that is good' : `one of the newest ${floor}`);
  }
  for (const [id, reason] of keptByRules(good, rules)) say(id, reason);
  // As if it were good, and without taking the place of one that is: what was found damaged may be the fault of a cable.
  const all = newestFirst.filter((each) => !each.running && !isFuture(each));
  const isGood = new Set(good.map(({ id }) => id));
  for (const [id, reason] of keptByRules(all, rules)) if (!isGood.has(id)) say(id, reason);
  const newestGood = good[0]?.atMs ?? Number.NEGATIVE_INFINITY;
  for (const { id, atMs, complete, damaged } of newestFirst) {
    if ((!complete || damaged) && atMs >= newestGood) say(id, 'nothing newer is good');
  }
  return newestFirst.map(({ id, complete, damaged }) => {
    const why = reasons.get(id) ?? [];
    if (why.length > 0) return { id, stays: true, reasons: why };
    if (damaged) return { id, stays: false, reasons: ['it is damaged, and a newer one is good'] };
    return { id, stays: false, reasons: [complete ? 'no rule keeps it' : 'it is not complete, and a newer one is'] };
  });
}

/** Ids and reasons, of backups that are all worth the same. */
function keptByRules(newestFirst: readonly DatedBackup[], rules: RetentionRules): [string, string][] {
  const { last = 0, withinMs } = rules;
  return [
    ...newestFirst.slice(0, last).map(({ id }): [string, string] => [id, `one of the last ${last}`]),
    ...within(newestFirst, withinMs).map((id): [string, string] => [id, 'it is young enough']),
    ...BUCKET_NAMES.flatMap((name) =>
      newestOf(newestFirst, BUCKETS[name], rules[name] ?? 0).map((id): [string, string] => [
        id,
        `the last of its ${WORDS[name]}`,
      ]),
    ),
  ];
}

/** Whether anything may go at all: a rule that keeps 0 is none. */
export function hasRule(rules: RetentionRules): boolean {
  return [rules.last, rules.withinMs, ...BUCKET_NAMES.map((name) => rules[name])].some((value = 0) => value > 0);
}

/**
 * Those of the time before the newest. Where the newest is alone in that time (after a pause, or because a clock jumped
 * forward), those of the time before the second one as well: one backup does not do away with all that were before it.
 */
function within(newestFirst: readonly DatedBackup[], withinMs: number | undefined): string[] {
  if (withinMs === undefined || withinMs <= 0) return [];
  const [newest, second] = newestFirst;
  const from = (each: DatedBackup | undefined) => (each?.atMs ?? 0) - withinMs;
  const alone = second !== undefined && second.atMs < from(newest);
  const since = alone ? from(second) : from(newest);
  return newestFirst.filter(({ atMs }) => atMs >= since).map(({ id }) => id);
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
