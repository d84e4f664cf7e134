import { Flags } from '@oclif/core';
import { listBackups } from '../../backup/catalogue.js';
import { type BackupSummary, summaryOf } from '../../backup/summary.js';
import { useStore } from '../../backup/use-store.js';
import { ForgeCommand } from '../../base-command.js';
import { encryptionFlags, fromFlags } from '../../config/backup-flags.js';
import { settingsFlags } from '../../config/cluster-flags.js';
import { backupLines } from '../../ui/backup-list.js';

const LIMIT_MAX = 1_000_000;

interface BackupListResult {
  readonly place: string;
  readonly backups: readonly BackupSummary[];
}

export default class BackupList extends ForgeCommand {
  static override summary = 'List the backups that lie in a directory or a bucket.';
  static override description =
    `All that begins as a backup does is listed, newest first: also what is being made, was never finished, or is damaged
(a manifest that cannot be read, an object that is missing or has another length). Sums are compared by forge backup verify.
Encrypted ones are listed without their key, too; only their seal is not checked then. Changes nothing.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --from /var/backups/redis',
    '<%= config.bin %> <%= command.id %> --cluster orders --limit 10 --json',
  ];

  static override flags = {
    limit: Flags.integer({ description: 'Only so many of the newest.', helpValue: 'N', min: 1, max: LIMIT_MAX }),
    ...fromFlags,
    ...encryptionFlags,
    ...settingsFlags,
  };

  async run(): Promise<BackupListResult> {
    const { flags } = await this.parse(BackupList);
    const onWarning = (text: string) => this.output.warning(text);
    return useStore(flags, { signal: this.signal, withSecret: 'wanted', onWarning }, async ({ store, secret }) => {
      // Of all clusters when none is asked for: who looks wants to see what is there.
      const listed = await listBackups(store, {
        signal: this.signal,
        ...(flags.cluster === undefined ? {} : { cluster: flags.cluster }),
        ...(flags.limit === undefined ? {} : { limit: flags.limit }),
        ...(secret === undefined ? {} : { secret }),
      });
      const backups = listed.map(summaryOf);
      if (backups.length === 0) this.output.message(`There are no backups in ${store.place}.`);
      else for (const line of backupLines(backups, this.output.colors, Date.now())) this.output.data(line);
      return { place: store.place, backups };
    });
  }
}
