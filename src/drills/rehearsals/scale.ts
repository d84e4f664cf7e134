/** Rehearses that masters join and leave, with their slots. */
import { formatAddress, type NodeAddress } from '../../cluster/address.js';
import { readFollowing } from '../../cluster/snapshot/follow-setting.js';
import { ForgeError } from '../../errors.js';
import { unfinishedOperations } from '../../operations/journal/journal.js';
import { planScaleAdd } from '../../operations/planners/scale-add.js';
import { planScaleRemove } from '../../operations/planners/scale-remove.js';
import { PLANNED } from './bounds.js';
import type { Rehearsal } from './rehearsal.js';
import { operate, putRight, type Stage, untilWhole } from './stage.js';

export interface ScaleRequest {
  /** Empty nodes in cluster mode. */
  readonly nodes: readonly NodeAddress[];
  /** Of each new master, among them. */
  readonly replicas: number;
}

/** @throws ForgeError `refused` for a node that is a member already */
export function scaleRehearsal(stage: Stage, { nodes, replicas }: ScaleRequest): Rehearsal {
  const names = nodes.map(formatAddress);
  const members = new Set(
    stage.session.snapshot.reports.flatMap(({ address, ip, port }) => [address, `${ip}:${port}`]),
  );
  const known = names.find((name) => members.has(name));
  if (known !== undefined) {
    throw new ForgeError('refused', `${known} is in the cluster: the drill would take it out.`, {
      host: known,
      next: 'Name empty nodes that belong to no cluster.',
    });
  }
  const joined = (session: { readonly snapshot: Stage['session']['snapshot'] }) =>
    session.snapshot.reports.filter(
      ({ address, ip, port, id }) =>
        [address, `${ip}:${port}`].some((name) => names.includes(name)) && !stage.session.memberIds.includes(id),
    );
  const remove = (signal: AbortSignal) =>
    stage.withSession(async (session) => {
      const ids = joined(session).map(({ id }) => id);
      if (ids.length === 0) return;
      await operate(
        stage,
        async (now, { pool, weights }) =>
          planScaleRemove(now, { nodes: ids, withReplicas: true }, await readFollowing(pool, now), weights),
        { signal },
      );
    });
  return {
    name: 'nodes join and leave',
    does: [
      `Add ${names.join(', ')} as masters${replicas > 0 ? `, with ${replicas} of them a replica of each` : ''}: they get their share of the slots.`,
      'Drain and remove them again: all slots are back where there is room, and the nodes are empty.',
    ],
    clients: 'nothing but a little more latency while slots move',
    undo: 'Ctrl-C finishes the slots in hand, and takes the new nodes out again.',
    bounds: PLANNED,
    disturb: async (tell, signal) => {
      tell(`adding ${names.join(', ')}`);
      const options = { nodes, role: 'master' as const, replicas };
      await operate(stage, (now, { weights }) => planScaleAdd(now, options, weights), { signal, also: nodes });
      tell(`removing ${names.join(', ')}`);
      await remove(signal);
    },
    recover: (signal) => untilWhole(stage, signal),
    restore: async (tell, signal) => {
      // A removal that has begun is what leads back; all else is undone.
      await putRight(stage, (await isRemoval(stage)) ? 'finish' : 'undo', { tell, signal });
      await remove(signal);
      await untilWhole(stage, signal);
    },
  };
}

async function isRemoval({ operations, session }: Stage): Promise<boolean> {
  const [begun] = await unfinishedOperations(operations.paths.journals, session.memberIds);
  return begun?.plan.operation === 'scale remove';
}
