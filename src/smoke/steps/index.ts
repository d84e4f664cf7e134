import type { SmokeStep } from '../types.js';
import { clusterState, skipClusterState } from './cluster-state.js';
import { connect } from './connect.js';
import { latency } from './latency.js';
import { multiKey } from './multi-key.js';
import { pipeline } from './pipeline.js';
import { everySlot } from './slots.js';
import { bigValue, values } from './values.js';

/** In the order in which they run; what comes later trusts what came before. */
export const SMOKE_STEPS: readonly SmokeStep[] = [
  { name: 'connect', title: 'Connect, log in, PING', run: connect },
  { name: 'cluster', title: 'Cluster state and slot coverage', run: clusterState, skip: skipClusterState },
  { name: 'values', title: 'SET and GET with a TTL', run: values },
  { name: 'big-value', title: 'A value of 1 MB', run: bigValue },
  { name: 'multi-key', title: 'MSET, MGET, EXISTS and DEL across slots', run: multiKey },
  { name: 'pipeline', title: 'Pipelining', run: pipeline },
  { name: 'slots', title: 'Every slot answers', run: everySlot },
  { name: 'latency', title: 'Latency', run: latency },
];
