import { Args } from '@oclif/core';
import { findBackup } from '../../backup/catalogue.js';
import { keepMarkOf } from '../../backup/keep.js';
import type { BackupManifest } from '../../backup/manifest.js';
import type { KeepMark } from '../../backup/marks.js';
import { type BackupSummary, promisesOf, summaryOf } from '../../backup/summary.js';
import { useStore } from '../../backup/use-store.js';
import { ForgeCommand } from '../../base-command.js';
import { formatSlots } from '../../cluster/slots.js';
import { encryptionFlags, fromFlags } from '../../config/backup-flags.js';
import { settingsFlags } from '../../config/cluster-flags.js';
import { detailLines, type ShownManifest } from '../../ui/backup-show.js';

interface BackupShowResult extends BackupSummary {
  readonly place: string;
  /** All of it; absent where it cannot be read. */
  readonly manifest?: BackupManifest;
  readonly promises: readonly string[];
  readonly keep?: KeepMark;
}

export default class BackupShow extends ForgeCommand {
  static override summary =
    'Show a backup: shards with offsets and times, nodes, slots, what is missing, what is promised.';
  static override description = `Everything that the manifest of a backup says. Changes nothing.
Exit code 5: there is no such backup. Whether its bytes are as they were written: forge backup verify.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --from /var/backups/redis',
    '<%= config.bin %> <%= command.id %> 20261122T054900Z-3fa2c1 --json',
  ];

  static override args = {
    id: Args.string({
      name: 'ID',
      description: 'The backup; the newest complete one when not told.',
      default: 'latest',
    }),
  };

  static override flags = { ...fromFlags, ...encryptionFlags, ...settingsFlags };

  async run(): Promise<BackupShowResult> {
    const { args, flags } = await this.parse(BackupShow);
    const onWarning = (text: string) => this.output.warning(text);
    const { signal } = this;
    return useStore(flags, { signal, withSecret: 'wanted', onWarning }, async ({ store, cluster, secret }) => {
      const backup = await findBackup(store, {
        id: args.id,
        signal,
        ...(cluster === undefined ? {} : { cluster }),
        ...(secret === undefined ? {} : { secret }),
      });
      const { manifest } = backup;
      const keep = await keepMarkOf(store, backup, signal);
      const summary = summaryOf(backup);
      const promises = manifest === undefined ? [] : promisesOf(manifest);
      const details = {
        ...{ place: store.place, summary, promises },
        ...(manifest === undefined ? {} : { manifest: shownOf(manifest) }),
        ...(keep === undefined ? {} : { keptBy: keptText(keep) }),
      };
      for (const line of detailLines(details, this.output.colors, Date.now())) this.output.data(line);
      return {
        ...{ place: store.place, ...summary, promises },
        ...(manifest === undefined ? {} : { manifest }),
        ...(keep === undefined ? {} : { keep }),
      };
    });
  }
}

const keptText = ({ at, by, note }: KeepMark) => `since ${at} by ${by}${note === undefined ? '' : `: ${note}`}`;

function shownOf(manifest: BackupManifest): ShownManifest {
  const { forge, startedAt, finishedAt, compression, currentEpoch, encryption, settings } = manifest;
  const addresses = new Map(manifest.nodes.map(({ id, address }) => [id, address]));
  return {
    ...{ forge, startedAt, finishedAt, compression, currentEpoch },
    ...(encryption === undefined ? {} : { cipher: encryption.cipher }),
    shards: manifest.shards.map(({ masterAddress, slots, source, ...shard }) => ({
      ...shard,
      master: masterAddress,
      slots: formatSlots(slots),
      source: source.address,
      role: source.role,
      kind: source.kind,
      server: `${source.server} ${source.version}`,
    })),
    nodes: manifest.nodes.map(({ masterId, slots, ...node }) => ({
      ...node,
      slots: formatSlots(slots),
      master: masterId === undefined ? '' : (addresses.get(masterId) ?? masterId),
    })),
    missing: manifest.missing.map(({ slots, ...missing }) => ({ ...missing, slots: formatSlots(slots) })),
    moving: formatSlots(manifest.moving),
    ...(settings === undefined ? {} : { settings }),
  };
}
