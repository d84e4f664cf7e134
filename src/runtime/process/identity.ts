/**
 * Tells a process from every other that ever had, or will have, its number: the number, together with the moment at
 * which it started. templates/supervise.sh computes the same in shell.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** How long `ps` may take, milliseconds. */
const PS_TIMEOUT_MS = 5_000;
/** The kernel tells times to programs in hundredths of a second, whatever its own clock (USER_HZ, man 5 proc). */
const TICK_MS = 10;

export interface ProcessIdentity {
  pid: number;
  /** Linux: `BOOT:TICKS`, elsewhere the start as `ps -o lstart=` prints it, blanks as `_`. */
  start: string;
}

/** What /proc/PID/stat says (man 5 proc), as far as it is used here. */
export interface ProcessStat {
  /** `Z` and `X` are processes that have already ended. */
  state: string;
  /** Clock ticks after the boot. */
  startTicks: string;
}

/** Parses /proc/PID/stat; the program's name, in parentheses, may itself hold blanks and parentheses. */
export function parseStat(text: string): ProcessStat | undefined {
  const end = text.lastIndexOf(') ');
  if (end < 0) return undefined;
  const fields = text.slice(end + 2).split(' ');
  const state = fields[0];
  const startTicks = fields[19];
  if (state === undefined || startTicks === undefined) return undefined;
  return { state, startTicks };
}

/** The process of this number as it is now; undefined when there is none, or when it only waits to be reaped. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (process.platform === 'linux') {
    const stat = readStat(pid);
    if (stat === undefined || stat.state === 'Z' || stat.state === 'X') return undefined;
    return { pid, start: `${bootId()}:${stat.startTicks}` };
  }
  const line = await ps(pid, 'lstart=');
  return line === undefined ? undefined : { pid, start: line.split(/\s+/).join('_') };
}

/** Whether exactly this process still runs. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid);
  return now !== undefined && now.start === identity.start;
}

/**
 * Sends a signal to exactly this process. Between the look and the signal lie microseconds, in which the number could
 * only be given away again if the process ended and all other numbers were used up.
 * @returns false when it is gone
 */
export async function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<boolean> {
  if (!(await isAlive(identity))) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/**
 * When a process started, milliseconds since 1970, good to about two seconds (the kernel tells its boot in whole
 * seconds); undefined when it is gone.
 */
export async function startedAtMs(pid: number): Promise<number | undefined> {
  if (process.platform === 'linux') {
    const stat = readStat(pid);
    const boot = /^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1];
    if (stat === undefined || boot === undefined) return undefined;
    return Number(boot) * 1000 + Number(stat.startTicks) * TICK_MS;
  }
  const started = Date.parse(`${await ps(pid, 'lstart=')} UTC`);
  return Number.isNaN(started) ? undefined : started;
}

/** Resident memory in bytes; undefined when the process is gone or the host does not tell. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  if (process.platform === 'linux') {
    try {
      const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      return line?.[1] === undefined ? undefined : Number(line[1]) * 1024;
    } catch {
      return undefined;
    }
  }
  const kilobytes = Number(await ps(pid, 'rss='));
  return Number.isFinite(kilobytes) && kilobytes > 0 ? kilobytes * 1024 : undefined;
}

/** The program's name and arguments, for messages to people; undefined when the process is gone or hidden. */
export async function describeProcess(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    } catch {
      return undefined;
    }
  }
  return await ps(pid, 'comm=');
}

function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

let knownBootId: string | undefined;

/** Ticks count from the boot, so without the boot a process of the day before could look like today's. */
function bootId(): string {
  knownBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').split('-')[0] ?? '';
  return knownBootId;
}

async function ps(pid: number, column: string): Promise<string | undefined> {
  try {
    const { stdout } = await run('ps', ['-o', column, '-p', String(pid)], {
      timeout: PS_TIMEOUT_MS,
      env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
    });
    return stdout.trim() === '' ? undefined : stdout.trim();
  } catch {
    return undefined;
  }
}
