/** A verdict as a line for Nagios, Icinga and what understands their plugins. Pure. */
import type { ErrorKind } from '../../errors.js';
import type { Health } from './health.js';
import type { ClusterOverview } from './overview.js';

/** https://nagios-plugins.org/doc/guidelines.html: the plugins' own exit codes. */
export const NAGIOS_CODES = { PASS: 0, WARN: 1, FAIL: 2, unknown: 3 } as const;
const WORDS = { PASS: 'OK', WARN: 'WARNING', FAIL: 'CRITICAL' } as const;
/** Nagios cuts lines at 4 KB, and pagers sooner. */
const TEXT_LENGTH_MAX = 500;

export interface NagiosResult {
  readonly line: string;
  readonly exitCode: number;
}

/** `|` begins the figures, and a line end ends what is shown; a long text is cut. */
export function clean(text: string): string {
  const line = text.replaceAll('|', '/').replace(/\s+/g, ' ').trim();
  return line.length <= TEXT_LENGTH_MAX ? line : `${line.slice(0, TEXT_LENGTH_MAX - 1)}…`;
}

/** The worst reasons first, then figures: `CLUSTER OK - 3 masters, … | masters=3 …`. */
export function nagiosOf({ verdict, findings }: Health, overview: ClusterOverview): NagiosResult {
  const { masters, replicas, slotsServed, keys, memoryBytes, opsPerSecond } = overview;
  const reasons = (['FAIL', 'WARN'] as const).flatMap((each) =>
    findings.flatMap((finding) => finding.reasons.filter((reason) => reason.verdict === each)),
  );
  const healthy = `${masters} masters, ${replicas} replicas, ${slotsServed} of 16384 slots served`;
  const text = clean(reasons.length === 0 ? healthy : reasons.map((reason) => reason.text).join('; '));
  const failing = findings.filter((finding) => finding.verdict !== 'PASS').length;
  const figures = [
    `slots_served=${slotsServed};;16384:;0;16384`,
    `masters=${masters}`,
    `replicas=${replicas}`,
    `findings=${failing}`,
    `keys=${keys}`,
    `memory=${memoryBytes}B`,
    `ops=${opsPerSecond}`,
  ];
  return { line: `CLUSTER ${WORDS[verdict]} - ${text} | ${figures.join(' ')}`, exitCode: NAGIOS_CODES[verdict] };
}

/** A cluster of which nobody answers is a catastrophe; a wrong password or flag says nothing about the cluster. */
export function nagiosOfFailure(kind: ErrorKind, message: string): NagiosResult {
  const down = kind === 'unreachable' || kind === 'timeout';
  return {
    line: `CLUSTER ${down ? 'CRITICAL' : 'UNKNOWN'} - ${clean(message)}`,
    exitCode: down ? NAGIOS_CODES.FAIL : NAGIOS_CODES.unknown,
  };
}
