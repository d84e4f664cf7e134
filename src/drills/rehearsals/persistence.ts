/** Rehearses that all nodes die at once, as in a power cut, and come back with what they had. */
import { ForgeError } from '../../errors.js';
import { type FindReach, type Reach, type Reached, requireAble } from './reach/reach.js';
import type { Rehearsal } from './rehearsal.js';
import { type Stage, untilWhole } from './stage.js';
import { reachedOf } from './victim.js';

/** `appendfsync everysec`: what is older than a second is on the disk. */
const KEPT_AFTER_MS = 1_000;

type Killable = Reach & Required<Pick<Reach, 'kill'>>;

/**
 * @throws ForgeError `refused` for nodes that forge cannot kill, and for masters that write no append-only file
 */
export async function persistenceRehearsal(stage: Stage, find: FindReach): Promise<Rehearsal> {
  const { snapshot, memberIds } = stage.session;
  requireAppendOnly(stage);
  const nodes: { readonly node: Reached; readonly reach: Killable }[] = [];
  for (const id of memberIds) {
    const node = reachedOf(snapshot, id);
    const reach = await find(node);
    requireAble(reach, 'kill', node);
    nodes.push({ node, reach });
  }
  let killed = false;
  const revive = () => Promise.all(nodes.map(({ reach }) => reach.revive?.()));
  return {
    name: 'all nodes die at once',
    does: [
      `Kill all ${nodes.length} nodes at the same moment: ${nodes.map(({ node }) => node.address).join(', ')}.`,
      'Wait until all are back with their data, and look for every write that was acknowledged.',
    ],
    clients: 'nothing is served until the nodes are back: errors, or a pause of some ten seconds',
    undo: 'The nodes come back by themselves, or are started again by this drill; Ctrl-C waits for them.',
    bounds: { keptAfterMs: KEPT_AFTER_MS },
    disturb: async (tell) => {
      tell(`all ${nodes.length} nodes are killed`, 'cut');
      killed = true;
      await Promise.all(nodes.map(({ reach }) => reach.kill()));
      await revive();
    },
    recover: (signal) => untilWhole(stage, signal),
    restore: async (tell, signal) => {
      if (killed) {
        tell('waiting for all nodes');
        await revive();
      }
      await untilWhole(stage, signal);
    },
  };
}

function requireAppendOnly({ session: { snapshot } }: Stage): void {
  const without = snapshot.reports.filter(({ appendOnly, myself }) => !appendOnly && myself.role === 'master');
  const [first] = without;
  if (first === undefined) return;
  throw new ForgeError(
    'refused',
    `${without.map(({ address }) => address).join(', ')} writes no append-only file: all since the last snapshot would be lost.`,
    { host: first.address, next: 'Set appendonly yes first.' },
  );
}
