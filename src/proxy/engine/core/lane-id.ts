/**
 * Which of a node's connections a command takes, as one number: four for each identity (access/identities.ts; the
 * proxy's own is 0), of which the lowest bit says RESP3, and the next one that the connection reads from a replica.
 */
export const LANES_PER_IDENTITY = 4;

/** Added to the number of a connection: the same for reads from a replica. */
export const READS = 2;

export function laneId(identity: number, proto: number): number {
  return identity * LANES_PER_IDENTITY + proto - 2;
}

/** 2 or 3. */
export function protoOf(id: number): number {
  return 2 + (id & 1);
}

/** The number of the identity. */
export function identityOf(id: number): number {
  return Math.floor(id / LANES_PER_IDENTITY);
}

/** The same identity's connection for another RESP version. */
export function withProto(id: number, proto: number): number {
  return id - (id & 1) + proto - 2;
}
