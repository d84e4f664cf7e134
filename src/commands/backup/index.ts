import path from 'node:path';
import { Flags } from '@oclif/core';
import { pruneBackups } from '../../backup/prune.js';
import { hasRule, type RetentionRules } from '../../backup/retention.js';
import { RunLog } from '../../backup/run/log.js';
import { type BackupPreview, previewBackup } from '../../backup/run/preview.js';
import { type BackupRequest, type BackupResult, runBackup } from '../../backup/run/run.js';
import { backupTextfilePath, type RunOutcome, writeBackupTextfile } from '../../backup/run/textfile.js';
import { dryRunFlag } from '../../base-command.js';
import { pause } from '../../cluster/bounded.js';
import { countSlots, formatSlots } from '../../cluster/slots.js';
import { ClusterCommand } from '../../cluster-command.js';
import { type EncryptionFlagValues, requireBackupCluster, type StoreFlagValues } from '../../config/backup-flags.js';
import { retentionRules } from '../../config/backup-retention.js';
import { backupRunFlags, dataDirectories } from '../../config/backup-run-flags.js';
import { backupSecret, storeSettings } from '../../config/backup-settings.js';
import { type ClusterFlagValues, readSettings } from '../../config/cluster-flags.js';
import { parseDuration } from '../../config/duration.js';
import { EXIT_CODES } from '../../errors.js';
import { hangupByTerminal } from '../../interruption.js';
import { forgeHome } from '../../local/paths.js';
import { BackupProgress } from '../../ui/backup-run.js';
import { bytesText } from '../../ui/cluster-status.js';
import { toForgeError } from '../../ui/failure.js';
import { renderTable } from '../../ui/table.js';

const WAIT_MAX_MS = 24 * 3_600_000;
const DELAY_MAX_MS = 12 * 3_600_000;
/** What has been written is removed after Ctrl-C: that takes as long as the store takes. */
const CLEAN_UP_MS = 60_000;
const SECOND_MS = 1_000;
const RANGES_SHOWN_MAX = 2;

interface Values extends ClusterFlagValues, StoreFlagValues, EncryptionFlagValues {
  readonly node?: string;
  readonly source: BackupRequest['source'];
  readonly 'data-dir'?: string[];
  readonly partial: boolean;
  readonly wait: string;
  readonly parallel: number;
  readonly compression: BackupRequest['compression'];
  readonly prune: boolean;
  readonly log?: string;
  readonly textfile?: string;
  readonly delay?: string;
  readonly 'dry-run': boolean;
}

type Request = Pick<BackupRequest, 'cluster' | 'store' | 'waitMs' | 'secret'>;

interface Pruned {
  /** Ids of old backups that were removed afterwards. */
  readonly pruned?: readonly string[];
  readonly pruneFailed?: boolean;
}

export default class Backup extends ClusterCommand {
  static override summary = 'Back up a cluster, or one node, to a directory or an S3-compatible store.';
  static override description =
    `Each master's data is read over the network, from a healthy replica where there is one, and streamed into the store:
compressed, encrypted on this side where a key is given, with nothing on a disk in between. The manifest is written last: a
backup is wholly there or not at all, and what a run that was ended has left is removed by the next one.
Exit codes: 0 done, 4 a master cannot be read, 6 another run is at work, 8 done without the masters that --partial left out.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --to /var/backups/redis',
    '<%= config.bin %> <%= command.id %> --to s3://backups/redis --endpoint https://s3.example.com',
    '<%= config.bin %> <%= command.id %> --quiet --log /var/log/redisforge/backup.jsonl --textfile /var/lib/prometheus/node-exporter',
    '<%= config.bin %> <%= command.id %> --dry-run',
  ];

  static override flags = {
    ...backupRunFlags,
    ...dryRunFlag,
    delay: Flags.string({
      description: 'Wait a random time of so long at most first, so that not all hosts begin at once.',
      helpValue: 'DURATION',
    }),
  };

  protected override readonly cleanUpMs = CLEAN_UP_MS;
  protected override readonly hangup = hangupByTerminal();

  async run(): Promise<BackupResult | BackupPreview> {
    const { flags } = await this.parse(Backup);
    dataDirectories(flags['data-dir']);
    const waitMs = parseDuration(flags.wait, { minMs: 0, maxMs: WAIT_MAX_MS });
    if (flags.delay !== undefined) {
      await pause(Math.random() * parseDuration(flags.delay, { minMs: 0, maxMs: DELAY_MAX_MS }), this.signal);
    }
    const settings = await readSettings(flags);
    const rules = flags.prune ? retentionRules({}, settings) : {};
    const cluster = requireBackupCluster(flags, settings);
    const { openStore } = await import('../../backup/store/open.js');
    const store = await openStore(await storeSettings(flags, settings));
    try {
      if (flags['dry-run']) return await this.#preview(flags, { cluster, place: store.place });
      const onWarning = (text: string) => this.output.warning(text);
      const secret = await backupSecret(flags, settings, { signal: this.signal, onWarning });
      return await this.#backUp(flags, { cluster, store, secret, waitMs }, rules);
    } finally {
      store.close();
    }
  }

  async #preview(flags: Values, { cluster, place }: { cluster: string; place: string }): Promise<BackupPreview> {
    const preview = await this.withSession(flags, (session) =>
      previewBackup(session, { cluster, place, node: flags.node }),
    );
    const { shards, missing, leftOut, moving } = preview;
    const rows = shards.map(({ masterAddress, slots, keys, sources, passedOver }) => [
      masterAddress,
      formatSlots(slots, RANGES_SHOWN_MAX),
      keys.toLocaleString('en'),
      sources[0]?.address ?? '-',
      sources[0]?.role ?? '-',
      passedOver.map(({ address, reason }) => `${address}: ${reason}`).join('; '),
    ]);
    this.output.data(
      renderTable(['MASTER', 'SLOTS', { title: 'KEYS', align: 'right' }, 'READ FROM', 'ROLE', 'NOT READ'], rows),
    );
    for (const { address, reason } of missing) this.output.warning(`${address} cannot be read: ${reason}`);
    if (moving.length > 0) this.output.warning(`${countSlots(moving)} slots are on their way: a run would wait.`);
    const without = leftOut.length + missing.length;
    const but = without === 0 ? '' : `, ${without} without`;
    this.output.data(`Would back up ${shards.length} masters${but} of ${cluster} to ${place}.`);
    if (missing.length > 0 && !flags.partial) process.exitCode = EXIT_CODES.unreachable;
    return preview;
  }

  async #backUp(flags: Values, request: Request, rules: RetentionRules): Promise<BackupResult & Pruned> {
    const { cluster } = request;
    const log = flags.log === undefined ? undefined : new RunLog(path.resolve(flags.log), cluster);
    const textfile =
      flags.textfile === undefined ? undefined : await backupTextfilePath(path.resolve(flags.textfile), cluster);
    const tell = (outcome: Omit<RunOutcome, 'cluster' | 'endedAtMs'>) =>
      textfile === undefined
        ? undefined
        : writeBackupTextfile(textfile, { cluster, endedAtMs: Date.now(), ...outcome });
    let result: BackupResult;
    try {
      result = await this.#make(flags, request, log);
    } catch (error) {
      const { kind, exitCode, message } = toForgeError(error);
      log?.write('failed', { kind, exitCode, message });
      // Another run is at work: what it tells will be newer.
      if (kind !== 'locked') await tell({ exitCode });
      throw error;
    }
    const pruned = result.complete ? await this.#prune(request, rules) : {};
    const whole = (result.complete || flags.node !== undefined) && !pruned.pruneFailed;
    const exitCode = whole ? EXIT_CODES.done : EXIT_CODES.partial;
    const { keys, bytes, elapsedMs, moving, shards } = result;
    log?.write('done', { exitCode, ...result, ...pruned, shards: shards.length });
    await tell({
      exitCode,
      ...(result.complete && {
        success: {
          ...{ finishedAtMs: Date.parse(result.finishedAt), elapsedMs, bytes, keys, masters: shards.length },
          movingSlots: countSlots(moving),
        },
      }),
    });
    if (log?.broken) this.output.warning(`${flags.log} could not be written to any more.`);
    this.#show(result);
    process.exitCode = exitCode;
    return { ...result, ...pruned };
  }

  /** The backup is there: what cannot be removed now is removed after the next one. */
  async #prune({ store, cluster }: Request, rules: RetentionRules): Promise<Pruned> {
    if (!hasRule(rules)) return {};
    try {
      const { removed } = await pruneBackups(store, { cluster, rules, signal: this.signal });
      if (removed.length > 0) this.output.message(`Removed old backups: ${removed.join(', ')}`);
      return { pruned: removed };
    } catch (error) {
      const { kind, message } = toForgeError(error);
      this.output.warning(`The backup is made; old ones could not be removed: ${message}`);
      // Somebody else is at it.
      return { pruned: [], pruneFailed: kind !== 'locked' };
    }
  }

  #make(flags: Values, request: Request, log: RunLog | undefined): Promise<BackupResult> {
    const progress = new BackupProgress(this.output);
    return this.withSession(flags, (session) =>
      runBackup({
        session,
        ...request,
        ...(flags.node === undefined ? {} : { node: flags.node }),
        source: flags.source,
        directories: dataDirectories(flags['data-dir']),
        compression: flags.compression,
        partial: flags.partial,
        parallel: flags.parallel,
        forge: this.config.version,
        home: forgeHome(),
        signal: this.signal,
        observe: (event) => {
          progress.show(event);
          log?.event(event);
        },
      }),
    );
  }

  #show({ id, cluster, place, shards, missing, moving, keys, bytes, plainBytes, elapsedMs }: BackupResult): void {
    const slots = countSlots(moving);
    if (slots > 0) {
      const which = formatSlots(moving, RANGES_SHOWN_MAX);
      this.output.warning(
        `${slots} slots (${which}) were on their way: keys of these may be in it twice, or not at all.`,
      );
    }
    for (const { address, reason } of missing) this.output.warning(`${address} is not in it: ${reason}`);
    const of = missing.length === 0 ? `${shards.length}` : `${shards.length} of ${shards.length + missing.length}`;
    const sizes = `${bytesText(bytes)} (${bytesText(plainBytes)} before compression)`;
    const seconds = (elapsedMs / SECOND_MS).toFixed(1);
    this.output.data(
      `Backup ${cluster}/${id}: ${of} masters, ${keys.toLocaleString('en')} keys, ${sizes} in ${seconds} s, in ${place}`,
    );
  }
}
