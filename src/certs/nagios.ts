/** What a check of certificates found, as a line for Nagios and what understands its plugins. Pure. */
import { clean, NAGIOS_CODES, type NagiosResult } from '../operations/health/nagios.js';
import type { CertificateReport } from './judge.js';

const WORDS = { PASS: 'OK', WARN: 'WARNING', FAIL: 'CRITICAL' } as const;

/** The worst reasons first, then figures: `CERTS OK - 9 certificates, … | days_left=364;30:;7: …`. */
export function nagiosOfCertificates(
  { verdict, certificates, findings }: CertificateReport,
  limits: { readonly warnDays: number; readonly failDays: number },
): NagiosResult {
  const every = [...certificates, ...findings];
  const reasons = (['FAIL', 'WARN'] as const).flatMap((each) =>
    every.flatMap((finding) => finding.reasons.filter((reason) => reason.verdict === each).map(({ text }) => text)),
  );
  const ends = certificates.flatMap(({ daysLeft, check }) => (daysLeft === null ? [] : [{ daysLeft, check }]));
  const first = ends.reduce<(typeof ends)[number] | undefined>(
    (least, each) => (least === undefined || each.daysLeft < least.daysLeft ? each : least),
    undefined,
  );
  const healthy = `${certificates.length} certificates${first === undefined ? '' : `, the first ends in ${first.daysLeft} days (${first.check})`}`;
  const figures = [
    ...(first === undefined ? [] : [`days_left=${first.daysLeft};${limits.warnDays}:;${limits.failDays}:`]),
    `certificates=${certificates.length}`,
    `findings=${every.filter((each) => each.verdict !== 'PASS').length}`,
  ];
  const text = clean(reasons.length === 0 ? healthy : reasons.join('; '));
  return { line: `CERTS ${WORDS[verdict]} - ${text} | ${figures.join(' ')}`, exitCode: NAGIOS_CODES[verdict] };
}

/** Without a folder that can be read, nothing is known. */
export function nagiosOfCertificateFailure(message: string): NagiosResult {
  return { line: `CERTS UNKNOWN - ${clean(message)}`, exitCode: NAGIOS_CODES.unknown };
}
