import { Args, Flags } from '@oclif/core';
import { ForgeCommand } from '../base-command.js';
import { parseDuration } from '../config/duration.js';
import { type AuditRun, auditRuns, readAudit, selectRuns } from '../operations/audit-history.js';
import { operationPaths } from '../operations/home.js';
import { printable } from '../ui/printable.js';
import { renderTable } from '../ui/table.js';

const LAST_DEFAULT = 20;
const LAST_MAX = 1_000_000;
const SINCE_MAX_MS = 10 * 366 * 24 * 3_600_000;
const SECOND_MS = 1_000;

interface AuditResult {
  readonly file: string;
  readonly runs: readonly AuditRun[];
  /** Lines that could not be read: torn ones, or another version's. */
  readonly unreadable: number;
}

export default class Audit extends ForgeCommand {
  static override summary = 'Show who changed which cluster, when, how, and what came of it.';
  static override description =
    'The log of this machine and user, the oldest first. Every run has its plan, its result, and the guards that were overridden.';
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --since 24h --json',
    '<%= config.bin %> <%= command.id %> 20261121-190512-3fa1c0',
  ];

  static override args = {
    operation: Args.string({ description: 'Only the runs of this operation.' }),
  };
  static override flags = {
    last: Flags.integer({
      description: 'At most so many runs, the newest.',
      default: LAST_DEFAULT,
      min: 1,
      max: LAST_MAX,
      helpValue: 'N',
    }),
    since: Flags.string({ description: 'Not older than this, for example 90m or 24h.', helpValue: 'DURATION' }),
  };

  async run(): Promise<AuditResult> {
    const { args, flags } = await this.parse(Audit);
    const sinceMs = flags.since === undefined ? undefined : parseDuration(flags.since, { maxMs: SINCE_MAX_MS });
    const file = operationPaths().audit;
    const { entries, unreadable } = await readAudit(file);
    const runs = selectRuns(auditRuns(entries), { last: flags.last, sinceMs, operationId: args.operation });
    if (runs.length === 0) this.output.message(`Nothing of that is in ${file}.`);
    else
      this.output.data(renderTable(['WHEN', 'WHO', 'CLUSTER', 'WHAT', 'RESULT', 'TIME', 'OPERATION'], runs.map(row)));
    for (const { operationId, operation, error } of runs) {
      if (error !== undefined) this.output.message(`${operationId ?? operation}: ${error.message}`);
    }
    if (unreadable > 0) this.output.warning(`${unreadable} lines of ${file} could not be read.`);
    return { file, runs, unreadable };
  }
}

function row(run: AuditRun): string[] {
  const { at, event, operator, cluster, title, forced, result, elapsedMs, operationId } = run;
  const course = event === 'resume' || event === 'rollback' ? `${event}: ` : '';
  const force = forced.length === 0 ? '' : ` (--force ${forced.join(',')})`;
  return [
    at.replace(/\.\d+Z$/, 'Z'),
    printable(`${operator.user}@${operator.host}`),
    printable(cluster),
    printable(`${course}${title}${force}`),
    result,
    elapsedMs === undefined ? '' : `${(elapsedMs / SECOND_MS).toFixed(1)} s`,
    operationId ?? '',
  ];
}
