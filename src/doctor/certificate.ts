/** A certificate that a server showed. Pure. */
import { type DoctorFinding, failing, pass, warning } from './finding.js';

const DAY_MS = 24 * 3_600_000;
const EXPIRY_WARN_DAYS = 30;
const EXPIRY_FAIL_DAYS = 7;

export interface ShownCertificate {
  readonly validTo: string;
  /** Why it is not trusted; undefined for one that is. */
  readonly refusal?: string;
}

export function judgeCertificate(
  about: string,
  { validTo, refusal }: ShownCertificate,
  nowMs: number,
): DoctorFinding[] {
  const ends = Date.parse(validTo);
  const renew = 'forge gen-certs DIR --renew, then have the servers take it.';
  const findings: DoctorFinding[] = [];
  const days = Math.floor((ends - nowMs) / DAY_MS);
  const day = Number.isNaN(ends) ? validTo : new Date(ends).toISOString().slice(0, 10);
  if (Number.isNaN(ends))
    findings.push(failing('certificates', about, `its certificate ends at an unknown time (${validTo})`));
  else if (ends <= nowMs) findings.push(failing('certificates', about, `its certificate has expired on ${day}`, renew));
  else if (days < EXPIRY_FAIL_DAYS)
    findings.push(failing('certificates', about, `its certificate ends in ${days} days (${day})`, renew));
  else if (days < EXPIRY_WARN_DAYS)
    findings.push(warning('certificates', about, `its certificate ends in ${days} days (${day})`, renew));
  // An expired one is not trusted for that very reason.
  if (refusal !== undefined && refusal !== 'CERT_HAS_EXPIRED') {
    const next = 'Check --cacert (tls.ca), and that the certificate is for this name or address.';
    findings.push(failing('certificates', about, `its certificate is not trusted: ${refusal}`, next));
  }
  return findings.length > 0 ? findings : [pass('certificates', about, `its certificate holds until ${day}`)];
}
