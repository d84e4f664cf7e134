/**
 * A host inside this machine: a network namespace with kernel settings of its own (net.*), and a mount namespace in which
 * files stand in the place of the settings that the whole machine shares, and folders in the place of /etc's. A command
 * that runs in it changes nothing of this machine.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

const READY_MS = 10_000;

export interface NamespacedHost {
  /** The words before a command that is to run in it. */
  readonly enter: readonly string[];
  /** Runs a shell script in it, and gives what it printed. */
  sh(script: string): string;
  stop(): Promise<void>;
}

function can(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore', timeout: READY_MS });
    return true;
  } catch {
    return false;
  }
}

/** In CI one that cannot be made is a failure of the test. */
export const canNamespace = Boolean(process.env['CI']) || (process.getuid?.() === 0 && can('unshare', '-mn', 'true'));

/** What the whole machine shares, and what the host in it begins with. */
const SHARED: Readonly<Record<string, string>> = {
  '/proc/sys/vm/overcommit_memory': '0\n',
  '/proc/sys/vm/swappiness': '60\n',
  '/sys/kernel/mm/transparent_hugepage/enabled': '[always] madvise never\n',
};
const FOLDERS = ['/etc/sysctl.d', '/etc/systemd/system', '/var/lib'];

export async function startNamespace(): Promise<NamespacedHost> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-namespace-'));
  const mounts: string[] = [];
  const mount = (from: string, to: string) => mounts.push(`mount --bind '${from}' '${to}'`);
  for (const [index, [file, content]] of Object.entries(SHARED).entries()) {
    await writeFile(path.join(folder, `value-${index}`), content);
    mount(path.join(folder, `value-${index}`), file);
  }
  // A machine with swap: without it, swappiness matters to nobody.
  const memory = (await readFile('/proc/meminfo', 'utf8')).replace(/^Swap(Total|Free):.*$/gm, 'Swap$1: 1048576 kB');
  await writeFile(path.join(folder, 'meminfo'), memory);
  mount(path.join(folder, 'meminfo'), '/proc/meminfo');
  for (const [index, target] of FOLDERS.entries()) {
    await mkdir(path.join(folder, `folder-${index}`));
    await mkdir(target, { recursive: true });
    mount(path.join(folder, `folder-${index}`), target);
  }
  const setUp = ['set -e', ...mounts, 'echo 128 > /proc/sys/net/core/somaxconn', 'echo ready', 'exec cat'].join('\n');
  const child: ChildProcess = spawn(
    'unshare',
    ['--mount', '--net', '--propagation', 'private', '/bin/sh', '-c', setUp],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  const stop = async () => {
    child.stdin?.end();
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const ready = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), READY_MS);
    child.stdout?.once('data', () => {
      clearTimeout(timer);
      resolve(true);
    });
    child.once('close', () => resolve(false));
  });
  if (!ready) {
    await stop();
    throw new Error('the namespaces could not be made');
  }
  const enter = ['nsenter', '--target', String(child.pid), '--mount', '--net', '--'];
  return {
    enter,
    sh: (script) =>
      execFileSync('nsenter', [...enter.slice(1), '/bin/sh', '-c', script], { encoding: 'utf8' }).trimEnd(),
    stop,
  };
}
