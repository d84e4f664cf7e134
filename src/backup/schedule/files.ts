/** The files of a schedule, with what this installation has for them. */
import { packageFile } from '../../package-root.js';
import { readTemplate } from '../../runtime/template.js';
import { cronFile, type ScheduledBackup, type ScheduleFile, type ScheduleKind, systemdFiles } from './units.js';

/** How this program is started from any folder. */
export function thisProgram(): string[] {
  return [process.execPath, packageFile('bin', 'run.js')];
}

/** @throws ForgeError `usage` for what the kind has no words for, `missing` when the installation is incomplete */
export async function scheduleFiles(kind: ScheduleKind, backup: ScheduledBackup): Promise<ScheduleFile[]> {
  if (kind === 'cron') return [cronFile(backup)];
  const [service, timer] = await Promise.all([
    readTemplate('systemd/redisforge-backup.service'),
    readTemplate('systemd/redisforge-backup.timer'),
  ]);
  return systemdFiles(backup, { service, timer });
}
