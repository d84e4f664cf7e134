/** Checks of the processors. */
import { type Reason, warn } from '../../operations/health/finding.js';
import { type HostCheck, untold } from '../finding.js';
import { percent } from '../words.js';

const STEAL_PART_MAX = 0.05;
/** Fewer ticks say nothing yet: a tenth of a second each (man 5 proc: USER_HZ is 100). */
const TICKS_MIN = 6_000;
/** The drivers of today's Intel and AMD processors raise the clock in `powersave`, too. */
const ACTIVE_DRIVERS = /^(intel_pstate|amd-pstate-epp|amd_pstate_epp)$/;

export const processor: HostCheck = {
  name: 'processor',
  about: 'the processors are there for Redis, at full clock',
  why: 'A node is one busy thread: a processor that is given to others, or saves power, is felt by every client.',
  next: 'Choose a machine without shared processors; cpupower frequency-set -g performance; fewer nodes on this host.',
  judge({ cpus, cpuTimes, governor, governorDriver = '' }, { nodes }) {
    const wanted = 'a processor for each node, less than 5 % stolen, no power saving';
    if (cpus === undefined) return untold(wanted, 'its processors');
    const reasons: Reason[] = [];
    if (nodes > cpus) reasons.push(warn(`${nodes} nodes share ${cpus} ${cpus === 1 ? 'processor' : 'processors'}`));
    const steal = cpuTimes === undefined || cpuTimes.total < TICKS_MIN ? 0 : cpuTimes.steal / cpuTimes.total;
    if (steal > STEAL_PART_MAX)
      reasons.push(warn(`${percent(steal)} of the time was stolen by the hypervisor since the start`));
    if (governor === 'powersave' && !ACTIVE_DRIVERS.test(governorDriver)) {
      reasons.push(warn(`the governor is powersave (${governorDriver || 'unknown driver'})`));
    }
    const clock = governor === undefined ? '' : `, ${governor}`;
    return { value: `${cpus}, ${percent(steal)} stolen${clock}`, wanted, reasons };
  },
};
