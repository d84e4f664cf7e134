/** `forge drill` as operators type it, with few clients. */
import { expect } from 'vitest';
import type { DrillReport } from '../../../src/drills/drill.js';
import type { DrillStand } from '../drill-stand.js';

const CONSENT = ['--yes', '--confirm', 'drill'];
/** Few clients, and pauses as long as a busy machine makes them: what is judged in time is judged by the matrix. */
export const FEW = [...CONSENT, '--clients', '8', '--interval', '15ms', '--calm', '300ms'];
export const LIGHT = [...FEW, '--max-pause', '30s'];

/** The report of a drill that has passed. */
export async function rehearse(stand: DrillStand, ...words: string[]): Promise<DrillReport> {
  const { code, stdout, stderr } = await stand.attempt('drill', ...words, ...LIGHT, '--json');
  expect(code, `${stdout}${stderr}`).toBe(0);
  const report = JSON.parse(stdout) as DrillReport;
  expect(report.verdict.passed).toBe(true);
  expect(report.clients).toMatchObject({ wrong: 0, unchecked: 0 });
  return report;
}

export const textsOf = ({ events }: DrillReport): string[] => events.map(({ text }) => text);
