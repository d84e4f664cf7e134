/** Rehearses that replicas take over: because they are asked to, one shard after the other. */
import { planFailover } from '../../operations/planners/failover.js';
import type { Tell } from '../drill.js';
import { PLANNED } from './bounds.js';
import type { Rehearsal } from './rehearsal.js';
import { operate, putRight, type Stage, untilWhole } from './stage.js';

/**
 * @param failBack the former masters get their role back in the end
 * @throws ForgeError `refused` when a master has no replica that could take over
 */
export function failoverRehearsal(stage: Stage, { failBack }: { readonly failBack: boolean }): Rehearsal {
  const { snapshot } = stage.session;
  const masters = snapshot.topology.shards
    .filter(({ master }) => master.slots.length > 0)
    .map(({ master }) => master.id);
  const names = masters.map((id) => snapshot.addressOf(id));
  // Refuses what could not be done before anybody is asked.
  planFailover(snapshot, { promote: [], from: masters, mode: 'planned' });
  const handBack = async (tell: Tell, signal: AbortSignal) => {
    for (const id of masters) {
      const result = await operate(stage, (now) => planFailover(now, { promote: [id], from: [], mode: 'planned' }), {
        signal,
      });
      if (result.status === 'done') tell(`${snapshot.addressOf(id)} is a master again`);
    }
  };
  return {
    name: 'planned failover of every master',
    does: [
      `Hand the role of each master to its best replica, one after the other: ${names.join(', ')}.`,
      failBack ? 'Give all of them their role back.' : 'They stay replicas of those that took over.',
    ],
    clients: 'nothing but a pause of some hundred milliseconds at a shard while its role changes hands',
    undo: failBack
      ? 'Ctrl-C gives all masters their role back.'
      : `forge cluster failover ${names.join(',')} gives the roles back; Ctrl-C does as well.`,
    bounds: PLANNED,
    disturb: async (tell, signal) => {
      for (const id of masters) {
        tell(`failover from ${snapshot.addressOf(id)}`);
        await operate(stage, (now) => planFailover(now, { promote: [], from: [id], mode: 'planned' }), { signal });
      }
      if (failBack) await handBack(tell, signal);
    },
    recover: (signal) => untilWhole(stage, signal),
    restore: async (tell, signal) => {
      await putRight(stage, 'undo', { tell, signal });
      await handBack(tell, signal);
      await untilWhole(stage, signal);
    },
  };
}
