/** What a step of a plan is, and what it may use. A kind of step is one file in `steps/`. */
import * as z from 'zod';
import type { Command, NodeConnection } from '../cluster/node-connection.js';
import type { NodePool } from '../cluster/node-pool.js';
import { SLOT_COUNT } from '../cluster/slots.js';
import type { ClusterSnapshot } from '../cluster/snapshot/snapshot.js';
import type { MoveControl } from './move/control.js';

const ADDRESS_LENGTH_MAX = 300;

export const nodeIdSchema = z.string().regex(/^[0-9a-f]{40}$/, 'a node id is 40 hexadecimal digits');

/** A node in a plan: the id is what counts, the address is for people and for the first connection. */
export const nodeRefSchema = z.strictObject({ id: nodeIdSchema, address: z.string().min(1).max(ADDRESS_LENGTH_MAX) });
export type NodeRef = z.infer<typeof nodeRefSchema>;

const slot = z
  .int()
  .min(0)
  .max(SLOT_COUNT - 1);
export const slotRangeSchema = z
  .strictObject({ start: slot, end: slot })
  .refine(({ start, end }) => start <= end, 'a slot range must not end before it starts');

/** What happens inside a step, for progress. */
export type StepEvent =
  | { readonly type: 'note'; readonly text: string }
  | {
      readonly type: 'progress';
      readonly slotsDone: number;
      readonly slotsTotal: number;
      readonly keys: number;
      readonly bytes: number;
      /** Undefined as long as it cannot be told. */
      readonly secondsLeft?: number;
    }
  | { readonly type: 'warning'; readonly text: string };

/**
 * The one gate that every change of a node passes: the lock is checked, the signal heard, the command told to the
 * observer, and then sent.
 */
export type Mutate = (nodeId: string, ...command: (string | number)[]) => Promise<unknown>;

export interface MutateAllOptions {
  /** Instead of the shared connection: for commands that take long. */
  readonly connection?: NodeConnection;
  /** Also after an interruption, so that nothing is left half done. Never without the lock. */
  readonly finishing?: boolean;
}

/**
 * The same gate for many changes of one node, sent in one write. The outcome of each, in their order; a failure is the
 * ForgeError that `mutate` would throw. Throws only when the gate is closed: then nothing was sent.
 */
export type MutateAll = (
  nodeId: string,
  commands: readonly Command[],
  options?: MutateAllOptions,
) => Promise<PromiseSettledResult<unknown>[]>;

export interface StepContext {
  readonly pool: NodePool;
  readonly mutate: Mutate;
  readonly mutateAll: MutateAll;
  /**
   * Throws when this process may not change the cluster any more: the lock was lost, or the operator interrupted.
   * Whoever sends changes by other ways than `mutate` and `mutateAll` calls it before each batch.
   */
  readonly requireLeave: () => Promise<void>;
  /** The cluster as it is now. */
  readonly look: () => Promise<ClusterSnapshot>;
  /** Bound of every wait, in milliseconds. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** Pause, rate limit and method of moving slots. */
  readonly move: MoveControl;
  /** Called by whoever works beside clients: from now on they come first. Never throws. */
  readonly giveWay: () => Promise<void>;
  readonly report: (event: StepEvent) => void;
  /** Puts something that undoing needs into the journal, on disk when it returns. */
  readonly remember: (data: Record<string, unknown>) => Promise<void>;
  /** What `remember` kept for this step, also by a run that was killed; the latest last. */
  readonly remembered: readonly Record<string, unknown>[];
}

/** The fields of a step of this kind, checked when a plan or a journal is read. */
export type StepSchema = z.ZodObject<{ kind: z.ZodLiteral<string> } & z.ZodRawShape>;

/**
 * One kind of step. `apply` and `undo` are idempotent: killed between any two commands and called again, they do the
 * rest. They look at the cluster, never at what they did before.
 */
export interface StepHandler<Schema extends StepSchema = StepSchema> {
  readonly schema: Schema;
  /** One line in the imperative: `Attach 10.0.0.4:6379 to 10.0.0.1:6379`. */
  title(action: z.infer<Schema>): string;
  /** Ids of the nodes that no other step may work on at the same time. */
  nodes(action: z.infer<Schema>): string[];
  /** Ids of the nodes that a few others of those that share them may work on too. */
  shares?(action: z.infer<Schema>): string[];
  isDone(context: StepContext, action: z.infer<Schema>): Promise<boolean>;
  apply(context: StepContext, action: z.infer<Schema>): Promise<void>;
  /** Missing where nothing brings back what was there before (a reset). */
  undo?(context: StepContext, action: z.infer<Schema>): Promise<void>;
}

/** Ties the schema, the action's type and the functions together. */
export function defineStep<Schema extends StepSchema>(handler: StepHandler<Schema>): StepHandler<Schema> {
  return handler;
}
