/** Finding a proxy again by its pid file, without ever taking another process for it. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../../errors.js';
import { describeProcess, identifyProcess, type ProcessIdentity, startedAtMs } from '../../runtime/process/identity.js';
import type { InstanceRef } from '../../runtime/runtime.js';

/** How the names of its executables begin: `forge-proxy`, `forge-proxy-1.2` (15 characters at most, linux/sched.h). */
const PROXY_NAME = 'forge-proxy';
/** How far the start of a process, as the kernel tells it, may be off. */
const CLOCK_SLACK_MS = 2_000;

/** The supervised instance that belongs to a pid file: its record lies beside it. */
export function proxyInstance(pidFile: string): InstanceRef {
  return { directory: path.dirname(pidFile), name: path.basename(pidFile, '.pid') };
}

/** The number in a pid file; undefined when there is no file. @throws ForgeError `configuration` for another file */
export async function readPidFile(file: string): Promise<number | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const match = /^(\d{1,10})\s*$/.exec(text);
  if (match?.[1] === undefined) {
    throw new ForgeError('configuration', `${file} is not a pid file.`, { next: 'Give the right --pid-file.' });
  }
  return Number(match[1]);
}

/** What a pid file's number belongs to now. `foreign`: to a process that did not write the file. */
export type PidFileOwner =
  | { kind: 'none' }
  | { kind: 'proxy'; identity: ProcessIdentity }
  | { kind: 'foreign'; pid: number; program?: string };

/**
 * Looks up the process of a pid file. For a proxy that was started by hand or by systemd, and has no record of ours: it
 * must bear the executable's name, and have been there when the file was written.
 */
export async function pidFileOwner(file: string): Promise<PidFileOwner> {
  const pid = await readPidFile(file);
  const identity = pid === undefined ? undefined : await identifyProcess(pid);
  if (identity === undefined) return { kind: 'none' };
  const [program, started, { mtimeMs }] = await Promise.all([
    describeProcess(identity.pid),
    startedAtMs(identity.pid),
    stat(file),
  ]);
  const named = program !== undefined && path.basename(program).startsWith(PROXY_NAME);
  if (named && started !== undefined && started <= mtimeMs + CLOCK_SLACK_MS) return { kind: 'proxy', identity };
  return { kind: 'foreign', pid: identity.pid, ...(program === undefined ? {} : { program }) };
}
