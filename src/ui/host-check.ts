/** Findings about hosts, for people. */
import type { Colors } from './colors.js';
import { printable } from './printable.js';

export type ShownHostVerdict = 'PASS' | 'UNKNOWN' | 'WARN' | 'FAIL';

export interface ShownHostFinding {
  readonly check: string;
  readonly about: string;
  readonly verdict: ShownHostVerdict;
  readonly value?: string;
  readonly wanted?: string;
  readonly why?: string;
  readonly reasons: readonly { readonly verdict: ShownHostVerdict; readonly text: string }[];
  readonly next?: string;
}

/** The longest of the four words; what is not known is shown as `?`. */
const WIDTH = 'PASS'.length;

export function paintHostVerdict(verdict: ShownHostVerdict, colors: Colors): string {
  if (verdict === 'UNKNOWN') return colors.blue('?'.padEnd(WIDTH));
  return { PASS: colors.green, WARN: colors.yellow, FAIL: colors.red }[verdict](verdict);
}

/**
 * One line per check that passes; of the others the reasons, what would be right and why, and what to do.
 * @param options.passing false: what passes is left out
 */
export function hostLines(
  findings: readonly ShownHostFinding[],
  colors: Colors,
  options: { passing: boolean },
): string[] {
  const width = Math.max(0, ...findings.map(({ check }) => check.length));
  const indent = ' '.repeat(WIDTH + 2 + width + 2);
  return findings.flatMap(({ check, about, verdict, value, wanted, why, reasons, next }) => {
    if (verdict === 'PASS' && !options.passing) return [];
    const head = (shown: ShownHostVerdict) => `${paintHostVerdict(shown, colors)}  ${check.padEnd(width)}  `;
    if (verdict === 'PASS')
      return [`${head(verdict)}${colors.dim(printable(value === undefined ? about : `${about}: ${value}`))}`];
    return [
      ...reasons.map((reason) => `${head(reason.verdict)}${printable(reason.text)}`),
      ...(wanted === undefined ? [] : [`${indent}${colors.dim(printable(`Wanted: ${wanted}.`))}`]),
      ...(why === undefined ? [] : [`${indent}${colors.dim(printable(why))}`]),
      ...(next === undefined ? [] : [`${indent}${colors.cyan('→')} ${printable(next)}`]),
    ];
  });
}

/** `FAIL: of 32 checks 1 fails, 2 warn, 3 unknown`. What is not known alone is no reason to worry: PASS. */
export function hostVerdictLine(findings: readonly { readonly verdict: ShownHostVerdict }[], colors: Colors): string {
  const number = (of: ShownHostVerdict) => findings.filter((finding) => finding.verdict === of).length;
  const [failing, warning, unknown] = [number('FAIL'), number('WARN'), number('UNKNOWN')];
  const words = [
    ...(failing === 0 ? [] : [`${failing} ${failing === 1 ? 'fails' : 'fail'}`]),
    ...(warning === 0 ? [] : [`${warning} ${warning === 1 ? 'warns' : 'warn'}`]),
    ...(failing + warning === 0 ? [unknown === 0 ? 'all pass' : 'none fails'] : []),
    ...(unknown === 0 ? [] : [`${unknown} unknown`]),
  ];
  const verdict = failing > 0 ? 'FAIL' : warning > 0 ? 'WARN' : 'PASS';
  return `${paintHostVerdict(verdict, colors)}: of ${findings.length} checks ${words.join(', ')}`;
}
