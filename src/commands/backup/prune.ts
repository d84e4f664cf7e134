import { type PrunePlan, type PruneResult, planPrune, pruneBackups } from '../../backup/prune.js';
import { hasRule } from '../../backup/retention.js';
import { theCluster, useStore } from '../../backup/use-store.js';
import { dryRunFlag, ForgeCommand, yesFlag } from '../../base-command.js';
import { fromFlags } from '../../config/backup-flags.js';
import { retentionFlags, retentionRules } from '../../config/backup-retention.js';
import { settingsFlags } from '../../config/cluster-flags.js';
import { hangupByTerminal } from '../../interruption.js';
import { verdictLines } from '../../ui/backup-list.js';
import { bytesText } from '../../ui/cluster-status.js';

/** What was begun to be removed is removed to its end after Ctrl-C, or by the next run. */
const CLEAN_UP_MS = 20_000;

type BackupPruneResult = PruneResult | (PrunePlan & { readonly removed: readonly string[]; readonly dryRun: true });

export default class BackupPrune extends ForgeCommand {
  static override summary = 'Remove old backups: what no rule keeps, and what dead runs left behind.';
  static override description =
    `Rules come from the flags, or else from forge.yaml (backup.retention) and BACKUP_RETENTION_DAYS; a backup stays when any of
them keeps it. What goes is shown, and removed after a question, or with --yes. Never removed: the newest good ones (--floor), one
that is marked to be kept, one that somebody is at work on, one that a newer forge has made. What is not complete, or damaged,
stays while nothing newer is good. Ended at any moment, the next run finishes.
Exit codes: 0 done, 5 not confirmed, 6 somebody else removes backups of the cluster.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run',
    '<%= config.bin %> <%= command.id %> --keep-within 30d --floor 3 --yes --quiet',
    '<%= config.bin %> <%= command.id %> --from s3://backups/redis --cluster orders --keep-last 20',
  ];

  static override flags = { ...retentionFlags, ...dryRunFlag, ...yesFlag, ...fromFlags, ...settingsFlags };

  protected override readonly cleanUpMs = CLEAN_UP_MS;
  protected override readonly hangup = hangupByTerminal();

  async run(): Promise<BackupPruneResult> {
    const { flags } = await this.parse(BackupPrune);
    const onWarning = (text: string) => this.output.warning(text);
    const { signal } = this;
    return useStore(flags, { signal, withSecret: false, onWarning }, async (used): Promise<BackupPruneResult> => {
      const { store, settings } = used;
      const rules = retentionRules(flags, settings);
      const cluster = await theCluster(used, signal);
      const plan = await planPrune(store, { cluster, rules, signal });
      if (!hasRule(rules)) this.output.warning('No rule says what may go: only what was never finished does.');
      const going = plan.verdicts.filter(({ stays }) => !stays);
      if (plan.verdicts.length > 0 && !flags.quiet) {
        for (const line of verdictLines(plan.verdicts, this.output.colors, Date.now())) this.output.data(line);
      }
      const bytes = going.reduce((sum, each) => sum + each.bytes, 0);
      const words = `${going.length} of ${plan.verdicts.length} backups of ${cluster} in ${store.place}, ${bytesText(bytes)}`;
      if (flags['dry-run'] || going.length === 0) {
        this.output.data(
          going.length === 0 ? `Nothing is to be removed of ${cluster} in ${store.place}.` : `Would remove ${words}.`,
        );
        return { ...plan, removed: [], ...(flags['dry-run'] ? { dryRun: true as const } : { bytesRemoved: 0 }) };
      }
      await this.confirm(`Remove ${words}?`);
      const only = new Set(going.map(({ id }) => id));
      const onRemoved = ({ id }: { readonly id: string }) => this.output.message(`✔ ${id}`);
      const result = await pruneBackups(store, { cluster, rules, only, onRemoved, signal });
      const { removed, bytesRemoved } = result;
      this.output.data(
        `Removed ${removed.length} backups of ${cluster} in ${store.place}, ${bytesText(bytesRemoved)}.`,
      );
      return result;
    });
  }
}
