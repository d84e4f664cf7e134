/** Files by which cron or systemd run a backup. Pure. */
import { formatDuration } from '../../config/duration.js';
import { ForgeError } from '../../errors.js';
import { renderTemplate } from '../../runtime/template.js';
import type { Schedule } from './times.js';

/** The first line of every file: only those that have it are replaced and removed. */
export const OWN_LINE = '# Written by forge backup schedule; forge backup schedule --remove takes it away.';
const SECOND_MS = 1_000;

export type ScheduleKind = 'cron' | 'systemd';

export interface ScheduledBackup {
  readonly cluster: string;
  readonly schedule: Schedule;
  /** Absolute: the program, and what is before it. */
  readonly program: readonly string[];
  /** Words after `forge backup`; paths in them are absolute. */
  readonly words: readonly string[];
  /** Who it runs as. */
  readonly user: string;
  /** Forge's own folder, absolute. */
  readonly home: string;
  /** It begins so much later at most, by chance. */
  readonly delayMs: number;
}

export interface ScheduleFile {
  readonly path: string;
  readonly text: string;
}

/** cron leaves files alone whose names have a dot. */
const plainName = (cluster: string) => `redisforge-backup-${cluster.replace(/[^A-Za-z0-9_-]/g, '_')}`;

/** Where the files of both kinds are. */
export function schedulePaths(cluster: string): Record<ScheduleKind, string[]> {
  const name = plainName(cluster);
  return {
    cron: [`/etc/cron.d/${name}`],
    systemd: [`/etc/systemd/system/${name}.service`, `/etc/systemd/system/${name}.timer`],
  };
}

/** The unit that systemd starts. */
export const timerName = (cluster: string): string => `${plainName(cluster)}.timer`;

/** One word for the shell that cron runs; cron itself makes a line end of a percent sign. */
function cronWord(text: string): string {
  const quoted = /^[\w@+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  return quoted.replaceAll('%', '\\%');
}

/** One word of ExecStart (systemd.service, "Command lines"): specifiers and variables are not wanted. */
function unitWord(text: string): string {
  const plain = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@+=:,./%-]+$/.test(plain) ? plain : `"${plain.replace(/[\\"]/g, '\\$&')}"`;
}

/** @throws ForgeError `usage` for a word of more than one line */
function requireLines(words: readonly string[]): void {
  const wrong = words.find((word) => /[\r\n\0]/.test(word));
  if (wrong !== undefined) throw new ForgeError('usage', 'A flag has more than one line: no schedule can hold that.');
}

/** The line of cron, with the time, the user and the command. */
export function cronFile({ cluster, schedule, program, words, user, home, delayMs }: ScheduledBackup): ScheduleFile {
  const delay = delayMs === 0 ? [] : ['--delay', formatDuration(delayMs)];
  const command = [...program, 'backup', ...words, ...delay];
  requireLines([...command, user, home]);
  const [path = ''] = schedulePaths(cluster).cron;
  const line = `${schedule.cron} ${user} FORGE_HOME=${cronWord(home)} ${command.map(cronWord).join(' ')}`;
  return { path, text: `${OWN_LINE}\nSHELL=/bin/sh\n${line}\n` };
}

/**
 * The service and its timer.
 * @param templates texts of `systemd/redisforge-backup.service` and `.timer`
 * @throws ForgeError `usage` for times that systemd has no words for
 */
export function systemdFiles(
  { cluster, schedule, program, words, user, home, delayMs }: ScheduledBackup,
  templates: { readonly service: string; readonly timer: string },
): ScheduleFile[] {
  if (schedule.calendar === undefined) {
    throw new ForgeError('usage', `systemd has no words for ${schedule.cron}: days of the month and of the week.`, {
      next: 'Take --format cron, or only one of both.',
    });
  }
  const command = [...program, 'backup', ...words];
  requireLines([...command, user, home]);
  const [service = '', timer = ''] = schedulePaths(cluster).systemd;
  const values = {
    cluster,
    user,
    environment: unitWord(`FORGE_HOME=${home}`),
    command: command.map(unitWord).join(' '),
  };
  return [
    { path: service, text: `${OWN_LINE}\n${renderTemplate(templates.service, values)}` },
    {
      path: timer,
      text: `${OWN_LINE}\n${renderTemplate(templates.timer, {
        cluster,
        calendar: schedule.calendar,
        delay: Math.ceil(delayMs / SECOND_MS),
      })}`,
    },
  ];
}
