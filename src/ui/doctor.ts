/** The findings of forge doctor as one table, for people. */
import type { Colors } from './colors.js';
import { paintHostVerdict, type ShownHostVerdict } from './host-check.js';
import { printable } from './printable.js';

export interface ShownDiagnosis {
  readonly check: string;
  readonly about: string;
  readonly verdict: ShownHostVerdict;
  readonly text: string;
  readonly next?: string;
}

/** Longer ones push the text to the right; more would waste the line. */
const ABOUT_WIDTH_MAX = 24;
const VERDICT_WIDTH = 'PASS'.length;

/**
 * One line for each finding, and what to do below it; the same advice once in a row.
 * @param options.passing false: what passes is left out
 */
export function diagnosisLines(
  findings: readonly ShownDiagnosis[],
  colors: Colors,
  { passing }: { passing: boolean },
): string[] {
  const shown = findings.filter(({ verdict }) => passing || verdict !== 'PASS');
  const checkWidth = Math.max(0, ...shown.map(({ check }) => check.length));
  const aboutWidth = Math.min(ABOUT_WIDTH_MAX, Math.max(0, ...shown.map(({ about }) => printable(about).length)));
  const indent = ' '.repeat(VERDICT_WIDTH + 2 + checkWidth + 2 + aboutWidth + 2);
  return shown.flatMap(({ check, about, verdict, text, next }, index) => {
    const head = `${paintHostVerdict(verdict, colors)}  ${check.padEnd(checkWidth)}  ${printable(about).padEnd(aboutWidth)}  `;
    // A message may have several lines: one for each node, for example.
    const [first = '', ...more] = text.split('\n').map((line) => printable(line));
    const line = `${head}${verdict === 'PASS' ? colors.dim(first) : first}`;
    const again = next !== undefined && shown[index + 1]?.next === next && shown[index + 1]?.about === about;
    const advice = next === undefined || again ? [] : [`${indent}${colors.cyan('→')} ${printable(next)}`];
    return [line, ...more.map((each) => `${indent}${each}`), ...advice];
  });
}
