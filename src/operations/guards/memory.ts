/** The target must hold what it is to get. */
import { countSlots, normalizeSlots } from '../../cluster/slots.js';
import type { Guard } from './guard.js';

/** Of maxmemory: a full server evicts or refuses writes before the last byte, and buffers take some, too. */
const USABLE = 0.9;
const MIB = 1024 * 1024;

/**
 * Estimated from the average of the source's slots: the size of a slot is not known until its keys are counted, and one
 * huge slot may deceive it. Targets without maxmemory hold what the machine holds, which Redis does not tell.
 */
export const memory: Guard = {
  name: 'memory',
  protects: 'the target has not enough memory for the slots that it is to get',
  check(snapshot, plan) {
    const gains = new Map<string, number>();
    const add = (id: string, bytes: number) => gains.set(id, (gains.get(id) ?? 0) + bytes);
    for (const { action } of plan.steps) {
      if (action.kind !== 'migrate-slots') continue;
      const source = snapshot.report(action.source.id);
      if (source === undefined) continue;
      const owned = countSlots(source.myself.slots);
      const moved = countSlots(normalizeSlots(action.ranges));
      const bytes = (source.memory.datasetBytes / Math.max(1, owned)) * moved;
      add(action.target.id, bytes);
      add(action.source.id, -bytes);
    }
    return [...gains].flatMap(([id, gain]) => {
      const target = snapshot.report(id) ?? snapshot.strangers.find((stranger) => stranger.id === id);
      if (target === undefined || target.memory.maxBytes === 0 || gain <= 0) return [];
      const room = target.memory.maxBytes * USABLE - target.memory.usedBytes;
      if (gain <= room) return [];
      const mib = (bytes: number) => `${Math.max(0, Math.round(bytes / MIB))} MiB`;
      return [
        `${target.address} gets about ${mib(gain)}, and has room for ${mib(room)} of its ${mib(target.memory.maxBytes)}`,
      ];
    });
  },
};
