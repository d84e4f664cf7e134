/** Rehearses a rolling restart, as `forge cluster restart` does it. */
import { planRestart, type RestartRequest } from '../../operations/planners/restart.js';
import { PLANNED } from './bounds.js';
import type { Rehearsal } from './rehearsal.js';
import { operate, putRight, type Stage, untilWhole } from './stage.js';

/** @throws ForgeError as `planRestart`: unknown nodes, a master without a replica */
export function restartRehearsal(stage: Stage, request: RestartRequest): Rehearsal {
  const { title, steps } = planRestart(stage.session.snapshot, request);
  const count = steps.filter(({ action }) => action.kind === 'restart-node').length;
  return {
    name: 'rolling restart',
    does: [
      `${title}, ${count} in all: in every shard the replicas first, then a planned failover, then the master that was.`,
      request.failBack ? 'The former masters get their role back.' : 'Masters end as replicas of those that took over.',
    ],
    clients: 'nothing but a pause of some hundred milliseconds at a shard while its role changes hands',
    undo: 'Nothing is to be undone but the roles: Ctrl-C finishes the node in hand and gives back what was begun.',
    bounds: PLANNED,
    disturb: async (tell, signal) => {
      tell('the restart begins');
      await operate(stage, (now) => planRestart(now, request), { signal });
      tell('every node was restarted');
    },
    recover: (signal) => untilWhole(stage, signal),
    restore: async (tell, signal) => {
      await putRight(stage, 'undo', { tell, signal });
      await untilWhole(stage, signal);
    },
  };
}
