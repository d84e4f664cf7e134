/** Findings of checks, for people. */
import type { Colors } from './colors.js';

export type ShownVerdict = 'PASS' | 'WARN' | 'FAIL';

export interface ShownFinding {
  readonly check: string;
  readonly about: string;
  readonly verdict: ShownVerdict;
  readonly reasons: readonly { readonly verdict: ShownVerdict; readonly text: string }[];
  readonly next?: string;
}

export function paintVerdict(verdict: ShownVerdict, colors: Colors): string {
  return { PASS: colors.green, WARN: colors.yellow, FAIL: colors.red }[verdict](verdict);
}

/**
 * One line per check that passes, one per reason of those that do not, and what to do.
 * @param options.passing false: what passes is left out
 */
export function healthLines(
  findings: readonly ShownFinding[],
  colors: Colors,
  options: { passing: boolean },
): string[] {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const indent = ' '.repeat('PASS'.length + 2 + width + 2);
  return findings.flatMap(({ check, about, verdict, reasons, next }) => {
    if (verdict === 'PASS' && !options.passing) return [];
    const head = (shown: ShownVerdict) => `${paintVerdict(shown, colors)}  ${check.padEnd(width)}  `;
    if (verdict === 'PASS') return [`${head(verdict)}${colors.dim(about)}`];
    const lines = reasons.map((reason) => `${head(reason.verdict)}${reason.text}`);
    return next === undefined ? lines : [...lines, `${indent}${colors.cyan('→')} ${next}`];
  });
}

/** `PASS: 16 checks`, `FAIL: 2 of 16 checks fail, 1 warns`. */
export function verdictLine(verdict: ShownVerdict, findings: readonly ShownFinding[], colors: Colors): string {
  const number = (of: ShownVerdict) => findings.filter((finding) => finding.verdict === of).length;
  const [failing, warning] = [number('FAIL'), number('WARN')];
  const words = [
    ...(failing === 0 ? [] : [`${failing} ${failing === 1 ? 'fails' : 'fail'}`]),
    ...(warning === 0 ? [] : [`${warning} ${warning === 1 ? 'warns' : 'warn'}`]),
  ];
  const text = words.length === 0 ? 'all pass' : words.join(', ');
  return `${paintVerdict(verdict, colors)}: of ${findings.length} checks ${text}`;
}
