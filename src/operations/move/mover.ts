/** How slots get from one master to another: one interface, one file per way. */

import type { SlotSet } from '../../cluster/slots.js';
import type { Capabilities } from '../../cluster/snapshot/capabilities.js';
import { ForgeError } from '../../errors.js';
import type { NodeRef, StepContext } from '../step.js';
import type { MoveMethod, MovePace } from './control.js';

export interface SlotMove {
  readonly source: NodeRef;
  readonly target: NodeRef;
  readonly slots: SlotSet;
  /** How much of the masters' time is taken; of MIGRATE only, the servers' own jobs have their own pace. */
  readonly pace?: MovePace;
}

export type MoverName = 'migrate' | 'valkey-atomic' | 'redis-atomic';

export interface MoveReport {
  readonly method: MoverName;
  readonly slots: number;
  readonly keys: number;
  readonly bytes: number;
  readonly elapsedMs: number;
}

/**
 * Moves slots of one pair of masters. Idempotent: slots that the target serves already are done, a slot that an earlier
 * run left open is finished. On every end, good or bad, no slot of the pair is open unless a node died or the process was
 * killed; a run again closes it. Progress goes to `context.report`; before every batch `context.requireLeave` and
 * `context.move.turn` are awaited; `context.signal` ends the work after the slot in hand.
 */
export interface SlotMover {
  readonly name: MoverName;
  /** @throws ForgeError that says which slot, which node, and what to do; `partial` when some slots have moved */
  move(context: StepContext, move: SlotMove): Promise<MoveReport>;
}

/**
 * Which way is taken between two nodes.
 * @throws ForgeError `refused` when the nodes have none of the ways that were asked for
 */
export function chooseMover(
  source: Capabilities,
  target: Capabilities,
  method: MoveMethod,
  pair: { source: string; target: string },
): MoverName {
  if (method !== 'migrate') {
    if (source.valkeyAtomic && target.valkeyAtomic) return 'valkey-atomic';
    if (source.redisAtomic && target.redisAtomic) return 'redis-atomic';
    if (method === 'atomic') {
      throw new ForgeError('refused', `${pair.source} and ${pair.target} cannot move slots atomically.`, {
        host: pair.source,
        next: 'That takes Valkey 9, or Redis 8.4, on both. Leave --method away to move keys by MIGRATE.',
      });
    }
  }
  if (source.migrate && target.migrate) return 'migrate';
  throw new ForgeError('refused', `No way to move slots from ${pair.source} to ${pair.target} is known.`, {
    host: pair.source,
    next: 'Check that the ACL user may run COMMAND and MIGRATE, and that they are not renamed.',
  });
}
