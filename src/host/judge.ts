/** The verdict on a host. Pure: facts in, findings out. */
import type { HostFacts } from './facts.js';
import { type HostFinding, type HostVerdict, worstHostVerdict } from './finding.js';
import { type HostNeeds, NEEDS_DEFAULT } from './needs.js';
import { HOST_CHECKS } from './rules/index.js';

export interface HostHealth {
  readonly verdict: HostVerdict;
  /** In the order of `HOST_CHECKS`; checks that have nothing to look at are left out. */
  readonly findings: readonly HostFinding[];
}

/** Judges a host by every check that applies. A system other than Linux is not judged. */
export function judgeHost(facts: HostFacts, needs: HostNeeds = NEEDS_DEFAULT): HostHealth {
  if (facts.system !== 'Linux') return notLinux(facts);
  const findings = HOST_CHECKS.flatMap((check): HostFinding[] => {
    const { name, about, why } = check;
    const judgement = check.judge(facts, needs);
    if (judgement === undefined) return [];
    const { value, wanted, reasons, next = check.next } = judgement;
    const verdict = worstHostVerdict(reasons.map((reason) => reason.verdict));
    const advice = verdict === 'PASS' ? {} : { next };
    return [{ check: name, about, verdict, value, wanted, why, reasons, ...advice }];
  });
  return { verdict: worstHostVerdict(findings.map(({ verdict }) => verdict)), findings };
}

function notLinux({ system }: HostFacts): HostHealth {
  const text = `${system} is not judged: production nodes run on Linux`;
  const finding: HostFinding = {
    check: 'system',
    about: 'the host runs Linux',
    verdict: 'UNKNOWN',
    value: system,
    wanted: 'Linux',
    why: 'The settings that matter are those of the Linux kernel.',
    reasons: [{ verdict: 'UNKNOWN', text }],
  };
  return { verdict: 'UNKNOWN', findings: [finding] };
}
