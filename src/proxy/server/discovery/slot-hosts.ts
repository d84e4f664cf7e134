import { formatAddress } from '../../config/schema.js';
import type { SlotRange } from '../../engine/cluster/slots-reply.js';
import type { HostView } from './discovery.js';

/** The hosts of a Redis Cluster with their slots, as the admin pages show them. */
export function slotHosts(all: readonly SlotRange[]): HostView[] {
  const hosts = new Map<string, { role: 'master' | 'replica'; slots: number; ranges: string[] }>();
  for (const range of all) {
    const master = formatAddress(range.master);
    const entry = hosts.get(master) ?? { role: 'master' as const, slots: 0, ranges: [] };
    entry.slots += range.end - range.start + 1;
    entry.ranges.push(range.start === range.end ? `${range.start}` : `${range.start}-${range.end}`);
    hosts.set(master, entry);
    for (const replica of range.replicas) {
      const address = formatAddress(replica);
      if (!hosts.has(address)) hosts.set(address, { role: 'replica', slots: 0, ranges: [] });
    }
  }
  return [...hosts].map(([address, entry]) => ({ address, ...entry }));
}
