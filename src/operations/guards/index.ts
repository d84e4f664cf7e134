/** All guards, and what is done with what they find. Pure. */
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import type { RunningJob } from '../health/slot-jobs.js';
import type { Plan } from '../plan.js';
import type { Guard } from './guard.js';
import { disagreement, failover, loading, majority, nodesDown, openSlots, uncoveredSlots } from './health.js';
import { memory } from './memory.js';
import { notEmpty, otherCluster } from './strangers.js';
import { versions } from './versions.js';

/** In the order in which they are told. */
export const GUARDS: readonly Guard[] = [
  majority,
  nodesDown,
  disagreement,
  openSlots,
  uncoveredSlots,
  failover,
  loading,
  versions,
  memory,
  notEmpty,
  otherCluster,
];

export interface Violation {
  readonly guard: string;
  readonly reasons: readonly string[];
  /** `refuses`: the operation is not begun. `forced`: overridden with --force. `tolerated`: the operation is there for it. */
  readonly effect: 'refuses' | 'forced' | 'tolerated';
}

/**
 * The words of `--force`, separated by commas.
 * @throws ForgeError `usage` for a word that is no guard: there is no word for all of them
 */
export function parseForce(words: readonly string[]): string[] {
  const names = [...new Set(words.flatMap((word) => word.split(',')).map((word) => word.trim()))].filter(Boolean);
  const unknown = names.filter((name) => !GUARDS.some((guard) => guard.name === name));
  if (unknown.length > 0) {
    throw new ForgeError('usage', `--force ${unknown.join(',')}: there is no such guard.`, {
      next: `Name those that you override: ${GUARDS.map(({ name }) => name).join(', ')}.`,
    });
  }
  return names.sort();
}

/**
 * Everything that speaks against beginning the plan now.
 * @param jobs what the servers move by themselves at the moment
 */
export function findViolations(
  snapshot: ClusterSnapshot,
  plan: Plan,
  force: readonly string[] = [],
  jobs: readonly RunningJob[] = [],
): Violation[] {
  const forced = new Set([...force, ...plan.forced]);
  return GUARDS.flatMap(({ name, check }) => {
    const reasons = check(snapshot, plan, jobs);
    if (reasons.length === 0) return [];
    const effect = plan.tolerates.includes(name) ? 'tolerated' : forced.has(name) ? 'forced' : 'refuses';
    return [{ guard: name, reasons, effect }];
  });
}

const ABOUT_STRANGERS = new Set([notEmpty.name, otherCluster.name]);
const NEXT_CLUSTER = 'Put that right first; forge cluster check shows all of it, and forge cluster fix repairs slots.';
const NEXT_STRANGER =
  'Check that it is the node you mean. It must be empty and alone: forge scale remove takes it out of its cluster; FLUSHALL and CLUSTER RESET on it throw its data away.';

/** @throws ForgeError `refused` with every guard that refuses, and the words that would override them */
export function throwViolations(violations: readonly Violation[]): void {
  const refusing = violations.filter(({ effect }) => effect === 'refuses');
  if (refusing.length === 0) return;
  const lines = refusing.flatMap(({ guard, reasons }) => reasons.map((reason) => `  ${guard}: ${reason}`));
  throw new ForgeError('refused', `The cluster must not be changed now:\n${lines.join('\n')}`, {
    next: [
      ...(refusing.some(({ guard }) => !ABOUT_STRANGERS.has(guard)) ? [NEXT_CLUSTER] : []),
      ...(refusing.some(({ guard }) => ABOUT_STRANGERS.has(guard)) ? [NEXT_STRANGER] : []),
      `Or override it, knowing what it protects from: --force ${refusing.map(({ guard }) => guard).join(',')}`,
    ],
    details: { guards: refusing },
  });
}
