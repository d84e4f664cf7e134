/**
 * What a Docker daemon and its containers may leave on a Linux host when they are killed, and taking it away:
 * processes, mounts, network links, control groups, files.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const COMMAND_MS = 10_000;
const KILL_ATTEMPTS_MAX = 50;
const PAUSE_MS = 50;
const CGROUPS = '/sys/fs/cgroup';

export interface DaemonPlace {
  /** Everything of the daemon is below this folder. */
  directory: string;
  /** The control group below which its containers are, a single name. */
  cgroup: string;
  /** The start of every address of its networks, such as `10.213.16.`; several. */
  prefixes: readonly string[];
}

/** Ends and removes everything of a daemon that is not running any more, or should not be. */
export async function removeLeftovers(place: DaemonPlace): Promise<void> {
  for (let attempt = 0; attempt < KILL_ATTEMPTS_MAX; attempt++) {
    const found = processesOf(place.directory);
    if (found.length === 0) break;
    for (const pid of found) kill(pid);
    await sleep(PAUSE_MS);
  }
  for (const mount of mountsBelow(place.directory).reverse()) {
    await run('umount', ['-l', mount], { timeout: COMMAND_MS }).catch(() => undefined);
  }
  for (const link of await linksOf(place)) {
    await run('ip', ['link', 'del', link], { timeout: COMMAND_MS }).catch(() => undefined);
  }
  for (const folder of cgroupsOf(place.cgroup)) removeCgroup(folder);
  await rm(place.directory, { recursive: true, force: true });
}

/** What is there of it, in words; empty when nothing is. */
export async function findLeftovers(place: DaemonPlace): Promise<string[]> {
  return [
    ...processesOf(place.directory).map((pid) => `process ${pid}`),
    ...mountsBelow(place.directory).map((mount) => `mount ${mount}`),
    ...(await linksOf(place)).map((link) => `network link ${link}`),
    ...cgroupsOf(place.cgroup).map((folder) => `control group ${folder}`),
  ];
}

/** The daemon, what it started, and what runs in its containers: those name the folder, or descend from one that does. */
function processesOf(directory: string): number[] {
  const parents = new Map<number, number>();
  const named = new Set<number>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const status = readOrEmpty(`/proc/${pid}/status`);
    if (/^State:\s+Z/m.test(status)) continue;
    parents.set(pid, Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0));
    const [program = '', ...words] = readOrEmpty(`/proc/${pid}/cmdline`).split('\0');
    const isDocker = /^(dockerd|containerd|docker-proxy|setpriv|runc)/.test(path.basename(program));
    if (isDocker && words.some((word) => word.includes(`${directory}/`))) named.add(pid);
  }
  const belongs = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (named.has(pid) || belongs(parents.get(pid)));
  return [...parents.keys()].filter(belongs);
}

function mountsBelow(directory: string): string[] {
  return readOrEmpty('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((mount) => mount.startsWith(`${directory}/`));
}

async function linksOf({ prefixes }: DaemonPlace): Promise<string[]> {
  const { stdout } = await run('ip', ['-4', '-o', 'addr', 'show'], { timeout: COMMAND_MS });
  return stdout.split('\n').flatMap((line) => {
    const [, name, , address] = line.trim().split(/\s+/);
    return name !== undefined && prefixes.some((prefix) => address?.startsWith(prefix)) ? [name] : [];
  });
}

function cgroupsOf(name: string): string[] {
  const hierarchies = [CGROUPS, ...listOrEmpty(CGROUPS).map((entry) => path.join(CGROUPS, entry))];
  return hierarchies.map((hierarchy) => path.join(hierarchy, name)).filter((folder) => listOrEmpty(folder).length > 0);
}

function removeCgroup(folder: string): void {
  for (const entry of listOrEmpty(folder)) {
    if (!entry.includes('.')) removeCgroup(path.join(folder, entry));
  }
  try {
    rmdirSync(folder);
  } catch {
    // A file of the kernel's, or a group in which something still ends.
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function listOrEmpty(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
