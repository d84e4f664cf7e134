/** What `INFO replication` of a master or a replica says, by its names. */
export type ReplicationInfo = ReadonlyMap<string, string>;

/** How many bytes a replica is behind its master; NaN when that is not known: one of them did not answer, or there is no link. */
export function lagBytes(master: ReplicationInfo | null, replica: ReplicationInfo | null): number {
  if (replica?.get('master_link_status') !== 'up') return Number.NaN;
  const written = master?.get('master_repl_offset');
  const applied = replica.get('slave_repl_offset');
  if (written === undefined || applied === undefined) return Number.NaN;
  // The replica may have been asked a moment later.
  return Math.max(0, Number(written) - Number(applied));
}

/** Whether a replica is too far behind to be read from. What is not known may be far. */
export function isLagging(bytes: number, bound: number): boolean {
  return !(bytes <= bound);
}
