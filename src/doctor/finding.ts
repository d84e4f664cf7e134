/** What forge doctor finds. Pure data. */
import { ForgeError } from '../errors.js';
import { type HostReason, type HostVerdict, worstHostVerdict } from '../host/finding.js';

/** The groups of checks, in the order in which they are shown; a test compares the table in docs/doctor.md. */
export const DOCTOR_CHECKS = [
  'programs',
  'settings',
  'docker',
  'hosts',
  'nodes',
  'bus',
  'clocks',
  'certificates',
  'cluster',
  'proxy',
  'operations',
] as const;

export type DoctorCheck = (typeof DOCTOR_CHECKS)[number];

export interface DoctorFinding {
  readonly check: DoctorCheck;
  /** What it is about: a host, a node, a program. */
  readonly about: string;
  readonly verdict: HostVerdict;
  /** What is there, in one line. */
  readonly text: string;
  readonly next?: string;
}

const finding = (verdict: HostVerdict) => (check: DoctorCheck, about: string, text: string, next?: string) =>
  ({ check, about, verdict, text, ...(next === undefined ? {} : { next }) }) satisfies DoctorFinding;

export const pass = finding('PASS');
export const warning = finding('WARN');
export const failing = finding('FAIL');
export const notKnown = finding('UNKNOWN');

/** One finding for each reason; for none, that all is well. */
export function fromReasons(
  check: DoctorCheck,
  about: string,
  reasons: readonly HostReason[],
  { text, next }: { readonly text: string; readonly next?: string },
): DoctorFinding[] {
  if (reasons.length === 0) return [pass(check, about, text)];
  return reasons.map((reason) => finding(reason.verdict)(check, about, reason.text, next));
}

/** A failure as a finding; a fault of the program itself goes on. */
export function fromError(
  check: DoctorCheck,
  about: string,
  error: unknown,
  verdict: HostVerdict = 'FAIL',
): DoctorFinding {
  if (!(error instanceof ForgeError)) throw error;
  return finding(verdict)(check, about, error.message, error.next.join(' ') || undefined);
}

export function worstFinding(findings: readonly DoctorFinding[]): HostVerdict {
  return worstHostVerdict(findings.map(({ verdict }) => verdict));
}
