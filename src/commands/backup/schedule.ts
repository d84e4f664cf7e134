import os from 'node:os';
import path from 'node:path';
import { Flags } from '@oclif/core';
import { scheduleFiles, thisProgram } from '../../backup/schedule/files.js';
import { hasSystemd, installSchedule, removeSchedule } from '../../backup/schedule/install.js';
import { parseSchedule } from '../../backup/schedule/times.js';
import type { ScheduledBackup, ScheduleFile } from '../../backup/schedule/units.js';
import { backupWords } from '../../backup/schedule/words.js';
import { ForgeCommand } from '../../base-command.js';
import { requireBackupCluster } from '../../config/backup-flags.js';
import { BACKUP_VARIABLES } from '../../config/backup-place.js';
import { backupRunFlags } from '../../config/backup-run-flags.js';
import { clusterFlags, readSettings } from '../../config/cluster-flags.js';
import { parseDuration } from '../../config/duration.js';
import { KNOWN_VARIABLES, type Settings } from '../../config/resolve.js';
import { ForgeError } from '../../errors.js';
import { forgeHome } from '../../local/paths.js';

const DELAY_MAX_MS = 12 * 3_600_000;

interface ScheduleResult {
  readonly cluster: string;
  readonly format: 'cron' | 'systemd';
  readonly files: readonly ScheduleFile[];
  readonly installed: boolean;
  readonly removed: readonly string[];
}

export default class BackupSchedule extends ForgeCommand {
  static override summary = 'Print or install what runs forge backup regularly: a cron line, or a systemd timer.';
  static override description =
    `Takes the flags of forge backup, and puts them with absolute paths into /etc/cron.d, or into a service and a timer of systemd.
Passwords and keys are not among them: they stay in .env, in forge.yaml's places, or in files. What was installed before for the
cluster is replaced; files that forge has not written are left alone.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> --to s3://backups/redis',
    '<%= config.bin %> <%= command.id %> --every hourly --textfile /var/lib/prometheus/node-exporter --install',
    '<%= config.bin %> <%= command.id %> --every "30 3 * * 1-5" --format cron --user backup --install',
    '<%= config.bin %> <%= command.id %> --remove',
  ];

  static override flags = {
    ...clusterFlags,
    ...backupRunFlags,
    every: Flags.string({
      description:
        'hourly, daily (at 2; the default), weekly (Sunday at 2), or five fields of cron (BACKUP_INTERVAL_CRON).',
      helpValue: 'WHEN',
    }),
    'random-delay': Flags.string({
      description: 'It begins so much later at most, by chance, so that not all hosts begin at once; 0s for none.',
      default: '10m',
      helpValue: 'DURATION',
    }),
    format: Flags.option({
      options: ['cron', 'systemd'] as const,
      description: 'What runs it; systemd where that runs, else cron.',
    })(),
    user: Flags.string({ description: 'Who it runs as; you when not given.', helpValue: 'NAME' }),
    install: Flags.boolean({
      description: 'Write the files, and have systemd take them; needs root.',
      exclusive: ['remove'],
    }),
    remove: Flags.boolean({ description: 'Take away what --install has written for the cluster.' }),
    root: Flags.string({
      description: 'The / of a system that does not run: an image that is mounted there.',
      helpValue: 'DIR',
    }),
  };

  async run(): Promise<ScheduleResult> {
    const { flags } = await this.parse(BackupSchedule);
    const settings = await readSettings(flags);
    const cluster = requireBackupCluster(flags, settings);
    const root = flags.root === undefined ? '' : path.resolve(flags.root).replace(/\/+$/, '');
    const format = flags.format ?? ((await hasSystemd()) ? 'systemd' : 'cron');
    if (flags.remove) {
      const removed = await removeSchedule({ cluster, root });
      if (removed.length === 0) this.output.data(`No schedule of ${cluster} is installed.`);
      for (const file of removed) this.output.data(`Removed ${root}${file}`);
      return { cluster, format, files: [], installed: false, removed };
    }
    const backup: ScheduledBackup = {
      cluster,
      schedule: parseSchedule(flags.every ?? settings.environment['BACKUP_INTERVAL_CRON'] ?? 'daily'),
      program: thisProgram(),
      words: backupWords(
        flags,
        { ...clusterFlags, ...backupRunFlags },
        {
          config: settings.forgeFile?.path,
          'env-file': settings.envFile?.path,
          cluster,
        },
      ),
      user: userName(flags.user),
      home: forgeHome(),
      delayMs: parseDuration(flags['random-delay'], { minMs: 0, maxMs: DELAY_MAX_MS }),
    };
    this.#warnOfEnvironment(settings);
    const files = await scheduleFiles(format, backup);
    if (flags.install) {
      for (const file of await installSchedule(format, files, { cluster, root })) {
        this.output.data(`Installed ${root}${file}`);
      }
    } else {
      for (const { path: file, text } of files) this.output.data(`# ${file}\n${text}`);
      this.output.message('Nothing is installed: --install does that.');
    }
    return { cluster, format, files, installed: flags.install === true, removed: [] };
  }

  /** cron and systemd have an environment of their own. */
  #warnOfEnvironment({ envFile }: Settings): void {
    const here = [...KNOWN_VARIABLES, ...BACKUP_VARIABLES].filter((name) => process.env[name]);
    const lost = [...new Set(here)].filter((name) => !envFile?.content.values.has(name));
    if (lost.length > 0)
      this.output.warning(`${lost.join(', ')}: set here, and not where it will run. Put it into .env.`);
  }
}

/** @throws ForgeError `usage` for what is no name: it becomes a field of a line */
function userName(asked: string | undefined): string {
  const name = asked ?? os.userInfo().username;
  if (/^[a-z_][a-z0-9_.-]{0,31}\$?$/i.test(name)) return name;
  throw new ForgeError('usage', `--user ${JSON.stringify(name)}: this is no name of a user.`);
}
