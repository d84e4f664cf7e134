/** Checks of the kernel's memory settings, its version and its control groups. */
import { fail, warn } from '../../operations/health/finding.js';
import { type HostCheck, untold } from '../finding.js';

const OVERCOMMIT = 'vm.overcommit_memory';

export const overcommit: HostCheck = {
  name: 'overcommit',
  about: 'the kernel promises memory to the copy that a fork makes',
  why: 'Redis saves and rewrites its file from a copy of itself; a kernel that counts that copy in full refuses the fork when memory is half full.',
  next: 'forge host tune sets it to 1, now and at every boot.',
  judge({ sysctls }) {
    const wanted = `${OVERCOMMIT} = 1`;
    const value = sysctls.get(OVERCOMMIT);
    if (value === undefined) return untold(wanted, OVERCOMMIT);
    const text = `${OVERCOMMIT} is ${value}`;
    if (value === '2') return { value, wanted, reasons: [fail(`${text}: forks are refused beyond a fixed limit`)] };
    return { value, wanted, reasons: value === '1' ? [] : [warn(`${text}: a fork may be refused under low memory`)] };
  },
};

export const hugePages: HostCheck = {
  name: 'huge-pages',
  about: 'transparent huge pages are not forced on every program',
  why: 'After a fork every write copies a whole page: 2 MiB instead of 4 KiB, which is felt as latency and as memory.',
  next: 'forge host tune sets them to madvise, now and at every boot; nodes that run take it after a restart.',
  judge({ hugePages: mode, hugePagesDefrag: defrag }) {
    const wanted = 'madvise or never';
    if (mode === undefined) return untold(wanted, 'the mode of transparent huge pages');
    if (mode !== 'always') return { value: mode, wanted, reasons: [] };
    const stalls = defrag === 'always' ? ', and a program waits until one is made (defrag is always)' : '';
    return { value: mode, wanted, reasons: [warn(`transparent huge pages are always on${stalls}`)] };
  },
};

export const zoneReclaim: HostCheck = {
  name: 'zone-reclaim',
  about: 'memory of the other processor is used before pages are thrown away',
  why: 'With zone_reclaim_mode the kernel searches the near memory for pages to free while half of the memory is empty, and Redis waits.',
  next: 'forge host tune sets it to 0.',
  judge({ sysctls }) {
    const value = sysctls.get('vm.zone_reclaim_mode');
    if (value === undefined) return undefined;
    const reasons = value === '0' ? [] : [warn(`vm.zone_reclaim_mode is ${value}`)];
    return { value, wanted: 'vm.zone_reclaim_mode = 0', reasons };
  },
};

/** `6.1.0-13-amd64`: 6 and 1. */
function versionOf(kernel: string): [number, number] | undefined {
  const match = /^([0-9]+)\.([0-9]+)/.exec(kernel);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

/** The first kernel without Redis's "ARM64 fork bug" (Linux commit ff1712f953e2; some older ones have it back-ported). */
const ARM_FIXED = [5, 11] as const;
/** Before it, every container that ends leaves kernel memory behind until the kernel can make none any more. */
const CONTAINERS_FIXED = [4, 0] as const;

const before = ([major, minor]: readonly [number, number], [toMajor, toMinor]: readonly [number, number]) =>
  major < toMajor || (major === toMajor && minor < toMinor);

export const kernel: HostCheck = {
  name: 'kernel',
  about: 'the kernel has no known fault that hurts Redis or its containers',
  why: 'Some kernels corrupt memory of a forked process or leak memory with every container; no setting mends that.',
  next: 'Install a newer kernel of the distribution; redis-server --check-system proves whether the fault is there.',
  judge({ kernel: release, machine }) {
    const wanted = '4.0 or newer, on ARM 5.11';
    const version = versionOf(release);
    if (version === undefined) return untold(wanted, 'its kernel’s version');
    const reasons = [];
    if (before(version, CONTAINERS_FIXED)) {
      reasons.push(warn(`kernel ${release} leaks kernel memory with every container that ends`));
    }
    if (/^(aarch64|arm64)/.test(machine) && before(version, ARM_FIXED)) {
      reasons.push(warn(`kernel ${release} on ARM may corrupt the file that a background save writes`));
    }
    return { value: release, wanted, reasons };
  },
};

const CONTROLLERS = ['cpu', 'memory'];

export const controlGroups: HostCheck = {
  name: 'cgroups',
  about: 'limits of containers on memory and processor time hold',
  why: 'Without the controller, docker starts a container with its limit ignored, and one node can take the memory of all.',
  next: 'Boot with cgroup_enable=memory (Raspberry Pi, some ARM and Debian kernels), or let the service manager delegate the controllers.',
  judge({ cgroupVersion, cgroupControllers }) {
    const wanted = `the controllers ${CONTROLLERS.join(' and ')}`;
    if (cgroupVersion === undefined || cgroupControllers === undefined) return untold(wanted, 'its control groups');
    const missing = CONTROLLERS.filter((each) => !cgroupControllers.includes(each));
    const value = `version ${cgroupVersion}`;
    const text = `the ${missing.join(' and ')} controller ${missing.length === 1 ? 'is' : 'are'} off`;
    return { value, wanted, reasons: missing.length === 0 ? [] : [warn(text)] };
  },
};
