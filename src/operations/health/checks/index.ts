/** All checks, in the order in which they are told. A new one is a line here and a line in docs/cluster-status.md. */
import type { Check } from '../finding.js';
import { disk, failover, links, loading, nodes, versions } from './nodes.js';
import { idle, memory, placement, redundancy, replication } from './replication.js';
import { agreement, coverage, epochs, jobs, openSlots, quorum, state } from './slots.js';

export const CHECKS: readonly Check[] = [
  coverage,
  state,
  quorum,
  nodes,
  openSlots,
  jobs,
  agreement,
  epochs,
  links,
  replication,
  redundancy,
  placement,
  loading,
  failover,
  memory,
  disk,
  idle,
  versions,
];
