/**
 * A process that carries out an operation and kills itself, by SIGKILL, at one line of its journal: before the line is
 * written, when it is half written, or when it is on disk. Its one argument is JSON: `KilledRun`.
 */
import { appendFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { operationPaths } from '../../../src/operations/home.js';
import { rollbackOperation, runPlan } from '../../../src/operations/run.js';
import { joinPlan, openSession } from './join.js';

export interface KilledRun {
  readonly seeds: string;
  readonly also: string;
  readonly home: string;
  /** Number of the journal line at which it dies. */
  readonly line: number;
  readonly moment: 'before' | 'torn' | 'after';
  /** Undoes this operation instead. */
  readonly rollback?: string;
}

const run = JSON.parse(process.argv[2] ?? '') as KilledRun;
const paths = operationPaths(run.home, {});
const session = await openSession(run.seeds, { also: run.also, password: process.env['REDIS_REQUIREPASS'] });

function die(): Promise<never> {
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => undefined);
}

const observer = {
  journal: async (moment: 'before' | 'after', entry: { seq: number }) => {
    if (entry.seq !== run.line) return;
    if (run.moment === moment) await die();
    if (run.moment === 'torn' && moment === 'before') {
      const file = readdirSync(paths.journals).sort().at(-1) ?? '';
      appendFileSync(path.join(paths.journals, file), JSON.stringify(entry).slice(0, 40));
      await die();
    }
  },
};
const settings = { session, paths, observer, waitMs: 15_000 };
if (run.rollback === undefined) {
  await runPlan({ ...settings, plan: joinPlan(session.snapshot), confirm: async () => true });
} else {
  await rollbackOperation(settings, run.rollback);
}
session.close();
