/** What a check of a host found. Pure data, in the words of the checks of a cluster. */
import type { Reason, Verdict } from '../operations/health/finding.js';
import type { HostFacts } from './facts.js';
import type { HostNeeds } from './needs.js';

/** `UNKNOWN`: the host does not tell. It is shown, and changes no exit code. */
export type HostVerdict = Verdict | 'UNKNOWN';

export interface HostReason {
  readonly verdict: Exclude<HostVerdict, 'PASS'>;
  readonly text: string;
}

/** What one check says of one host. */
export interface HostFinding {
  readonly check: string;
  /** What it looks at, in a few words. */
  readonly about: string;
  readonly verdict: HostVerdict;
  /** What is there. */
  readonly value: string;
  /** What would be right. */
  readonly wanted: string;
  /** Why it matters, in one sentence. */
  readonly why: string;
  readonly reasons: readonly HostReason[];
  /** What to do about it; only where it does not pass. */
  readonly next?: string;
}

/** The outcome of one check: what is there, what is wanted, and what is wrong about it. */
export interface Judgement {
  readonly value: string;
  readonly wanted: string;
  readonly reasons: readonly (Reason | HostReason)[];
  /** Instead of the check's own. */
  readonly next?: string;
}

export interface HostCheck {
  /** A word for `--json` and for the table in docs/host.md, which a test compares. */
  readonly name: string;
  readonly about: string;
  readonly why: string;
  readonly next: string;
  /** Undefined where there is nothing to judge: nobody asked, or the host has no such thing. */
  judge(facts: HostFacts, needs: HostNeeds): Judgement | undefined;
}

const RANK: Record<HostVerdict, number> = { PASS: 0, UNKNOWN: 1, WARN: 2, FAIL: 3 };

/** The worst of all; PASS of none. */
export function worstHostVerdict(verdicts: Iterable<HostVerdict>): HostVerdict {
  let worst: HostVerdict = 'PASS';
  for (const verdict of verdicts) if (RANK[verdict] > RANK[worst]) worst = verdict;
  return worst;
}

export const unknown = (text: string): HostReason => ({ verdict: 'UNKNOWN', text });

/** A value that the host does not tell. */
export function untold(wanted: string, what: string): Judgement {
  return { value: 'unknown', wanted, reasons: [unknown(`the host does not tell ${what}`)] };
}
