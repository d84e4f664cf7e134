/** Checks of memory and swap. */
import { fail, warn } from '../../operations/health/finding.js';
import { type HostCheck, untold } from '../finding.js';
import { bytes, percent } from '../words.js';

/** Of the memory, for `maxmemory` of all nodes: the rest is for copies that a fork makes, buffers and the system. */
const MEMORY_PART_MAX = 0.75;
const SWAPPINESS_MAX = 10;
/** Swap in use beyond this part of the memory is more than what an idle service leaves there. */
const SWAP_USED_PART_MAX = 0.02;

export const memory: HostCheck = {
  name: 'memory',
  about: 'the data of all nodes fits, with room for copies and buffers',
  why: 'A node that rewrites its file or fills a replica needs memory beyond maxmemory; without room the kernel kills it.',
  next: 'Lower maxmemory, move nodes to another host, or add memory: at most three quarters belong to maxmemory.',
  judge({ memoryBytes }, { maxmemoryBytes, nodes }) {
    if (maxmemoryBytes === undefined) return undefined;
    const of = nodes > 1 ? `maxmemory of ${nodes} nodes` : 'maxmemory';
    if (memoryBytes === undefined) return untold(`more than ${bytes(maxmemoryBytes)}`, 'its memory');
    const wanted = `at least ${bytes(maxmemoryBytes / MEMORY_PART_MAX)} for ${bytes(maxmemoryBytes)} of ${of}`;
    const value = bytes(memoryBytes);
    if (maxmemoryBytes === 0) {
      return {
        value,
        wanted: 'a maxmemory',
        reasons: [warn('maxmemory is 0: a node grows until the kernel kills it')],
      };
    }
    const part = maxmemoryBytes / memoryBytes;
    const text = `${of} is ${bytes(maxmemoryBytes)}, ${percent(part)} of ${value}`;
    if (part >= 1) return { value, wanted, reasons: [fail(text)] };
    return { value, wanted, reasons: part > MEMORY_PART_MAX ? [warn(text)] : [] };
  },
};

export const swap: HostCheck = {
  name: 'swap',
  about: 'the kernel does not put Redis’s memory on a disk',
  why: 'A page that must be read back from swap holds every client of the node up for milliseconds.',
  next: 'forge host tune sets vm.swappiness to 10; what is swapped out comes back with: swapoff -a && swapon -a',
  judge({ sysctls, swapBytes, swapUsedBytes = 0, memoryBytes }) {
    const wanted = `no swap, or vm.swappiness at most ${SWAPPINESS_MAX} and nothing swapped out`;
    if (swapBytes === undefined) return untold(wanted, 'its swap');
    if (swapBytes === 0) return { value: 'no swap', wanted, reasons: [] };
    const swappiness = Number(sysctls.get('vm.swappiness'));
    const reasons = [];
    if (swappiness > SWAPPINESS_MAX)
      reasons.push(warn(`vm.swappiness is ${swappiness}, with ${bytes(swapBytes)} of swap`));
    if (memoryBytes !== undefined && swapUsedBytes > memoryBytes * SWAP_USED_PART_MAX) {
      reasons.push(warn(`${bytes(swapUsedBytes)} are swapped out`));
    }
    return { value: `${bytes(swapBytes)}, vm.swappiness ${swappiness}`, wanted, reasons };
  },
};
