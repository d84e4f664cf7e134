/** The verdict on a cluster. Pure: a snapshot in, findings out. */
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { CHECKS } from './checks/index.js';
import { type Facts, type Finding, LIMITS_DEFAULT, type Verdict, worstOf } from './finding.js';

export interface Health {
  readonly verdict: Verdict;
  /** One per check, also of those that pass, in the order of `CHECKS`. */
  readonly findings: readonly Finding[];
}

/** Judges a cluster by every check. */
export function examine(
  snapshot: ClusterSnapshot,
  options: Partial<Pick<Facts, 'locks' | 'jobs' | 'limits'>> = {},
): Health {
  const { limits = LIMITS_DEFAULT, ...told } = options;
  const facts: Facts = { snapshot, ...told, limits };
  const findings = CHECKS.map(({ name, about, next, judge }): Finding => {
    const reasons = judge(facts);
    const verdict = worstOf(reasons.map((reason) => reason.verdict));
    return { check: name, about, verdict, reasons, ...(verdict === 'PASS' ? {} : { next }) };
  });
  return { verdict: worstOf(findings.map(({ verdict }) => verdict)), findings };
}
