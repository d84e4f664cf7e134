import { Args, Flags } from '@oclif/core';
import type { ListedBackup } from '../../backup/catalogue.js';
import { type UsedStore, useStore } from '../../backup/use-store.js';
import { chooseToVerify, type VerdictOnBackup, verifyBackup } from '../../backup/verify.js';
import { VERIFY_PARALLEL_DEFAULT, VERIFY_PARALLEL_MAX } from '../../backup/verify-sums.js';
import { ForgeCommand } from '../../base-command.js';
import { encryptionFlags, fromFlags } from '../../config/backup-flags.js';
import { settingsFlags } from '../../config/cluster-flags.js';
import { EXIT_CODES, ForgeError } from '../../errors.js';
import { hangupByTerminal } from '../../interruption.js';
import { thisOperator } from '../../operations/lock/lock.js';
import { VerifyProgressLines, verifiedLines } from '../../ui/backup-verify.js';

interface BackupVerifyResult {
  readonly place: string;
  readonly good: boolean;
  readonly backups: readonly VerdictOnBackup[];
  /** No backups yet, or made by a newer forge. */
  readonly left: readonly { readonly cluster: string; readonly id: string; readonly state: ListedBackup['state'] }[];
}

interface Values {
  readonly load: boolean;
  readonly deep: boolean;
  readonly parallel: number;
  readonly remember: boolean;
}

export default class BackupVerify extends ForgeCommand {
  static override summary = 'Prove that backups are as they were written, and that servers load them.';
  static override description =
    `Reads every byte: sums, seals, decryption, decompression. With --load, servers of this host that nobody else reaches load every
shard, and keys are counted by slot; with --deep, every value is read, too. What was found is written beside the backup
(verified.json): forge backup list shows it, and one that is damaged counts for no good one. Encrypted ones without their key:
the sums of what is stored are compared.
Exit code 0: all is as it was written; 9: something is not, and each fault is named; 5: there is no such backup.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --from /var/backups/redis',
    '<%= config.bin %> <%= command.id %> 20261122T054900Z-3fa2c1 --load',
    '<%= config.bin %> <%= command.id %> --all --quiet',
  ];

  static override args = {
    id: Args.string({ name: 'ID', description: 'The backup; the newest when not told.', default: 'latest' }),
  };

  static override flags = {
    all: Flags.boolean({ description: 'All that are there.', default: false }),
    load: Flags.boolean({ description: 'Load them into servers, and count keys by slot.', default: false }),
    deep: Flags.boolean({ description: 'As --load, and read every value.', default: false }),
    parallel: Flags.integer({
      description: 'Objects that are read, or shards that are loaded, at once.',
      default: VERIFY_PARALLEL_DEFAULT,
      min: 1,
      max: VERIFY_PARALLEL_MAX,
      helpValue: 'N',
    }),
    remember: Flags.boolean({
      description: 'Write what was found beside the backup.',
      default: true,
      allowNo: true,
    }),
    ...fromFlags,
    ...encryptionFlags,
    ...settingsFlags,
  };

  protected override readonly hangup = hangupByTerminal();

  async run(): Promise<BackupVerifyResult> {
    const { args, flags } = await this.parse(BackupVerify);
    if (flags.all && args.id !== 'latest') {
      throw new ForgeError('usage', '--all is for all backups, and one is named.', { next: 'Take one of both.' });
    }
    const onWarning = (text: string) => this.output.warning(text);
    return useStore(flags, { signal: this.signal, withSecret: true, onWarning }, async (used) => {
      const { store, cluster, secret } = used;
      const { toVerify, left } = await chooseToVerify(store, flags.all ? 'all' : args.id, {
        signal: this.signal,
        ...(cluster === undefined ? {} : { cluster }),
        ...(secret === undefined ? {} : { secret }),
      });
      const backups: VerdictOnBackup[] = [];
      for (const backup of toVerify) backups.push(await this.#verify(used, backup, flags));
      for (const { cluster: whose, id, state } of left) this.output.message(`Left out: ${whose}/${id} is ${state}.`);
      const bad = backups.filter(({ good }) => !good).length;
      this.output.data(
        `${backups.length} backups verified in ${store.place}: ${bad === 0 ? 'all are good' : `${bad} damaged`}.`,
      );
      process.exitCode = bad === 0 ? EXIT_CODES.done : EXIT_CODES.verification;
      return {
        place: store.place,
        good: bad === 0,
        backups,
        left: left.map(({ cluster: whose, id, state }) => ({ cluster: whose, id, state })),
      };
    });
  }

  async #verify({ store, secret }: UsedStore, backup: ListedBackup, flags: Values): Promise<VerdictOnBackup> {
    const name = `${backup.cluster}/${backup.id}`;
    const progress = new VerifyProgressLines(this.output);
    const { user, host } = thisOperator();
    const verdict = await verifyBackup(store, backup, {
      parallel: flags.parallel,
      signal: this.signal,
      onProgress: (read) => progress.read(name, read),
      onLoading: (shard, loading) => progress.loading(name, shard, 'keys' in loading ? loading : {}),
      ...(flags.deep ? { load: 'deep' } : flags.load ? { load: 'load' } : {}),
      ...(flags.remember ? { by: `${user}@${host}` } : {}),
      ...(secret === undefined ? {} : { secret }),
    });
    for (const line of verifiedLines(verdict, this.output.colors)) this.output.data(line);
    return verdict;
  }
}
