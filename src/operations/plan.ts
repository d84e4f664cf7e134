/** A change of a cluster as data: deterministic, readable, able to be saved and applied later. Pure. */
import * as z from 'zod';
import type { ClusterSnapshot } from '../cluster/snapshot/snapshot.js';
import { ForgeError } from '../errors.js';
import { canonicalJson, digestOf } from './canonical.js';
import { fingerprintOf } from './fingerprint.js';
import { nodeRefSchema } from './step.js';
import { type Action, actionSchema, handlerOf } from './steps/index.js';

const VERSION = 1;
/** 1,000 masters, each with a few moves and replicas. */
export const STEPS_MAX = 20_000;
const NODES_MAX = 20_000;

const stepIdSchema = z.string().regex(/^[a-z0-9-]{1,64}$/);

const planStepSchema = z.strictObject({
  /** Unique in the plan; the journal names it. */
  id: stepIdSchema,
  /** Steps, earlier in the plan, that must be done before. */
  after: z.array(stepIdSchema),
  action: actionSchema,
});

export const planSchema = z.strictObject({
  version: z.literal(VERSION),
  /** `scale add`, `cluster rebalance`: the command. */
  operation: z.string().min(1).max(64),
  /** What was asked for, with defaults filled in: the same command again has the same request. */
  request: z.record(z.string(), z.json()),
  /** One line for people. */
  title: z.string().min(1).max(500),
  /** Of the cluster that it was made for. */
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  /** All members and candidates: by them an interrupted operation is found again. */
  nodes: z.array(nodeRefSchema).min(1).max(NODES_MAX),
  steps: z.array(planStepSchema).max(STEPS_MAX),
  /** Guards that this operation is there to put right, or does not touch. */
  tolerates: z.array(z.string()),
  /** Guards that the operator overrode when the plan was made. */
  forced: z.array(z.string()),
  /** Worth knowing, and no reason to stop. */
  notes: z.array(z.string()),
});

export type Plan = z.infer<typeof planSchema>;
export type PlanStep = z.infer<typeof planStepSchema>;

export interface PlanDraft {
  readonly operation: string;
  readonly request: Plan['request'];
  readonly title: string;
  readonly steps: readonly { id?: string; after?: readonly string[]; action: Action }[];
  readonly tolerates?: readonly string[];
  readonly notes?: readonly string[];
}

/**
 * The plan for the cluster as the snapshot has it. Steps without an id get `s1`, `s2`, …; steps without `after` follow
 * the step before them.
 * @throws ForgeError `unexpected` when a step waits for one that is not before it: a fault of the planner
 */
export function createPlan(snapshot: ClusterSnapshot, draft: PlanDraft): Plan {
  const ids = draft.steps.map(({ id }, index) => id ?? `s${index + 1}`);
  const steps = draft.steps.map(({ action, after }, index) => ({
    id: ids[index] as string,
    after: [...(after ?? (index === 0 ? [] : [ids[index - 1] as string]))],
    action,
  }));
  const members = [...snapshot.topology.nodes, ...snapshot.strangers];
  const plan: Plan = {
    version: VERSION,
    operation: draft.operation,
    request: draft.request,
    title: draft.title,
    fingerprint: fingerprintOf(snapshot),
    nodes: members.map(({ id }) => ({ id, address: snapshot.addressOf(id) })),
    steps,
    tolerates: [...(draft.tolerates ?? [])],
    forced: [],
    notes: [...(draft.notes ?? [])],
  };
  return checked(plan, 'unexpected', 'The plan');
}

/** Twelve hexadecimal digits that are the same for the same plan. */
export function planId(plan: Plan): string {
  return digestOf(plan).slice(0, 12);
}

/** Two commands that ask for the same thing. */
export function sameRequest(left: Pick<Plan, 'operation' | 'request'>, right: typeof left): boolean {
  const of = ({ operation, request }: typeof left) => canonicalJson({ operation, request });
  return of(left) === of(right);
}

/** The plan as text for a file. */
export function formatPlan(plan: Plan): string {
  return `${JSON.stringify(plan, undefined, 2)}\n`;
}

/**
 * Reads a saved plan.
 * @param source the file, for errors
 * @throws ForgeError `configuration` when it is none
 */
export function parsePlan(text: string, source: string): Plan {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ForgeError('configuration', `${source} is no plan: it is not JSON.`, {
      next: 'Make it with --plan-out.',
    });
  }
  return checked(value, 'configuration', source);
}

function checked(value: unknown, kind: 'configuration' | 'unexpected', source: string): Plan {
  const parsed = planSchema.safeParse(value);
  const issue = parsed.error?.issues[0];
  const fault = parsed.success ? disorder(parsed.data.steps) : `${issue?.path.join('.') || 'it'}: ${issue?.message}`;
  if (parsed.success && fault === undefined) return parsed.data;
  throw new ForgeError(kind, `${source} is no plan of this version of forge: ${fault}.`, {
    next: kind === 'configuration' ? 'Make it anew with --plan-out.' : undefined,
  });
}

/** Steps only wait for earlier ones: so there is no circle, and the order of the plan is one in which it can be done. */
function disorder(steps: readonly PlanStep[]): string | undefined {
  const before = new Set<string>();
  for (const { id, after } of steps) {
    if (before.has(id)) return `the step ${id} appears twice`;
    const missing = after.find((each) => !before.has(each));
    if (missing !== undefined) return `the step ${id} waits for ${missing}, which is not before it`;
    before.add(id);
  }
  return undefined;
}

/** The steps of the plan, one line each. */
export function planLines(plan: Plan): string[] {
  return plan.steps.map(({ action }) => handlerOf(action).title(action));
}
