/** What the claims of others, found on all nodes, mean for one who asks for the lock. Pure. */
import type { LockClaim, LockOwner } from './name.js';

/**
 * A claim whose owner has said nothing for so long, by the server's clock, may be dead. The owner says something every 2
 * seconds, and stops working when it could not for 10.
 */
export const EXPIRY_SECONDS = 30;
/**
 * The same where most nodes have no claim of that owner: it has ended, or gone from them, and the nodes that still have
 * one were cut off when it did. More than the 10 seconds after which an owner stops working.
 */
export const LEFT_BEHIND_SECONDS = 12;

/** Claims per node id. */
export type ClaimsByNode = ReadonlyMap<string, readonly LockClaim[]>;

export type Judgement =
  /** Nobody else claims it. */
  | { readonly verdict: 'free' }
  /** Somebody holds it, or asks for it and goes first. */
  | { readonly verdict: 'held'; readonly owner: LockOwner; readonly nodes: readonly string[] }
  /** Somebody asks at the same time; this one goes first and waits for the other to step back. */
  | { readonly verdict: 'contended'; readonly owner: LockOwner }
  /** All claims of others are old. Look again after a while: who has said something meanwhile is alive. */
  | { readonly verdict: 'expired'; readonly owners: readonly LockOwner[] };

/** After which silence, in seconds, the claims of this owner may be those of a dead one. */
export function expirySecondsOf(claims: ClaimsByNode, token: string): number {
  const knowing = [...claims.values()].filter((list) => list.some(({ owner }) => owner.token === token));
  return isLeftBehind(knowing.length, claims.size) ? LEFT_BEHIND_SECONDS : EXPIRY_SECONDS;
}

/** Whether so few of the nodes know of an owner that it has left the others. */
export const isLeftBehind = (knowing: number, nodes: number) => knowing * 2 < nodes;

const key = (nodeId: string, claim: LockClaim) => `${nodeId} ${claim.clientId}`;

/** Judges what others claim. `mine` is the token of the one who asks. */
export function judge(claims: ClaimsByNode, mine: string): Judgement {
  const others = [...claims].flatMap(([nodeId, list]) =>
    list.filter(({ owner }) => owner.token !== mine).map((claim) => ({ nodeId, claim })),
  );
  if (others.length === 0) return { verdict: 'free' };
  // One that is heard on any node is alive.
  const alive = others.filter(({ claim }) => claim.idleSeconds < expirySecondsOf(claims, claim.owner.token));
  const nodesOf = (token: string) =>
    others.filter(({ claim }) => claim.owner.token === token).map(({ nodeId }) => nodeId);
  const holding = alive.find(({ claim }) => claim.phase === 'holding');
  const first = holding ?? alive.sort((a, b) => (a.claim.owner.token < b.claim.owner.token ? -1 : 1))[0];
  if (first === undefined) {
    return { verdict: 'expired', owners: distinctOwners(others.map(({ claim }) => claim)) };
  }
  const { owner } = first.claim;
  if (holding !== undefined || owner.token < mine) return { verdict: 'held', owner, nodes: nodesOf(owner.token) };
  return { verdict: 'contended', owner };
}

/**
 * Whether all that looked expired was silent from the first look to the second. A server whose clock jumped forward shows
 * every connection as long idle, until its next command: so one look proves nothing, and two with a heartbeat's time
 * between them do.
 */
export function stayedSilent(first: ClaimsByNode, second: ClaimsByNode, mine: string): boolean {
  const before = new Map(
    [...first].flatMap(([nodeId, list]) => list.map((claim) => [key(nodeId, claim), claim.idleSeconds] as const)),
  );
  return [...second].every(([nodeId, list]) =>
    list.every((claim) => {
      if (claim.owner.token === mine) return true;
      const idle = before.get(key(nodeId, claim));
      const expiry = expirySecondsOf(second, claim.owner.token);
      return idle !== undefined && claim.idleSeconds >= expiry && claim.idleSeconds >= idle;
    }),
  );
}

export function distinctOwners(claims: readonly LockClaim[]): LockOwner[] {
  return [...new Map(claims.map(({ owner }) => [owner.token, owner])).values()];
}
