/** What a check of a cluster found. Pure data: it is shown, printed as JSON, and made into an exit code elsewhere. */
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { LockStatus } from '../lock/status.js';
import type { RunningJob } from './slot-jobs.js';

/** `FAIL`: clients get errors, or the next loss loses data at once. `WARN`: it works, and somebody should look. */
export type Verdict = 'PASS' | 'WARN' | 'FAIL';

export interface Reason {
  readonly verdict: Exclude<Verdict, 'PASS'>;
  /** One line that names nodes and numbers. */
  readonly text: string;
}

/** What one check says. */
export interface Finding {
  readonly check: string;
  /** What it looks at, in a few words. */
  readonly about: string;
  readonly verdict: Verdict;
  readonly reasons: readonly Reason[];
  /** What to do about it; only where it does not pass. */
  readonly next?: string;
}

/** What is looked at: a snapshot, and what it does not hold. */
export interface Facts {
  readonly snapshot: ClusterSnapshot;
  /** Who changes the cluster at the moment; undefined when nobody was asked (a recording). */
  readonly locks?: readonly LockStatus[];
  /** What the servers move by themselves; undefined when nobody was asked. */
  readonly jobs?: readonly RunningJob[];
  readonly limits: HealthLimits;
}

export interface HealthLimits {
  /** Bytes by which a replica may be behind its master. */
  readonly lagBytes: number;
  /** Seconds since a replica's last acknowledgement; Redis's own are one second apart. */
  readonly lagSeconds: number;
  /** Part of `maxmemory`, 0 to 1. */
  readonly memory: number;
}

export const LIMITS_DEFAULT: HealthLimits = { lagBytes: 64 * 1024 * 1024, lagSeconds: 10, memory: 0.9 };

export interface Check {
  /** A word for `--json` and for the table in docs/cluster-status.md, which a test compares. */
  readonly name: string;
  readonly about: string;
  readonly next: string;
  judge(facts: Facts): Reason[];
}

const RANK: Record<Verdict, number> = { PASS: 0, WARN: 1, FAIL: 2 };

/** The worst of all; PASS of none. */
export function worstOf(verdicts: Iterable<Verdict>): Verdict {
  let worst: Verdict = 'PASS';
  for (const verdict of verdicts) if (RANK[verdict] > RANK[worst]) worst = verdict;
  return worst;
}

export const warn = (text: string): Reason => ({ verdict: 'WARN', text });
export const fail = (text: string): Reason => ({ verdict: 'FAIL', text });

/** Longer lists are cut: the first ones name the suspect, the number tells the size. */
const NAMED_MAX = 6;

export function named(items: readonly string[]): string {
  const more = items.length - NAMED_MAX;
  return `${items.slice(0, NAMED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** `1 slot`, `2 slots`. */
export function count(number: number, word: string): string {
  return `${number.toLocaleString('en')} ${word}${number === 1 ? '' : 's'}`;
}
