/** What is told of a backup in lists, and what one promises. Pure. */
import { countSlots, normalizeSlots } from '../cluster/slots.js';
import type { BackupState, ListedBackup } from './catalogue.js';
import type { BackupManifest } from './manifest.js';

export interface BackupSummary {
  readonly id: string;
  readonly cluster: string;
  readonly at: string;
  readonly state: BackupState;
  /** Somebody is at work on it. */
  readonly active: boolean;
  readonly kept: boolean;
  /** In the store. */
  readonly bytes: number;
  /** Absent where its manifest cannot be read. */
  readonly shards?: number;
  /** Masters that the cluster had. */
  readonly masters?: number;
  readonly keys?: number;
  readonly source?: string;
  readonly compression?: string;
  readonly encrypted?: boolean;
  /** Its seal was looked at, and is right. */
  readonly sealed: boolean;
  /** When all its bytes were last looked at, and found as they were written (`good`) or not. */
  readonly verified?: { readonly at: string; readonly how: string; readonly good: boolean };
  readonly problem?: string;
}

export function summaryOf(backup: ListedBackup): BackupSummary {
  const { id, cluster, atMs, state, active, kept, bytes, manifest, sealed, verified, problem } = backup;
  return {
    ...{ id, cluster, at: new Date(atMs).toISOString(), state, active, kept, bytes },
    ...(manifest === undefined ? {} : contentOf(manifest)),
    sealed,
    ...(verified && {
      verified: {
        at: verified.at,
        how: verified.how,
        good: verified.faults.length + verified.loadFaults.length === 0,
      },
    }),
    ...(problem === undefined ? {} : { problem }),
  };
}

function contentOf(manifest: BackupManifest) {
  const { shards, missing, compression, encryption } = manifest;
  const kinds = new Set(shards.map(({ source }) => source.kind));
  return {
    shards: shards.length,
    masters: shards.length + missing.length,
    keys: shards.reduce((sum, { keys }) => sum + keys, 0),
    ...(kinds.size === 0 ? {} : { source: [...kinds].sort().join('+') }),
    compression,
    encrypted: encryption !== undefined,
  };
}

const SECOND_MS = 1_000;

/** What holds of the data in it, and what does not, in sentences. */
export function promisesOf({ shards, missing, moving }: BackupManifest): string[] {
  const starts = shards.map(({ startedAt }) => Date.parse(startedAt));
  const apart = starts.length === 0 ? 0 : (Math.max(...starts) - Math.min(...starts)) / SECOND_MS;
  const lost = countSlots(normalizeSlots(missing.flatMap(({ slots }) => slots)));
  return [
    'Each shard is as it was at one instant: what a command, a transaction or a script wrote is in it wholly or not at all.',
    ...(shards.length > 1
      ? [
          `The instants of the ${shards.length} shards lie up to ${apart.toFixed(1)} s apart: nothing is promised across them.`,
        ]
      : []),
    ...(moving.length > 0
      ? [`${countSlots(moving)} slots were on their way meanwhile: a key of these may be in two shards, or in none.`]
      : []),
    ...(lost > 0 ? [`${lost} slots of ${missing.length} masters are not in it.`] : []),
  ];
}
