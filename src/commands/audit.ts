import { Args, Flags } from '@oclif/core';
import { ForgeCommand } from '../base-command.js';
import { formatAddress, parseAddressList } from '../cluster/address.js';
import { readSettings, type SettingsFlagValues, settingsFlags } from '../config/cluster-flags.js';
import { parseDuration } from '../config/duration.js';
import { resolveHosts } from '../config/resolve-members.js';
import { ForgeError } from '../errors.js';
import { type AuditRun, auditRuns, type ClusterChoice, readAudit, selectRuns } from '../operations/audit-history.js';
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
    '<%= config.bin %> <%= command.id %> --name shop',
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
    ...settingsFlags,
    name: Flags.string({
      description: 'Only the runs on this cluster: of forge.yaml, or a local one of forge up.',
      helpValue: 'NAME',
    }),
  };

  async run(): Promise<AuditResult> {
    const { args, flags } = await this.parse(Audit);
    const sinceMs = flags.since === undefined ? undefined : parseDuration(flags.since, { maxMs: SINCE_MAX_MS });
    const file = operationPaths().audit;
    const { entries, unreadable } = await readAudit(file);
    const all = auditRuns(entries);
    const cluster = flags.name === undefined ? undefined : await clusterNamed(flags.name, flags, all);
    const runs = selectRuns(all, { last: flags.last, sinceMs, operationId: args.operation, cluster });
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

/**
 * The addresses under which the log may tell of a cluster: those that are written down, and what they resolve to. One
 * that is gone by now is known by what the log says.
 */
async function clusterNamed(
  name: string,
  flags: SettingsFlagValues,
  runs: readonly AuditRun[],
): Promise<ClusterChoice> {
  const { cluster, forgeFile } = await readSettings({ ...flags, name });
  let nodes = cluster?.nodes ?? [];
  if (cluster === undefined) {
    const { localTarget } = await import('../local/target.js');
    const known = forgeFile?.content.clusters.map((each) => each.name);
    try {
      nodes = parseAddressList((await localTarget(name, known)).addresses.join(','));
    } catch (error) {
      if (!(error instanceof ForgeError) || !runs.some((run) => run.name === name)) throw error;
    }
  }
  const hosts = await resolveHosts(nodes);
  const addresses = nodes.flatMap(({ host, port }) =>
    [host, ...(hosts.get(host) ?? [])].map((each) => formatAddress({ host: each, port })),
  );
  return { name, addresses: new Set(addresses) };
}

function row(run: AuditRun): string[] {
  const { at, event, operator, cluster, name, title, forced, result, elapsedMs, operationId } = run;
  const course = event === 'resume' || event === 'rollback' ? `${event}: ` : '';
  const force = forced.length === 0 ? '' : ` (--force ${forced.join(',')})`;
  return [
    at.replace(/\.\d+Z$/, 'Z'),
    printable(`${operator.user}@${operator.host}`),
    printable(name === undefined ? cluster : `${name} (${cluster})`),
    printable(`${course}${title}${force}`),
    result,
    elapsedMs === undefined ? '' : `${(elapsedMs / SECOND_MS).toFixed(1)} s`,
    operationId ?? '',
  ];
}
