/** Checks of the clock. */
import { fail, warn } from '../../operations/health/finding.js';
import { type HostCheck, unknown } from '../finding.js';

const OFFSET_WARN_MS = 500;
const OFFSET_FAIL_MS = 10_000;

export const clock: HostCheck = {
  name: 'clock',
  about: 'the clock is kept right',
  why: 'Times to live travel to replicas and into files as points in time: after a failover to a wrong clock, keys die early or late.',
  next: 'Install and start chrony, or: timedatectl set-ntp true',
  judge({ clock: { synchronized, offsetMs, program } }) {
    const wanted = `synchronised, within ${OFFSET_WARN_MS} ms`;
    const by = program === undefined ? '' : ` by ${program}`;
    const offset = offsetMs === undefined ? '' : `, ${offsetMs.toFixed(offsetMs < 10 ? 2 : 0)} ms off`;
    if (synchronized === 'no') {
      return {
        value: `not synchronised${offset}`,
        wanted,
        reasons: [warn(`the clock is not synchronised${by}${offset}`)],
      };
    }
    if (offsetMs !== undefined && offsetMs > OFFSET_WARN_MS) {
      const text = `the clock is ${Math.round(offsetMs)} ms off`;
      return { value: text, wanted, reasons: [offsetMs > OFFSET_FAIL_MS ? fail(text) : warn(text)] };
    }
    if (synchronized === 'yes') return { value: `synchronised${by}${offset}`, wanted, reasons: [] };
    const text =
      program === undefined
        ? 'nothing is seen that keeps the clock (no chrony, timesyncd or ntpd); a hypervisor may'
        : `${program} runs, and does not tell here whether it has the time`;
    return { value: 'unknown', wanted, reasons: [unknown(text)] };
  },
};

/** Clocks that cost a system call, or are slow themselves; Redis looks at the clock several times for a command. */
const SLOW = ['xen', 'hpet', 'acpi_pm', 'jiffies', 'refined-jiffies', 'pit'];

export const clockSource: HostCheck = {
  name: 'clock-source',
  about: 'reading the clock is fast',
  why: 'Redis reads the clock several times for a command; a slow source takes a tenth of its throughput or more.',
  next: 'Where the hypervisor has a steady one: echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource',
  judge({ clock: { source } }) {
    if (source === undefined) return undefined;
    const reasons = SLOW.includes(source) ? [warn(`the clock source ${source} is slow`)] : [];
    return { value: source, wanted: 'tsc, kvm-clock, hyperv or arch_sys_counter', reasons };
  },
};
