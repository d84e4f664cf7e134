/** What templates/host-facts.sh said of a host. Pure. */
import { ForgeError } from '../errors.js';

/** The first line of the script's output; another number means another version of it. */
const FORMAT = '1';
/** Folders that data is in; more are a mistake. */
export const FOLDERS_MAX = 32;

/** A line of a file that is read at boot. */
export interface BootSetting {
  readonly key: string;
  readonly file: string;
  readonly value: string;
}

export interface DiskFacts {
  /** The folder as it was asked for, and the nearest one of it that is there. */
  readonly folder: string;
  readonly found: string;
  /** False when the file system did not answer within two seconds (a dead network disk). */
  readonly answers: boolean;
  readonly fileSystem?: string;
  readonly totalBytes?: number;
  readonly freeBytes?: number;
  readonly inodes?: number;
  readonly inodesFree?: number;
  readonly options: readonly string[];
}

/** Times of all processors since the start, in ticks; `steal` is what the hypervisor gave to others. */
export interface CpuTimes {
  readonly total: number;
  readonly steal: number;
}

export type Synchronized = 'yes' | 'no' | 'unknown';

/** Undefined is unknown: the host does not tell, or has no such thing. */
export interface HostFacts {
  /** `Linux`; of another system only the first few facts are there. */
  readonly system: string;
  readonly kernel: string;
  readonly machine: string;
  readonly name: string;
  readonly distribution?: string;
  /** Effective user number of whoever looked. */
  readonly user: number;
  readonly inContainer: boolean;
  /** Live values by key: `vm.swappiness`. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** Keys that whoever looked may write: of the kernel's settings, and `huge-pages`. */
  readonly writable: ReadonlySet<string>;
  /** In the order in which they are read: the last one of a key wins. */
  readonly boot: readonly BootSetting[];
  /** The mode that is chosen: `always`, `madvise`, `never`. */
  readonly hugePages?: string;
  readonly hugePagesDefrag?: string;
  readonly memoryBytes?: number;
  readonly memoryAvailableBytes?: number;
  readonly swapBytes?: number;
  readonly swapUsedBytes?: number;
  /** Open files that a process of this user may have; Infinity for no limit. */
  readonly filesHard?: number;
  readonly docker: {
    readonly running: boolean;
    /** The daemon's own hard limit, which its containers inherit when none is set. */
    readonly filesHard?: number;
    readonly unit?: string;
  };
  readonly systemd: 'running' | 'installed' | 'none';
  readonly clock: {
    readonly synchronized: Synchronized;
    /** Milliseconds from the reference's time, where chrony tells. */
    readonly offsetMs?: number;
    /** Who keeps it. */
    readonly program?: string;
    readonly source?: string;
  };
  readonly cpus?: number;
  readonly cpuTimes?: CpuTimes;
  readonly governor?: string;
  readonly governorDriver?: string;
  readonly cgroupVersion?: number;
  readonly cgroupControllers?: readonly string[];
  readonly disks: readonly DiskFacts[];
  /** Milliseconds of one small write until it is on the disk; undefined when it was not measured. */
  readonly fsync?: number | 'slow' | 'denied';
}

const KIB = 1024;
const NANOSECONDS_PER_MS = 1_000_000;
const WHOLE = /^[0-9]{1,20}$/;

function whole(text: string | undefined): number | undefined {
  return text !== undefined && WHOLE.test(text) ? Number(text) : undefined;
}

function kibibytes(text: string | undefined): number | undefined {
  const number = whole(text);
  return number === undefined ? undefined : number * KIB;
}

function filesLimit(text: string | undefined): number | undefined {
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : whole(text);
}

/** `always [madvise] never` says `madvise`; a file that holds one word says that. */
function chosen(text: string | undefined): string | undefined {
  return /\[([^\]]+)\]/.exec(text ?? '')?.[1] ?? text;
}

/** Fields of `chronyc -c tracking`: the fifth is the offset in seconds, the last tells `Not synchronised`. */
function chrony(text: string | undefined): { synchronized: Synchronized; offsetMs?: number } | undefined {
  const fields = text?.split(',') ?? [];
  if (fields.length < 14) return undefined;
  const offset = Number(fields[4]);
  const synchronized = /^Not/i.test(fields.at(-1) ?? '') ? 'no' : 'yes';
  return { synchronized, ...(Number.isFinite(offset) ? { offsetMs: Math.abs(offset) * 1000 } : {}) };
}

type Lines = ReadonlyMap<string, string>;

function clockOf(lines: Lines): HostFacts['clock'] {
  const told = lines.get('clock.synchronized');
  const plain: Synchronized = told === 'yes' || told === 'no' ? told : 'unknown';
  return {
    ...(chrony(lines.get('clock.chrony')) ?? { synchronized: plain }),
    program: lines.get('clock.program'),
    source: lines.get('clock.source'),
  };
}

function disksOf(lines: Lines): DiskFacts[] {
  const disks: DiskFacts[] = [];
  for (let number = 0; number < FOLDERS_MAX; number++) {
    const field = (name: string) => lines.get(`disk.${number}.${name}`);
    const folder = field('folder');
    if (folder === undefined) break;
    const [fileSystem, total, free] = field('space')?.split(' ') ?? [];
    const [inodes, inodesFree] = field('inodes')?.split(' ') ?? [];
    disks.push({
      folder,
      found: field('found') ?? folder,
      answers: field('silent') === undefined,
      fileSystem,
      totalBytes: kibibytes(total),
      freeBytes: kibibytes(free),
      inodes: whole(inodes),
      inodesFree: whole(inodesFree),
      options: field('options')?.split(',') ?? [],
    });
  }
  return disks;
}

/** user nice system idle iowait irq softirq steal …; guests are counted in user already (man 5 proc). */
function cpuTimesOf(text: string | undefined): CpuTimes | undefined {
  const times = text?.split(/\s+/).slice(0, 8).map(Number) ?? [];
  if (times.length < 8 || times.some((time) => !Number.isFinite(time))) return undefined;
  return { total: times.reduce((sum, time) => sum + time, 0), steal: times[7] ?? 0 };
}

function fsyncOf(text: string | undefined): HostFacts['fsync'] {
  if (text === 'slow' || text === 'denied' || text === undefined) return text;
  const nanoseconds = whole(text);
  return nanoseconds === undefined ? undefined : nanoseconds / NANOSECONDS_PER_MS;
}

/** `boot.net.core.somaxconn /etc/sysctl.d/x.conf 128`; a key may be written with slashes. */
function bootOf(text: string): BootSetting | undefined {
  const [, key, file, value] = /^boot\.(\S+) (\S+) (.*)$/.exec(text) ?? [];
  if (key === undefined || file === undefined || value === undefined) return undefined;
  return { key: key.replaceAll('/', '.'), file, value: value.trim().replace(/\s+/g, ' ') };
}

/**
 * Reads the script's output. Lines that it does not know are left out: a login may print a greeting.
 * @throws ForgeError `verification` when these are no facts
 */
export function parseFacts(text: string, host: string): HostFacts {
  const lines = new Map<string, string>();
  const boot: BootSetting[] = [];
  for (const line of text.split('\n')) {
    const at = line.indexOf(' ');
    if (at < 1) continue;
    const setting = line.startsWith('boot.') ? bootOf(line) : undefined;
    if (setting !== undefined) boot.push(setting);
    else lines.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  const system = lines.get('system');
  if (lines.get('format') !== FORMAT || system === undefined) {
    throw new ForgeError('verification', `${host} did not tell what it is like.`, {
      host,
      next: 'Check that its login shell runs commands: ssh HOST sh -c true. A start-up file that ends the shell is a usual cause.',
    });
  }
  const startingWith = (prefix: string) =>
    [...lines].flatMap(([key, value]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : []));
  const swapBytes = kibibytes(lines.get('memory.SwapTotal'));
  const swapFreeBytes = kibibytes(lines.get('memory.SwapFree'));
  const systemd = lines.get('systemd');
  return {
    system,
    kernel: lines.get('kernel') ?? 'unknown',
    machine: lines.get('machine') ?? 'unknown',
    name: lines.get('name') ?? host,
    distribution: lines.get('distribution'),
    user: whole(lines.get('user')) ?? -1,
    inContainer: lines.get('container') === 'yes',
    sysctls: new Map(startingWith('sysctl.').map(([key, value]) => [key, value.replace(/\s+/g, ' ')])),
    writable: new Set(startingWith('writable.').flatMap(([key, value]) => (value === 'yes' ? [key] : []))),
    boot,
    hugePages: chosen(lines.get('huge-pages')),
    hugePagesDefrag: chosen(lines.get('huge-pages-defrag')),
    memoryBytes: kibibytes(lines.get('memory.MemTotal')),
    memoryAvailableBytes: kibibytes(lines.get('memory.MemAvailable')),
    swapBytes,
    swapUsedBytes: swapBytes === undefined || swapFreeBytes === undefined ? undefined : swapBytes - swapFreeBytes,
    filesHard: filesLimit(lines.get('files.hard')),
    docker: {
      running: lines.get('docker.running') === 'yes',
      filesHard: filesLimit(lines.get('docker.files')?.split(' ')[1]),
      unit: lines.get('docker.unit'),
    },
    systemd: systemd === 'running' || systemd === 'installed' ? systemd : 'none',
    clock: clockOf(lines),
    cpus: whole(lines.get('cpus')),
    cpuTimes: cpuTimesOf(lines.get('cpu.times')),
    governor: lines.get('cpu.governor'),
    governorDriver: lines.get('cpu.driver'),
    cgroupVersion: whole(lines.get('cgroup.version')),
    cgroupControllers: lines.get('cgroup.controllers')?.split(' ').filter(Boolean),
    disks: disksOf(lines),
    fsync: fsyncOf(lines.get('fsync.nanoseconds')),
  };
}
