/** Tells Prometheus, through the node exporter, how the last backup of a cluster went, and when the last one succeeded. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../../errors.js';
import { BACKUP_EXIT_METRIC, BACKUP_METRIC, backupTextfile, family, TEXTFILE_MODE } from '../../monitoring/textfile.js';
import { writeFileAtomic } from '../../runtime/files.js';

/** Longer than any that was written here. */
const TEXTFILE_MAX_BYTES = 64 * 1024;
const SECOND_MS = 1_000;

/** Of the last backup that has all masters in it. */
const OF_SUCCESS = {
  [BACKUP_METRIC]: 'When the last backup of the cluster succeeded.',
  redisforge_backup_duration_seconds: 'How long the last backup that succeeded took.',
  redisforge_backup_stored_bytes: 'Bytes of the last backup that succeeded, as stored.',
  redisforge_backup_keys: 'Keys in the last backup that succeeded.',
  redisforge_backup_masters: 'Masters in the last backup that succeeded.',
  redisforge_backup_moving_slots: 'Slots that were on their way during the last backup that succeeded.',
} as const;
/** Of the last run, however it ended. */
const OF_RUN = {
  redisforge_backup_last_run_timestamp_seconds: 'When the last run ended.',
  [BACKUP_EXIT_METRIC]: 'Exit code of the last run; 0 for success.',
} as const;

type SuccessMetric = keyof typeof OF_SUCCESS;

export interface BackupSuccess {
  readonly finishedAtMs: number;
  readonly elapsedMs: number;
  readonly bytes: number;
  readonly keys: number;
  readonly masters: number;
  readonly movingSlots: number;
}

export interface RunOutcome {
  readonly cluster: string;
  readonly endedAtMs: number;
  readonly exitCode: number;
  /** Not for a run that failed, or left masters out. */
  readonly success?: BackupSuccess;
}

/**
 * What is told after a run. Pure.
 * @param previous what the file says now: without a success, that of before stays
 */
export function formatBackupRun({ cluster, endedAtMs, exitCode, success }: RunOutcome, previous = ''): string {
  const told = success === undefined ? previousSuccess(previous, cluster) : valuesOf(success);
  const labels = { redis_cluster: cluster };
  const one = (name: string, help: string, value: number | undefined) =>
    value === undefined ? '' : family(name, help, [{ labels, value }]);
  const run = {
    redisforge_backup_last_run_timestamp_seconds: Math.floor(endedAtMs / SECOND_MS),
    [BACKUP_EXIT_METRIC]: exitCode,
  };
  return [
    ...Object.entries(OF_SUCCESS).map(([name, help]) => one(name, help, told[name as SuccessMetric])),
    ...Object.entries(OF_RUN).map(([name, help]) => one(name, help, run[name as keyof typeof OF_RUN])),
  ].join('');
}

function valuesOf(success: BackupSuccess): Record<SuccessMetric, number> {
  return {
    [BACKUP_METRIC]: Math.floor(success.finishedAtMs / SECOND_MS),
    redisforge_backup_duration_seconds: success.elapsedMs / SECOND_MS,
    redisforge_backup_stored_bytes: success.bytes,
    redisforge_backup_keys: success.keys,
    redisforge_backup_masters: success.masters,
    redisforge_backup_moving_slots: success.movingSlots,
  };
}

function previousSuccess(text: string, cluster: string): Partial<Record<SuccessMetric, number>> {
  const found: Partial<Record<SuccessMetric, number>> = {};
  for (const line of text.split('\n')) {
    const [, name, label, value] = /^(\w+)\{redis_cluster="([^"\\]*)"\} ([0-9.eE+-]+)$/.exec(line) ?? [];
    if (name === undefined || label !== cluster || !(name in OF_SUCCESS)) continue;
    if (Number.isFinite(Number(value))) found[name as SuccessMetric] = Number(value);
  }
  return found;
}

/**
 * The file that is meant, before anything is done.
 * @param target a file whose name ends in `.prom`, or the exporter's folder: then the cluster's own file in it
 * @throws ForgeError `usage` for another name
 */
export async function backupTextfilePath(target: string, cluster: string): Promise<string> {
  const isFolder = (await stat(target).catch(() => undefined))?.isDirectory() === true;
  const file = isFolder ? path.join(target, backupTextfile(cluster)) : target;
  if (file.endsWith('.prom')) return file;
  throw new ForgeError('usage', `--textfile ${target} is neither a folder nor a file whose name ends in .prom.`, {
    next: 'The node exporter reads no others. Name its folder: with Debian’s package /var/lib/prometheus/node-exporter.',
  });
}

/** Writes it whole: the exporter never reads half of one. @throws ForgeError `configuration` where it cannot be written */
export async function writeBackupTextfile(file: string, outcome: RunOutcome): Promise<void> {
  try {
    const previous = await readFile(file, 'utf8').catch(() => '');
    const text = formatBackupRun(outcome, previous.length > TEXTFILE_MAX_BYTES ? '' : previous);
    await writeFileAtomic(file, text, TEXTFILE_MODE);
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new ForgeError('configuration', `${file} cannot be written (${code}).`, {
      next: 'Make the folder, or let this user write there.',
      cause,
    });
  }
}
