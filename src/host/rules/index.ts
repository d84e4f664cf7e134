/** Every check of a host, in the order in which they are shown. */
import type { HostCheck } from '../finding.js';
import { boot } from './boot.js';
import { clock, clockSource } from './clock.js';
import { disk, fsync } from './disk.js';
import { openFiles } from './files.js';
import { controlGroups, hugePages, kernel, overcommit, zoneReclaim } from './kernel.js';
import { memory, swap } from './memory.js';
import { backlog, conntrack, ports } from './network.js';
import { processor } from './processor.js';

export const HOST_CHECKS: readonly HostCheck[] = [
  overcommit,
  hugePages,
  memory,
  swap,
  zoneReclaim,
  openFiles,
  backlog,
  ports,
  conntrack,
  clock,
  clockSource,
  disk,
  fsync,
  processor,
  kernel,
  controlGroups,
  boot,
];
