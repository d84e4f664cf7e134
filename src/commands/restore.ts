import path from 'node:path';
import { Args, Flags } from '@oclif/core';
import { findBackup } from '../backup/catalogue.js';
import { BackupArchive } from '../backup/restore/archive.js';
import { whileInUse } from '../backup/restore/in-use.js';
import type { RestorePlan } from '../backup/restore/plan.js';
import {
  openRestore,
  RESTORE_PARALLEL_DEFAULT,
  RESTORE_PARALLEL_MAX,
  type RestoreObserver,
  type RestoreOptions,
  type RestoreResult,
  type Restore as RestoreWork,
  surveyBackup,
} from '../backup/restore/restore.js';
import { Selection } from '../backup/restore/selection.js';
import { recordedShape, replicasFor } from '../backup/restore/shape.js';
import { restoreToFiles, type WrittenShard } from '../backup/restore/to-files.js';
import { useStore } from '../backup/use-store.js';
import { dryRunFlag, yesFlag } from '../base-command.js';
import { formatAddress, parseAddressList } from '../cluster/address.js';
import { REPLICAS_PER_MASTER_MAX } from '../cluster/init/plan.js';
import { type InitOptions, openInit } from '../cluster/init/session.js';
import { formatSlots } from '../cluster/slots.js';
import { ClusterCommand } from '../cluster-command.js';
import { encryptionFlags, fromFlags } from '../config/backup-flags.js';
import type { ClusterFlagValues } from '../config/cluster-flags.js';
import { resolveTarget } from '../config/resolve.js';
import { ForgeError } from '../errors.js';
import { parseSlots } from '../operations/planners/reshard.js';
import { RestoreProgress, restoreLines, shapeLines } from '../ui/restore.js';
import { runTasks } from '../ui/tasks.js';

const SECOND_MS = 1_000;
const CLEAN_UP_MS = 60_000;
const MIB = 1024 * 1024;

type Outcome =
  | RestoreResult
  | { readonly status: 'planned'; readonly plan: RestorePlan }
  | { readonly status: 'planned'; readonly shape: readonly object[]; readonly keys: number }
  | { readonly status: 'planned'; readonly folder: string; readonly bytes: number }
  | { readonly status: 'written'; readonly shards: readonly WrittenShard[] };

/** What is restored, and how it was asked for. */
interface Work {
  readonly archive: BackupArchive;
  readonly selection: Selection;
  /** As the backup has it. */
  readonly cluster: string;
  readonly flags: ClusterFlagValues & {
    readonly verify: boolean;
    readonly parallel: number;
    readonly replace: boolean;
    readonly 'keep-existing': boolean;
    readonly acl: boolean;
    readonly 'dry-run': boolean;
    readonly 'replicas-per-master'?: number;
    readonly confirm?: string;
    readonly yes: boolean;
  };
}

const sumOf = (shards: readonly { readonly keys: number }[]) => shards.reduce((sum, { keys }) => sum + keys, 0);

export default class Restore extends ClusterCommand {
  static override summary = 'Give a backup back: into a running cluster of any shape, into empty nodes, or as files.';
  static override description =
    `Looks at every byte of the backup first, shows what would happen, asks, and sends each key with its time to the master
that serves its slot. A cluster that holds keys is refused without --keep-existing or --replace. Run again after an
interruption, it goes on where it stopped. With --nodes, empty nodes are first made into a cluster of the same slots.
Exit codes: 0 restored, 2 wrong flags, 3 no store or key is configured, 4 a node or the store unreachable, 5 refused (keys
are there, values that the servers do not know, not confirmed), 6 the same restore is under way, 7 timed out, 8 partly
done, 9 the backup is damaged or keys are missing afterwards, 10 a server is needed that is not here, 11 access denied.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --from /var/backups/redis --dry-run',
    '<%= config.bin %> <%= command.id %> 20261122T054900Z-3fa2c1 --from s3://backups/redis --seed 10.0.0.1:6379',
    '<%= config.bin %> <%= command.id %> latest --match "session:*" --keep-existing --yes',
    '<%= config.bin %> <%= command.id %> latest --replace --confirm orders --yes',
    '<%= config.bin %> <%= command.id %> latest --nodes 10.0.0.1:6379,10.0.0.2:6379,10.0.0.3:6379',
    '<%= config.bin %> <%= command.id %> latest --files /srv/restored',
  ];

  static override args = {
    id: Args.string({
      name: 'ID',
      description: 'The backup; the newest complete one when not told.',
      default: 'latest',
    }),
  };

  static override flags = {
    ...fromFlags,
    ...encryptionFlags,
    'keep-existing': Flags.boolean({
      description: 'Restore into a cluster that holds keys; those that are there stay as they are.',
      default: false,
      exclusive: ['replace'],
    }),
    replace: Flags.boolean({
      description:
        'Restore into a cluster that holds keys; those of the backup take the place of those that are there.',
      default: false,
    }),
    confirm: Flags.string({
      description: 'Name of the cluster, for --replace where nobody is asked.',
      helpValue: 'NAME',
    }),
    match: Flags.string({ description: 'Only keys of this pattern, as SCAN takes it.', helpValue: 'PATTERN' }),
    shard: Flags.integer({
      description: 'Only this shard of the backup, by its number. May be repeated.',
      helpValue: 'N',
      min: 1,
      multiple: true,
      multipleNonGreedy: true,
    }),
    slots: Flags.string({ description: 'Only keys of these slots.', helpValue: 'SLOTS' }),
    verify: Flags.boolean({
      description: 'Look at every byte of the backup before the first key is written.',
      default: true,
      allowNo: true,
    }),
    parallel: Flags.integer({
      description: 'Shards of the backup that are read at once.',
      default: RESTORE_PARALLEL_DEFAULT,
      min: 1,
      max: RESTORE_PARALLEL_MAX,
      helpValue: 'N',
    }),
    acl: Flags.boolean({
      description: 'Put the users of the backup in place, too, but for the default one and the one of this command.',
      default: false,
    }),
    nodes: Flags.string({
      description: 'Form a cluster of these empty nodes first, with the slots that each master had.',
      helpValue: 'HOST:PORT,...',
      exclusive: ['seed', 'files', 'replace', 'keep-existing', 'shard', 'slots', 'match'],
    }),
    'replicas-per-master': Flags.integer({
      description: 'With --nodes: replicas of every master; else as many as the nodes allow.',
      min: 0,
      max: REPLICAS_PER_MASTER_MAX,
      helpValue: 'N',
      dependsOn: ['nodes'],
    }),
    files: Flags.string({
      description: 'Write a folder for each shard instead, from which a server starts.',
      helpValue: 'DIR',
      exclusive: ['seed', 'replace', 'keep-existing', 'slots', 'match', 'acl'],
    }),
    ...yesFlag,
    ...dryRunFlag,
  };

  protected override readonly cleanUpMs = CLEAN_UP_MS;

  async run(): Promise<Outcome> {
    const { args, flags } = await this.parse(Restore);
    const { signal } = this;
    const selection = new Selection({
      ...(flags.shard === undefined ? {} : { shards: flags.shard }),
      ...(flags.slots === undefined ? {} : { slots: parseSlots(flags.slots) }),
      ...(flags.match === undefined ? {} : { match: flags.match }),
    });
    const onWarning = (text: string) => this.output.warning(text);
    return useStore(flags, { signal, withSecret: true, onWarning }, async ({ store, cluster, secret, settings }) => {
      const backup = await findBackup(store, {
        id: args.id,
        signal,
        ...(cluster === undefined ? {} : { cluster }),
        ...(secret === undefined ? {} : { secret }),
      });
      const archive = new BackupArchive(store, backup, secret);
      const work = { archive, selection, flags, cluster: backup.cluster };
      const restore = async () => {
        if (flags.files !== undefined) return this.#toFiles(work, flags.files);
        if (flags.nodes === undefined) return this.#intoCluster(work, flags);
        const { connect } = await resolveTarget(flags, settings);
        return this.#intoNodes(work, flags.nodes, connect);
      };
      if (flags['dry-run']) return restore();
      const onUnmarked = ({ message }: ForgeError) =>
        onWarning(`Others cannot see that this backup is in use: do not prune it now. ${message}`);
      return whileInUse(store, { backup, forge: this.config.version, signal, onUnmarked }, restore);
    });
  }

  async #intoCluster(
    { archive, selection, flags, cluster }: Work,
    target: ClusterFlagValues,
    verify: RestoreOptions['verify'] = flags.verify,
    asked = false,
  ): Promise<Outcome> {
    return this.withSession(target, async (session) => {
      const restore = await openRestore({
        session,
        archive,
        selection,
        existing: flags.replace ? 'replace' : flags['keep-existing'] ? 'keep' : 'refuse',
        parallel: flags.parallel,
        verify,
        users: flags.acl,
        signal: this.signal,
        observer: this.#observer,
      });
      this.#show(restore.plan);
      if (flags['dry-run']) {
        this.output.message('Dry run: nothing was changed.');
        return { status: 'planned', plan: restore.plan };
      }
      if (!asked) await this.#ask(restore.plan, session.name ?? cluster, flags);
      return this.#apply(restore);
    });
  }

  /** Everything is looked at before the nodes are made into a cluster. */
  async #intoNodes(work: Work, addresses: string, connect: InitOptions['connect']): Promise<Outcome> {
    const { archive, selection, flags } = work;
    const nodes = parseAddressList(addresses);
    const shape = recordedShape(archive.manifest);
    const replicasPerMaster = flags['replicas-per-master'] ?? replicasFor(shape, nodes.length);
    const { assignment } = shape;
    const init = await openInit({ nodes, replicasPerMaster, assignment, connect, signal: this.signal });
    try {
      const shards = init.plan.shards.map((shard) => ({ ...shard, slots: formatSlots(shard.slots) }));
      for (const line of shapeLines(shards)) this.output.data(line);
      for (const note of init.notes) this.output.message(`Note: ${note}`);
      const observer = this.#observer;
      const { parallel } = flags;
      const survey = flags.verify
        ? await surveyBackup(archive, { selection, parallel, signal: this.signal, observer })
        : undefined;
      if (flags['dry-run']) {
        this.output.message('Dry run: nothing was changed.');
        return { status: 'planned', shape: shards, keys: survey?.keys ?? sumOf(archive.manifest.shards) };
      }
      const keys = survey?.keys ?? sumOf(archive.manifest.shards);
      await this.confirm(`Form this cluster of ${nodes.length} nodes, and restore ${keys} keys into it?`);
      const tasks = init.steps().map(({ title, run }) => ({ title, run: async () => run() }));
      await runTasks(tasks, { output: this.output, context: {} });
      const { seed: _, ...target } = flags;
      return await this.#intoCluster(
        work,
        { ...target, seed: nodes.map(formatAddress).join(',') },
        survey ?? false,
        true,
      );
    } finally {
      init.close();
    }
  }

  async #toFiles({ archive, selection, flags }: Work, directory: string): Promise<Outcome> {
    const shards = selection.shardsOf(archive.manifest);
    const folder = path.resolve(directory);
    const bytes = shards.reduce((sum, { object }) => sum + object.plainBytes, 0);
    this.output.data(`${shards.length} shards, ${(bytes / MIB).toFixed(1)} MiB, into ${folder}`);
    if (flags['dry-run']) {
      this.output.message('Dry run: nothing was changed.');
      return { status: 'planned', folder, bytes };
    }
    const { parallel } = flags;
    const written = await restoreToFiles({ archive, shards, directory: folder, parallel, signal: this.signal });
    for (const shard of written) this.output.data(`  ${shard.folder}`);
    this.output.message('README.txt in each says how a server is started from it.');
    return { status: 'written', shards: written };
  }

  get #observer(): RestoreObserver {
    const progress = new RestoreProgress(this.output);
    return {
      surveyed: (bytes, total) => progress.surveyed(bytes, total),
      restored: (tally, total) => progress.restored(tally, total),
      remark: (text) => progress.remark(text),
    };
  }

  #show(plan: RestorePlan): void {
    for (const line of restoreLines(plan)) this.output.data(line);
    for (const note of plan.notes) this.output.message(`Note: ${note}`);
    if (plan.resumed) this.output.message('This restore was interrupted; it goes on where it stopped.');
  }

  /** What overwrites cannot be undone: a `--yes` in a script that was written for an empty cluster is no consent. */
  async #ask(
    plan: RestorePlan,
    name: string,
    flags: { readonly confirm?: string; readonly yes: boolean },
  ): Promise<void> {
    const overwrites = plan.existing === 'replace' && plan.existingKeys > 0;
    const question = `Restore ${plan.keys} keys into ${plan.masters.length} masters?`;
    if (!overwrites) {
      await this.confirm(question);
      return;
    }
    if (flags.confirm === name) return;
    if (flags.confirm !== undefined || flags.yes) {
      const given =
        flags.confirm === undefined ? 'The name of the cluster is not given' : `${flags.confirm} is not its name`;
      throw new ForgeError(
        'refused',
        `Keys of a cluster that holds ${plan.existingKeys} are to be replaced. ${given}.`,
        {
          next: `Look where this leads, then add --confirm ${name}`,
        },
      );
    }
    await this.confirm(`${question} Keys of the same names are overwritten.`, { confirmWord: name });
  }

  async #apply(restore: RestoreWork): Promise<RestoreResult> {
    const result = await restore.apply();
    const { restored, existing, expired, functions, notes, elapsedMs } = result;
    for (const note of notes) this.output.warning(note);
    if (existing > 0) {
      this.output.message(
        `${existing} keys were there and stay: ${result.existingNames.join(', ')}${existing > result.existingNames.length ? ', …' : ''}`,
      );
    }
    if (functions.existing.length > 0) {
      this.output.warning(`functions of another content were there and stay: ${functions.existing.join(', ')}.`);
    }
    const seconds = elapsedMs / SECOND_MS;
    const also = [
      ...(expired > 0 ? [`${expired} whose time has come are left out`] : []),
      ...(result.users.length > 0 ? [`users: ${result.users.join(', ')}`] : []),
      ...(functions.loaded.length > 0 ? [`functions: ${functions.loaded.join(', ')}`] : []),
    ];
    this.output.data(
      `Restored and verified in ${seconds.toFixed(2)} s: ${restored} keys${also.length > 0 ? `; ${also.join('; ')}` : ''}.`,
    );
    return result;
  }
}
