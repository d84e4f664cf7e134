/** Links of the cluster bus as a node tells them (CLUSTER LINKS, Redis 7). Pure. */

export interface BusLink {
  /** Id of the node at the other end. */
  readonly node: string;
  readonly direction: 'to' | 'from';
  /** What waits to be sent, bytes. */
  readonly waitingBytes: number;
}

/** More than this waits only when the other side does not read: gossip is a few KiB. */
export const WAITING_MAX_BYTES = 4 * 1024 * 1024;
const LINKS_MAX = 10_000;

/** Reads the reply: a list of lists of names and values. What is none is left out. */
export function parseLinks(reply: unknown): BusLink[] {
  if (!Array.isArray(reply)) return [];
  return reply.slice(0, LINKS_MAX).flatMap((each: unknown): BusLink[] => {
    if (!Array.isArray(each)) return [];
    const fields = new Map<string, string>();
    for (let at = 0; at + 1 < each.length; at += 2) fields.set(String(each[at]), String(each[at + 1]));
    const node = fields.get('node');
    if (node === undefined) return [];
    const waiting = Number(fields.get('send-buffer-used') ?? 0);
    const direction = fields.get('direction') === 'from' ? 'from' : 'to';
    return [{ node, direction, waitingBytes: Number.isFinite(waiting) ? waiting : 0 }];
  });
}
