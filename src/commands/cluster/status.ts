import { ClusterCommand } from '../../cluster-command.js';
import { EXIT_CODES } from '../../errors.js';
import { whoIsAtWork } from '../../operations/health/at-work.js';
import { examine, type Health } from '../../operations/health/health.js';
import { type ClusterOverview, overviewOf } from '../../operations/health/overview.js';
import { type RunningJob, slotJobs } from '../../operations/health/slot-jobs.js';
import type { LockStatus } from '../../operations/lock/status.js';
import { healthLines, verdictLine } from '../../ui/cluster-health.js';
import { clusterLines } from '../../ui/cluster-status.js';

export interface StatusResult extends Health, ClusterOverview {
  /** Who changes the cluster at the moment; null where the user may not list clients. */
  readonly locks: readonly LockStatus[] | null;
  /** Slots that the servers move by themselves at the moment. */
  readonly jobs: readonly RunningJob[];
}

export default class ClusterStatus extends ClusterCommand {
  static override summary = 'Show a cluster: shards, slots, roles, lag, memory, traffic, and what is wrong.';
  static override description = `Asks every node. Changes nothing.
Exit code 0: nothing fails (warnings are shown); 9: something fails; 4: no node answers.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --seed 10.0.0.1:6379',
    '<%= config.bin %> <%= command.id %> --json',
  ];

  async run(): Promise<StatusResult> {
    const { flags } = await this.parse(ClusterStatus);
    return this.withSession(flags, async (session) => {
      const { snapshot } = session;
      const [locks, jobs] = await Promise.all([whoIsAtWork(session), slotJobs(session, snapshot)]);
      const overview = overviewOf(snapshot);
      const { verdict, findings } = examine(snapshot, { locks, jobs });
      const { colors } = this.output;
      for (const line of clusterLines(overview, colors)) this.output.data(line);
      this.output.data();
      for (const line of healthLines(findings, colors, { passing: false })) this.output.data(line);
      for (const { owner, phase, expired } of locks ?? []) {
        const who = `${owner.user}@${owner.host} (process ${owner.pid}): ${owner.operation}, since ${owner.startedAt}`;
        this.output.data(`${phase === 'holding' ? 'At work' : 'Waiting'}  ${who}${expired ? ', silent' : ''}`);
      }
      this.output.data(verdictLine(verdict, findings, colors));
      process.exitCode = verdict === 'FAIL' ? EXIT_CODES.verification : EXIT_CODES.done;
      return { verdict, ...overview, findings, locks: locks ?? null, jobs };
    });
  }
}
