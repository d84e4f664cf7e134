/** Who writes into a file at this moment (Linux: man 5 proc, /proc/PID/fd and /proc/PID/fdinfo). */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';

export interface FileWriter {
  readonly pid: number;
  /** The program's file name; empty when it cannot be known. */
  readonly program: string;
  /** Each of its writes goes to the end of the file, wherever that is then (O_APPEND). */
  readonly appends: boolean;
}

const ACCESS_MODE = 0o3;
const APPEND = 0o2000;
const PROCESSES_MAX = 100_000;

/**
 * The processes that hold the file open for writing. Undefined where that cannot be known: not on Linux. Processes of
 * other users are seen by root only.
 */
export function writersOf(file: string): FileWriter[] | undefined {
  if (process.platform !== 'linux') return undefined;
  const { dev, ino } = statSync(file);
  return readdirSync('/proc')
    .filter((name) => /^[1-9][0-9]*$/.test(name))
    .slice(0, PROCESSES_MAX)
    .flatMap((name) => writerIn(name, { dev, ino }));
}

function writerIn(pid: string, { dev, ino }: { dev: number; ino: number }): FileWriter[] {
  for (const fd of tryTo(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
    const found = tryTo(() => statSync(`/proc/${pid}/fd/${fd}`));
    if (found === undefined || found.ino !== ino || found.dev !== dev) continue;
    const info = tryTo(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'));
    const flags = /^flags:\s*([0-7]+)/m.exec(info ?? '')?.[1] ?? '';
    const program = path.basename(tryTo(() => readlinkSync(`/proc/${pid}/exe`)) ?? '');
    const writer = writerOfFlags(Number(pid), flags, program);
    if (writer !== undefined) return [writer];
  }
  return [];
}

/** What the flags of /proc/PID/fdinfo say (octal); undefined for who only reads. */
export function writerOfFlags(pid: number, flagsText: string, program: string): FileWriter | undefined {
  const flags = Number.parseInt(flagsText, 8);
  if (Number.isNaN(flags) || (flags & ACCESS_MODE) === 0) return undefined;
  return { pid, program: program.replace(/ \(deleted\)$/, ''), appends: (flags & APPEND) !== 0 };
}

/** A process may end while it is looked at, or belong to somebody else. */
function tryTo<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
