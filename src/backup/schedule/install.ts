/** Puts schedules of backups on this host, and takes them away. */
import { execFile } from 'node:child_process';
import { lstat, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { ForgeError } from '../../errors.js';
import { writeFileAtomic } from '../../runtime/files.js';
import { OWN_LINE, type ScheduleFile, type ScheduleKind, schedulePaths, timerName } from './units.js';

const run = promisify(execFile);
const SYSTEMCTL_MS = 30_000;
/** cron refuses files that others may write to; both are read by root. */
const MODE = 0o644;

export interface InstallOptions {
  readonly cluster: string;
  /** Before every path, for a system that does not run; empty for the running one. */
  readonly root: string;
}

/** Whether systemd runs here. */
export async function hasSystemd(): Promise<boolean> {
  return lstat('/run/systemd/system').then(...([() => true, () => false] as const));
}

/**
 * Writes the files, removes those of the other kind, and has systemd take them.
 * @throws ForgeError `refused` where another's file is in the way, `denied` without the right
 */
export async function installSchedule(
  kind: ScheduleKind,
  files: readonly ScheduleFile[],
  { cluster, root }: InstallOptions,
): Promise<string[]> {
  const own = files.map(({ path: file }) => file);
  for (const file of own) await requireOurs(root + file);
  const removed = await removeFiles(cluster, root, (file) => !own.includes(file));
  for (const { path: file, text } of files) {
    await explained(root + file, async () => {
      await mkdir(path.dirname(root + file), { recursive: true });
      await writeFileAtomic(root + file, text, MODE);
    });
  }
  if (root !== '') return own;
  if (kind === 'systemd' || removed.length > 0) await systemctl(['daemon-reload'], kind === 'systemd');
  if (kind === 'systemd') {
    await systemctl(['enable', timerName(cluster)], true);
    // A timer that runs takes its new times by that.
    await systemctl(['restart', timerName(cluster)], true);
  }
  return own;
}

/** @returns what was removed; nothing where there was no schedule. @throws ForgeError `denied` without the right */
export async function removeSchedule({ cluster, root }: InstallOptions): Promise<string[]> {
  const there = await Promise.all(schedulePaths(cluster).systemd.map((file) => isOurs(root + file)));
  if (root === '' && there.includes(true)) await systemctl(['disable', '--now', timerName(cluster)], false);
  const removed = await removeFiles(cluster, root, () => true);
  if (root === '' && there.includes(true)) await systemctl(['daemon-reload'], false);
  return removed;
}

async function removeFiles(cluster: string, root: string, which: (file: string) => boolean): Promise<string[]> {
  const removed: string[] = [];
  for (const file of Object.values(schedulePaths(cluster)).flat()) {
    if (!which(file) || !(await isOurs(root + file))) continue;
    await explained(root + file, () => rm(root + file));
    removed.push(file);
  }
  return removed;
}

async function isOurs(file: string): Promise<boolean> {
  const found = await lstat(file).catch(() => undefined);
  return found?.isFile() === true && (await readFile(file, 'utf8')).startsWith(OWN_LINE);
}

async function requireOurs(file: string): Promise<void> {
  if ((await lstat(file).catch(() => undefined)) === undefined || (await isOurs(file))) return;
  throw new ForgeError('refused', `${file} was not written by forge.`, { next: 'Look at it, and move it away.' });
}

async function explained<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
    throw new ForgeError(denied ? 'denied' : 'configuration', `${file} cannot be written (${code}).`, {
      next: denied ? 'Run it as root; without --install, the schedule is printed.' : 'Look at its folder.',
      cause,
    });
  }
}

/** @param needed whether a failure is one: a timer that is not there need not be stopped */
async function systemctl(words: readonly string[], needed: boolean): Promise<void> {
  try {
    await run('systemctl', [...words], { timeout: SYSTEMCTL_MS });
  } catch (cause) {
    if (!needed) return;
    const said = String((cause as { stderr?: string }).stderr ?? '')
      .trim()
      .split('\n')
      .at(-1);
    throw new ForgeError('refused', `systemctl ${words.join(' ')} failed${said ? `: ${said}` : ''}.`, {
      next: 'The files are written; --format cron does without systemd.',
      cause,
    });
  }
}
