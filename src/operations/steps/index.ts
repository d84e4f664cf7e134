/** Every kind of step: a new one is a file beside this one, and a line in both lists. */
import * as z from 'zod';
import { ForgeError } from '../../errors.js';
import type { StepHandler } from '../step.js';
import { assignSlotsStep } from './assign-slots.js';
import { cancelSlotJobStep } from './cancel-slot-job.js';
import { copyFunctionsStep } from './copy-functions.js';
import { failoverStep } from './failover.js';
import { finishSlotStep } from './finish-slot.js';
import { forgetStep } from './forget.js';
import { holdRoleStep } from './hold-role.js';
import { meetStep } from './meet.js';
import { migrateSlotsStep } from './migrate-slots.js';
import { replicateStep } from './replicate.js';
import { restartNodeStep } from './restart-node.js';
import { setSlotStableStep } from './set-slot-stable.js';
import { waitConvergenceStep } from './wait-convergence.js';
import { waitSyncStep } from './wait-sync.js';

/** What a step of a plan does, told apart by `kind`. */
export const actionSchema = z.discriminatedUnion('kind', [
  assignSlotsStep.schema,
  cancelSlotJobStep.schema,
  copyFunctionsStep.schema,
  failoverStep.schema,
  finishSlotStep.schema,
  forgetStep.schema,
  holdRoleStep.schema,
  meetStep.schema,
  migrateSlotsStep.schema,
  replicateStep.schema,
  restartNodeStep.schema,
  setSlotStableStep.schema,
  waitConvergenceStep.schema,
  waitSyncStep.schema,
]);
export type Action = z.infer<typeof actionSchema>;

const HANDLERS = [
  assignSlotsStep,
  cancelSlotJobStep,
  finishSlotStep,
  setSlotStableStep,
  copyFunctionsStep,
  forgetStep,
  holdRoleStep,
  failoverStep,
  meetStep,
  migrateSlotsStep,
  replicateStep,
  restartNodeStep,
  waitConvergenceStep,
  waitSyncStep,
];

/** A handler takes the action that its own schema has read; the list of all does not know which belongs to which. */
type AnyHandler = Omit<StepHandler, 'title' | 'nodes' | 'isDone' | 'apply' | 'undo'> & {
  title(action: Action): string;
  nodes(action: Action): string[];
  isDone(context: Parameters<StepHandler['isDone']>[0], action: Action): Promise<boolean>;
  apply(context: Parameters<StepHandler['apply']>[0], action: Action): Promise<void>;
  undo?(context: Parameters<StepHandler['apply']>[0], action: Action): Promise<void>;
};

const byKind = new Map(HANDLERS.map((handler) => [handler.schema.shape.kind.value as string, handler as unknown]));

/** What does the actions of this kind. */
export function handlerOf(action: Action): AnyHandler {
  const handler = byKind.get(action.kind);
  if (handler === undefined) throw new ForgeError('unexpected', `No handler for steps of the kind ${action.kind}.`);
  return handler as AnyHandler;
}
