import type { Reply } from '../../engine/resp/decode.js';

/**
 * The highest epoch that a node has heard of, from its reply to CLUSTER INFO. Every election makes it higher: a node that
 * knows a lower one than others do has not heard of the last, and may believe that it still has the slots that it lost.
 * @returns null when the node does not say
 */
export function readEpoch(info: Reply): number | null {
  const digits = typeof info === 'string' ? /^cluster_current_epoch:([0-9]{1,15})\r?$/m.exec(info)?.[1] : undefined;
  return digits === undefined ? null : Number(digits);
}

/** Whether a node says in its reply to CLUSTER INFO that the cluster is down, as it does when it does not reach most masters. */
export function saysDown(info: Reply): boolean {
  return typeof info === 'string' && /^cluster_state:fail\r?$/m.test(info);
}
