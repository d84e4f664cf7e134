/**
 * Ending somebody's lock for good. Closing the owner's connections is not enough: an owner that lives connects again, as
 * it does when a node was restarted. So the lock is held for a while by who took it away, and the owner, which looks
 * before it holds, finds that and stops.
 */
import { pause } from '../../cluster/bounded.js';
import { ForgeError } from '../../errors.js';
import type { ClusterSession } from '../session.js';
import { ClusterLock, HEARTBEAT_MS } from './lock.js';
import type { LockOwner } from './name.js';
import { releaseLock } from './status.js';

/** An owner that lives notices within one heartbeat. */
export const STAY_MS = HEARTBEAT_MS + 1_000;
const ATTEMPTS_MAX = 8;

export interface TakenAway {
  /** Connections that were closed at the nodes. */
  readonly closed: number;
  /** A third operator had it at once; the owner finds that as well. */
  readonly takenBy?: LockOwner;
}

/**
 * Takes the lock away from its owner.
 * @throws ForgeError `locked` when the owner has it again after eight attempts, `unreachable` when no node answers
 */
export async function takeAway(session: ClusterSession, owner: LockOwner, signal?: AbortSignal): Promise<TakenAway> {
  const { pool, memberIds, operator, token } = session;
  const mine = { ...operator, token, operation: 'lock release', startedAt: new Date().toISOString() };
  let closed = 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    closed += await releaseLock(pool, memberIds, owner.token);
    const outcome = await ClusterLock.acquire({ pool, nodeIds: memberIds, owner: mine, signal }).catch(holderOf);
    if (outcome instanceof ClusterLock) {
      try {
        await pause(STAY_MS, signal);
      } finally {
        await outcome.release();
      }
      return { closed };
    }
    if (outcome.token !== owner.token) return { closed, takenBy: outcome };
  }
  throw new ForgeError('locked', `${owner.user}@${owner.host} takes the lock again whenever it is taken away.`, {
    next: `End its process first: kill ${owner.pid} on ${owner.host}`,
    details: { owner: { ...owner } },
  });
}

/** Who has it, of the error that says so. */
function holderOf(error: unknown): LockOwner {
  if (error instanceof ForgeError && error.kind === 'locked') {
    const holder = error.details?.['owner'] as LockOwner | undefined;
    if (holder !== undefined) return holder;
  }
  throw error;
}
