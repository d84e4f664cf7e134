import { Flags } from '@oclif/core';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ClusterCommand } from '../../cluster-command.js';
import { EXIT_CODES, ForgeError } from '../../errors.js';
import { whoIsAtWork } from '../../operations/health/at-work.js';
import { examine, type Health } from '../../operations/health/health.js';
import { type ClusterOverview, overviewOf } from '../../operations/health/overview.js';
import { type RunningJob, slotJobs } from '../../operations/health/slot-jobs.js';
import type { LockStatus } from '../../operations/lock/status.js';
import type { ClusterSession } from '../../operations/session.js';
import { healthLines, verdictLine } from '../../ui/cluster-health.js';
import { clusterLines } from '../../ui/cluster-status.js';
import { canDraw, showLines, showLive } from '../../ui/live.js';

const WATCH_DEFAULT_S = 2;
const WATCH_MAX_S = 3_600;
const SECOND_MS = 1_000;

export interface StatusResult extends Health, ClusterOverview {
  /** Who changes the cluster at the moment; null where the user may not list clients. */
  readonly locks: readonly LockStatus[] | null;
  /** Slots that the servers move by themselves at the moment. */
  readonly jobs: readonly RunningJob[];
}

export default class ClusterStatus extends ClusterCommand {
  static override summary = 'Show a cluster: shards, slots, roles, lag, memory, traffic, and what is wrong.';
  static override description = `Asks every node. Changes nothing.
With --watch it looks again every 2 seconds, or as often as is said, until q or Ctrl-C: on a terminal the page is drawn
anew, with --json there is one document a line.
Exit code 0: nothing fails (warnings are shown), or --watch was ended; 9: something fails; 4: no node answers.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --seed 10.0.0.1:6379',
    '<%= config.bin %> <%= command.id %> --json',
    '<%= config.bin %> <%= command.id %> --watch',
    '<%= config.bin %> <%= command.id %> --watch 10 --json',
  ];

  static override flags = {
    watch: Flags.integer({
      description: `Look again every so many seconds, until q or Ctrl-C; ${WATCH_DEFAULT_S} when none are told.`,
      helpValue: '[SECONDS]',
      min: 1,
      max: WATCH_MAX_S,
    }),
  };

  async run(): Promise<StatusResult> {
    const { flags } = await this.parse(ClusterStatus, withInterval(this.argv));
    return this.withSession(flags, async (session) => {
      const status = await this.#judge(session, session.snapshot);
      if (flags.watch !== undefined) return this.#watch(session, status, flags.watch * SECOND_MS);
      for (const line of [...this.#clusterLines(status), '', ...this.#healthLines(status)]) this.output.data(line);
      process.exitCode = status.verdict === 'FAIL' ? EXIT_CODES.verification : EXIT_CODES.done;
      return status;
    });
  }

  async #judge(session: ClusterSession, snapshot: ClusterSnapshot): Promise<StatusResult> {
    const [locks, jobs] = await Promise.all([whoIsAtWork(session), slotJobs(session, snapshot)]);
    const { verdict, findings } = examine(snapshot, { locks, jobs });
    return { verdict, ...overviewOf(snapshot), findings, locks: locks ?? null, jobs };
  }

  /** Looks again and again. A cluster that goes away while it is looked at may come back: that is told, and no end. */
  async #watch(session: ClusterSession, first: StatusResult, intervalMs: number): Promise<StatusResult> {
    this.untilLeft = true;
    let status = first;
    let rounds = 0;
    let silentSince: string | undefined;
    const look = async (): Promise<ForgeError | undefined> => {
      try {
        if (rounds++ > 0) status = await this.#judge(session, await session.look());
        silentSince = undefined;
        return undefined;
      } catch (error) {
        if (!(error instanceof ForgeError) || this.signal.aborted) throw error;
        silentSince ??= new Date().toISOString();
        return error;
      }
    };
    const page = async (): Promise<string[]> => {
      const failure = await look();
      const { bold, red } = this.output.colors;
      const at = bold(`${session.cluster}  ${new Date().toISOString()}`);
      // What is wrong comes first: the end of a long page is cut.
      const lines = [...this.#healthLines(status), '', ...this.#clusterLines(status)];
      if (failure === undefined) return [at, '', ...lines];
      const words = failure.message.split('\n').map((line) => red(line));
      return [at, '', ...words, `Since ${silentSince}; what was seen last:`, '', ...lines];
    };
    if (!this.jsonEnabled() && canDraw()) await showLive({ page, intervalMs, signal: this.signal });
    else {
      const text = async (): Promise<string> => {
        if (!this.jsonEnabled()) return [...(await page()), ''].join('\n');
        const failure = await look();
        const at = new Date().toISOString();
        return JSON.stringify(failure === undefined ? { at, ...status } : { at, error: failure.toJSON() });
      };
      await showLines({ text, intervalMs, signal: this.signal });
    }
    return status;
  }

  #clusterLines(status: StatusResult): string[] {
    return clusterLines(status, this.output.colors);
  }

  #healthLines({ verdict, findings, locks }: StatusResult): string[] {
    const { colors } = this.output;
    const working = (locks ?? []).map(({ owner, phase, expired }) => {
      const who = `${owner.user}@${owner.host} (process ${owner.pid}): ${owner.operation}, since ${owner.startedAt}`;
      return `${phase === 'holding' ? 'At work' : 'Waiting'}  ${who}${expired ? ', silent' : ''}`;
    });
    return [...healthLines(findings, colors, { passing: false }), ...working, verdictLine(verdict, findings, colors)];
  }
}

/** `--watch` alone means its usual interval; the parser knows no flags whose value may be left away. */
function withInterval(argv: readonly string[]): string[] {
  const at = argv.indexOf('--watch');
  if (at === -1 || /^[^-]/.test(argv[at + 1] ?? '')) return [...argv];
  return [...argv.slice(0, at), `--watch=${WATCH_DEFAULT_S}`, ...argv.slice(at + 1)];
}
