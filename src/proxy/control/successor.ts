/** The process that is about to replace a proxy, as the kernel knows it: whoever started it may be gone. */
import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';
import { identifyProcess, type ProcessIdentity } from '../../runtime/process/identity.js';
import { controlPath, TAKE_OVER } from '../config/control-path.js';

/**
 * The processes that were started to replace the proxy of a pid file, later than the one that serves: with a supervisor,
 * that is among them. None where the host does not tell (only Linux does, and upgrades need Linux).
 * @param serving the process that serves, or that did when it was looked at
 */
export async function successorsOf(pidFile: string, serving: ProcessIdentity): Promise<ProcessIdentity[]> {
  const socket = await canonical(controlPath(pidFile));
  const entries = await readdir('/proc').catch(() => []);
  const found = await Promise.all(
    entries
      .filter((entry) => /^\d+$/.test(entry))
      .map(async (entry) => {
        // Those of other users are not told, and are none of ours.
        const wanted = replacedSocket(await readFile(`/proc/${entry}/environ`, 'utf8').catch(() => ''));
        if (wanted === undefined) return undefined;
        const from = await readlink(`/proc/${entry}/cwd`).catch(() => '/');
        if ((await canonical(path.resolve(from, wanted))) !== socket) return undefined;
        const identity = await identifyProcess(Number(entry));
        return identity !== undefined && startedLater(identity, serving) ? identity : undefined;
      }),
  );
  return found.filter((identity) => identity !== undefined);
}

/** The same file by the same name, however it was said: the proxy was told perhaps another way than we are. */
async function canonical(file: string): Promise<string> {
  const directory = path.dirname(file);
  return path.join(await realpath(directory).catch(() => directory), path.basename(file));
}

/** The control socket of the proxy that a process with this environment (man 5 proc) was started to replace. Pure. */
export function replacedSocket(environment: string): string | undefined {
  const start = `${TAKE_OVER}=`;
  const entry = environment.split('\0').find((each) => each.startsWith(start));
  return entry === undefined || entry === start ? undefined : entry.slice(start.length);
}

/** By the kernel's clock ticks of a hundredth of a second; a supervisor may be as old as what it has started. Pure. */
export function startedLater(one: ProcessIdentity, other: ProcessIdentity): boolean {
  const ticks = ({ start }: ProcessIdentity) => Number(start.slice(start.lastIndexOf(':') + 1));
  return ticks(one) > ticks(other);
}
