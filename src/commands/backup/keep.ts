import { Args, Flags } from '@oclif/core';
import { findBackup } from '../../backup/catalogue.js';
import { keepBackup, releaseBackup } from '../../backup/keep.js';
import { NOTE_MAX_CHARACTERS } from '../../backup/marks.js';
import { useStore } from '../../backup/use-store.js';
import { dryRunFlag, ForgeCommand } from '../../base-command.js';
import { fromFlags } from '../../config/backup-flags.js';
import { settingsFlags } from '../../config/cluster-flags.js';
import { ForgeError } from '../../errors.js';
import { thisOperator } from '../../operations/lock/lock.js';

interface BackupKeepResult {
  readonly place: string;
  readonly cluster: string;
  readonly id: string;
  readonly kept: boolean;
  readonly changed: boolean;
}

export default class BackupKeep extends ForgeCommand {
  static override summary = 'Mark a backup so that it stays, or release it.';
  static override description =
    `One that is marked is removed neither by forge backup prune nor, without --force, by forge backup drop.
Exit code 5: there is no such backup; 6: somebody removes backups of the cluster at this moment.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> latest --note "before the upgrade to 8"',
    '<%= config.bin %> <%= command.id %> 20261122T054900Z-3fa2c1 --release',
  ];

  static override args = {
    id: Args.string({ name: 'ID', description: 'The backup, or latest for the newest complete one.', required: true }),
  };

  static override flags = {
    release: Flags.boolean({ description: 'Take the mark away.', default: false }),
    note: Flags.string({
      description: 'Why it is to stay; forge backup show tells it.',
      helpValue: 'TEXT',
      exclusive: ['release'],
    }),
    ...dryRunFlag,
    ...fromFlags,
    ...settingsFlags,
  };

  async run(): Promise<BackupKeepResult> {
    const { args, flags } = await this.parse(BackupKeep);
    const { note, release } = flags;
    if (note !== undefined && note.length > NOTE_MAX_CHARACTERS) {
      throw new ForgeError('usage', `The note has ${note.length} characters.`, {
        next: `Take ${NOTE_MAX_CHARACTERS} at most.`,
      });
    }
    const onWarning = (text: string) => this.output.warning(text);
    const { signal } = this;
    return useStore(flags, { signal, withSecret: false, onWarning }, async ({ store, cluster: named }) => {
      const found = await findBackup(store, {
        id: args.id,
        signal,
        ...(named === undefined ? {} : { cluster: named }),
      });
      const { cluster, id } = found;
      const result = { place: store.place, cluster, id, kept: !release };
      if (flags['dry-run']) {
        this.output.data(`Would ${release ? 'release' : 'mark'} ${cluster}/${id} in ${store.place}.`);
        return { ...result, kept: found.kept, changed: false };
      }
      if (release) {
        const changed = await releaseBackup(store, { cluster, id, signal });
        this.output.data(changed ? `Released ${cluster}/${id}.` : `${cluster}/${id} was not marked.`);
        return { ...result, changed };
      }
      const { user, host } = thisOperator();
      await keepBackup(store, { cluster, id, by: `${user}@${host}`, signal, ...(note === undefined ? {} : { note }) });
      this.output.data(`${cluster}/${id} stays until it is released.`);
      return { ...result, changed: !found.kept };
    });
  }
}
