import { oneOf } from './values.js';

/** Where commands that only read may go. */
export const READ_POLICIES = [
  'MASTER',
  'PREFER_MASTER',
  'REPLICA',
  'PREFER_REPLICA',
  'ANY',
  'LOCAL_ZONE_AFFINITY',
  'LOCAL_ZONE_AFFINITY_REPLICAS_AND_PRIMARY',
] as const;

export type ReadPolicy = (typeof READ_POLICIES)[number];

export const readPolicy = oneOf(READ_POLICIES);
