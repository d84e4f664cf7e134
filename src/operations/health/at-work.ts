/** Who works on the cluster, as far as this user may know. */
import { ForgeError } from '../../errors.js';
import { type LockStatus, lockStatus } from '../lock/status.js';
import type { ClusterSession } from '../session.js';

/** Undefined where the user may not list clients: everything else can be told all the same. */
export async function whoIsAtWork({ pool, memberIds }: ClusterSession): Promise<LockStatus[] | undefined> {
  try {
    return await lockStatus(pool, memberIds);
  } catch (error) {
    if (error instanceof ForgeError) return undefined;
    throw error;
  }
}
