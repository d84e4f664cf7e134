/** Rehearses that a master is lost: it dies, or it hangs. */
import { pause } from '../../cluster/bounded.js';
import { ForgeError } from '../../errors.js';
import { sudden } from './bounds.js';
import { type FindReach, requireAble } from './reach/reach.js';
import type { Rehearsal } from './rehearsal.js';
import { type Stage, untilWhole } from './stage.js';
import { chooseMaster, nodeTimeoutOf, reachedOf } from './victim.js';

/** An election begins when the node timeout is over, and takes a second or two; on a busy machine longer. */
const ELECTION_MS = 30_000;
const LOOK_MS = 100;

export interface LossRequest {
  readonly reach: FindReach;
  /** The master; any that has a replica when not given. */
  readonly node?: string;
  /** Of acknowledged writes. */
  readonly replicas: number;
}

/** A master is killed. @throws ForgeError `refused` where forge cannot kill it, or nobody could take over */
export async function killRehearsal(stage: Stage, { reach: find, node, replicas }: LossRequest): Promise<Rehearsal> {
  const { session } = stage;
  const { id } = chooseMaster(session.snapshot, node).master;
  const victim = reachedOf(session.snapshot, id);
  const reach = await find(victim);
  requireAble(reach, 'kill', victim);
  const timeoutMs = await nodeTimeoutOf(session, id);
  let killed = false;
  return {
    name: 'a master is killed',
    does: [
      `Kill ${victim.address} (${reach.words}) without a warning.`,
      'Wait until a replica serves its slots, and the node is back as a replica.',
    ],
    clients: seenOf(timeoutMs),
    undo: 'The node comes back by itself, or is started again by this drill; its shard has another master afterwards.',
    bounds: sudden(timeoutMs, replicas),
    disturb: async (tell, signal) => {
      tell(`${victim.address} is killed`);
      killed = true;
      await reach.kill();
      await untilTakenOver(stage, id, timeoutMs, signal);
      tell('a replica has taken over');
      await reach.revive?.();
    },
    recover: (signal) => untilWhole(stage, signal),
    restore: async (tell, signal) => {
      if (killed) {
        tell(`waiting for ${victim.address}`);
        await reach.revive?.();
      }
      await untilWhole(stage, signal);
    },
  };
}

/** A master hangs for a time: to all others it is as if it were cut off. @throws ForgeError as `killRehearsal` */
export async function hangRehearsal(
  stage: Stage,
  { reach: find, node, replicas, forMs }: LossRequest & { readonly forMs: number },
): Promise<Rehearsal> {
  const { session } = stage;
  const { id } = chooseMaster(session.snapshot, node).master;
  const victim = reachedOf(session.snapshot, id);
  const reach = await find(victim);
  requireAble(reach, 'hang', victim);
  const timeoutMs = await nodeTimeoutOf(session, id);
  const seconds = forMs / 1_000;
  return {
    name: 'a master is cut off',
    does: [
      `Have ${victim.address} (${reach.words}) stand still for ${seconds} s: its connections stay, and nothing goes through.`,
      forMs > timeoutMs
        ? 'A replica takes over; when the node goes on, it becomes a replica.'
        : `Nobody takes over: that takes ${timeoutMs / 1_000} s at least.`,
    ],
    clients: seenOf(timeoutMs),
    undo: `The node goes on by itself after ${seconds} s, even if forge is killed meanwhile${reach.wake === undefined ? '' : '; Ctrl-C has it go on at once, where that is possible'}.`,
    bounds: sudden(timeoutMs, replicas),
    disturb: async (tell, signal) => {
      tell(`${victim.address} stands still`);
      await reach.hang(forMs);
      await pause(forMs, signal);
      await reach.wake?.();
      tell(`${victim.address} goes on`);
    },
    recover: (signal) => untilWhole(stage, signal),
    restore: async (tell, signal) => {
      const woken = (await reach.wake?.()) ?? false;
      tell(woken ? `${victim.address} goes on` : `${victim.address} goes on when its ${seconds} s are over`);
      await untilWhole(stage, signal);
    },
  };
}

const seenOf = (timeoutMs: number) =>
  `a pause of about ${timeoutMs / 1_000} to ${timeoutMs / 1_000 + 2} s at one shard; errors for what was being written at that moment, whose outcome nobody knows; without --wait-replicas, writes of the last moment may be lost`;

async function untilTakenOver(
  { session }: Stage,
  former: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const end = performance.now() + timeoutMs + ELECTION_MS;
  while (performance.now() < end) {
    const snapshot = await session.look().catch((error: unknown) => {
      if (error instanceof ForgeError) return undefined;
      throw error;
    });
    const served = snapshot?.topology.shards.every(
      ({ master }) => master.slots.length === 0 || (master.id !== former && snapshot.report(master.id) !== undefined),
    );
    if (served && snapshot?.topology.uncovered.length === 0) return;
    await pause(LOOK_MS, signal);
  }
  throw new ForgeError('timeout', 'No replica has taken over.', {
    host: session.snapshot.addressOf(former),
    next: 'Look at it: forge cluster check.',
  });
}
