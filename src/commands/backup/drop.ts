import { Args, Flags } from '@oclif/core';
import { findBackup } from '../../backup/catalogue.js';
import { dropBackup, guardDrop } from '../../backup/prune.js';
import { type BackupSummary, summaryOf } from '../../backup/summary.js';
import { useStore } from '../../backup/use-store.js';
import { dryRunFlag, ForgeCommand, yesFlag } from '../../base-command.js';
import { fromFlags } from '../../config/backup-flags.js';
import { settingsFlags } from '../../config/cluster-flags.js';
import { ForgeError } from '../../errors.js';
import { hangupByTerminal } from '../../interruption.js';
import { bytesText } from '../../ui/cluster-status.js';

interface BackupDropResult extends BackupSummary {
  readonly place: string;
  readonly removed: boolean;
}

export default class BackupDrop extends ForgeCommand {
  static override summary = 'Remove one backup.';
  static override description =
    `Whatever the rules of forge backup prune say. Its id is typed to confirm, or --yes given.
Exit code 5: there is no such backup, somebody is at work on it, or, without --force, it is marked to be kept or the only good one;
6: somebody else removes backups of the cluster.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> 20261122T054900Z-3fa2c1 --from /var/backups/redis',
    '<%= config.bin %> <%= command.id %> 20261122T054900Z-3fa2c1 --force --yes',
  ];

  static override args = {
    id: Args.string({ name: 'ID', description: 'The backup, as forge backup list shows it.', required: true }),
  };

  static override flags = {
    force: Flags.boolean({ description: 'Also one that is marked to be kept, or the only good one.', default: false }),
    ...dryRunFlag,
    ...yesFlag,
    ...fromFlags,
    ...settingsFlags,
  };

  protected override readonly hangup = hangupByTerminal();

  async run(): Promise<BackupDropResult> {
    const { args, flags } = await this.parse(BackupDrop);
    const onWarning = (text: string) => this.output.warning(text);
    const { signal } = this;
    if (args.id === 'latest') {
      throw new ForgeError('usage', 'A backup that is removed is named by its id.', {
        next: 'Look at: forge backup list.',
      });
    }
    return useStore(flags, { signal, withSecret: false, onWarning }, async ({ store, cluster }) => {
      const named = { signal, ...(cluster === undefined ? {} : { cluster }) };
      const found = await findBackup(store, { id: args.id, ...named });
      const { force } = flags;
      const options = { cluster: found.cluster, id: found.id, force, signal };
      const backup = await guardDrop(store, options);
      const words = `${backup.cluster}/${backup.id} in ${store.place} (${backup.state}, ${bytesText(backup.bytes)})`;
      if (flags['dry-run']) {
        this.output.data(`Would remove ${words}.`);
        return { place: store.place, ...summaryOf(backup), removed: false };
      }
      await this.confirm(`Remove ${words}?`, { confirmWord: backup.id });
      const dropped = await dropBackup(store, options);
      this.output.data(`Removed ${words}.`);
      return { place: store.place, ...summaryOf(dropped), removed: true };
    });
  }
}
