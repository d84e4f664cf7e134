/** The reports of `npm run test:drills`: a folder a run, named by its seed, and a file in it for each test file. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { DrillReport } from '../../../src/drills/drill.js';
import { ROOT } from '../repository.js';

export const REPORTS = path.join(ROOT, '.cache', 'drills');

export interface ReportFile {
  readonly seed: number;
  /** ISO 8601. */
  readonly at: string;
  /** Of the servers and of this machine. */
  readonly about: Readonly<Record<string, string | number>>;
  /** Who was at the same work. */
  readonly beside: string;
  readonly reports: readonly DrillReport[];
}

export async function saveReports(file: string, content: ReportFile): Promise<void> {
  const directory = path.join(REPORTS, String(content.seed));
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, `${file}.json`), `${JSON.stringify(content, undefined, 1)}\n`);
}
