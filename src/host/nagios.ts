/** Verdicts on hosts as one line for Nagios and what understands its plugins. Pure. */
import { clean, NAGIOS_CODES, type NagiosResult } from '../operations/health/nagios.js';
import type { HostVerdict } from './finding.js';
import type { CheckedHost } from './look.js';

const WORDS = { PASS: 'OK', WARN: 'WARNING', FAIL: 'CRITICAL', UNKNOWN: 'OK' } as const;

/** The worst first: `HOST WARNING - a1: vm.swappiness is 60 | hosts=3 findings=1`. A host that cannot be looked at fails. */
export function nagiosOfHosts(hosts: readonly CheckedHost[], verdict: HostVerdict): NagiosResult {
  const reasons = (['FAIL', 'WARN'] as const).flatMap((each) =>
    hosts.flatMap(({ host, health, failure }) => {
      if (failure !== undefined) return each === 'FAIL' ? [failure.message] : [];
      const found = health?.findings.flatMap((finding) => finding.reasons) ?? [];
      return found.filter((reason) => reason.verdict === each).map(({ text }) => `${host}: ${text}`);
    }),
  );
  const findings = hosts.flatMap(({ health }) => health?.findings ?? []);
  const bad = findings.filter((finding) => finding.verdict === 'WARN' || finding.verdict === 'FAIL').length;
  const text = reasons.length === 0 ? `${findings.length} checks of ${hosts.length} hosts` : reasons.join('; ');
  const code = verdict === 'UNKNOWN' ? NAGIOS_CODES.PASS : NAGIOS_CODES[verdict];
  return { line: `HOST ${WORDS[verdict]} - ${clean(text)} | hosts=${hosts.length} findings=${bad}`, exitCode: code };
}
