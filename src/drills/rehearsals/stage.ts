/** Where rehearsals happen: the cluster, and the operations that operators have for it. */
import type { NodeAddress } from '../../cluster/address.js';
import { pause } from '../../cluster/bounded.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { disagreement, openSlots, uncoveredSlots } from '../../operations/guards/health.js';
import { unfinishedOperations } from '../../operations/journal/journal.js';
import type { Plan } from '../../operations/plan.js';
import {
  otherUnfinished,
  type RunResult,
  type RunSettings,
  resumeOperation,
  rollbackOperation,
  runPlan,
} from '../../operations/run.js';
import type { ClusterSession } from '../../operations/session.js';
import { describeUnfinished } from '../../operations/unfinished.js';
import type { Tell } from '../drill.js';

/** Until a cluster that was disturbed is whole again: elections, supervisors that wait, data that is loaded. */
export const WHOLE_MS = 180_000;
const LOOK_MS = 200;
const REASONS_SHOWN = 5;

export interface Stage {
  /** Open over the whole rehearsal; it has a connection to every node that was there at the beginning. */
  readonly session: ClusterSession;
  /** A session with the cluster as it is now. @param also nodes that are to join */
  readonly withSession: <Result>(
    work: (session: ClusterSession) => Promise<Result>,
    also?: readonly NodeAddress[],
  ) => Promise<Result>;
  readonly operations: Omit<RunSettings, 'session' | 'signal'>;
}

/**
 * One operation, as its command does it: guards, lock, journal, audit log, verification. It was confirmed with the whole.
 * @throws ForgeError as `runPlan`
 */
export function operate(
  { withSession, operations }: Stage,
  plan: (snapshot: ClusterSnapshot, session: ClusterSession) => Plan | Promise<Plan>,
  { signal, also }: { readonly signal: AbortSignal; readonly also?: readonly NodeAddress[] },
): Promise<RunResult> {
  return withSession(
    async (session) =>
      runPlan({
        ...operations,
        session,
        plan: await plan(session.snapshot, session),
        confirm: async () => undefined,
        signal,
      }),
    also,
  );
}

/**
 * Puts right what an operation of a rehearsal has left in the middle.
 * @param course what is tried first; what cannot be undone is finished
 */
export async function putRight(
  { withSession, operations, session: { memberIds } }: Stage,
  course: 'undo' | 'finish',
  { tell, signal }: { readonly tell: Tell; readonly signal: AbortSignal },
): Promise<void> {
  const [begun] = await unfinishedOperations(operations.paths.journals, memberIds);
  if (begun === undefined) return;
  const { operationId, plan, direction } = begun;
  const stuck = describeUnfinished(begun).irreversible.length > 0;
  const undo = direction === 'back' || (course === 'undo' && !stuck);
  tell(`${undo ? 'undoing' : 'finishing'}: ${plan.title}`);
  await withSession((session) => {
    const settings = { ...operations, session, signal };
    return undo ? rollbackOperation(settings, operationId) : resumeOperation(settings, operationId);
  });
}

/** @throws ForgeError `refused` or `locked` while an operation on the cluster is unfinished */
export async function requireNothingUnfinished({ operations, session }: Stage): Promise<void> {
  const [begun] = await unfinishedOperations(operations.paths.journals, session.memberIds);
  if (begun !== undefined) throw await otherUnfinished(begun);
}

/** Why a cluster is not whole: each reason names nodes. Pure. @param memberIds those that must answer */
export function faultsOf(snapshot: ClusterSnapshot, memberIds: readonly string[]): string[] {
  const about = (id: string) => snapshot.addressOf(id);
  const silent = memberIds.filter((id) => snapshot.report(id) === undefined);
  const down = snapshot.reports.filter(({ cluster }) => cluster.state !== 'ok');
  const unlinked = snapshot.reports.filter(({ replication, loading }) => !replication.linkUp || loading);
  return [
    ...silent.map((id) => `${about(id)} does not answer`),
    ...[uncoveredSlots, openSlots, disagreement].flatMap(({ check }) => check(snapshot, { steps: [] }, [])),
    ...down.map(({ address, cluster }) => `${address} says that the cluster is "${cluster.state}"`),
    ...unlinked.map(({ address }) => `${address} has not the data of its master`),
  ];
}

/** @throws ForgeError `refused` for a cluster that is not whole: a drill would show what is wrong already */
export function requireWhole({ session: { snapshot, memberIds } }: Stage): void {
  const faults = faultsOf(snapshot, memberIds);
  if (faults.length === 0) return;
  throw new ForgeError('refused', `The cluster is not whole: ${shown(faults)}.`, {
    host: snapshot.reference.address,
    next: 'Put that right first: forge cluster check.',
    details: { faults },
  });
}

/** Waits until every node answers and all are in order. @throws ForgeError `timeout` with what is still wrong */
export async function untilWhole(
  { session }: Pick<Stage, 'session'>,
  signal: AbortSignal,
  boundMs = WHOLE_MS,
): Promise<void> {
  const end = performance.now() + boundMs;
  for (;;) {
    const faults = await session.look().then(
      (snapshot) => faultsOf(snapshot, session.memberIds),
      (error: unknown) => {
        if (error instanceof ForgeError) return [error.message];
        throw error;
      },
    );
    if (faults.length === 0) return;
    if (performance.now() > end) {
      throw new ForgeError('timeout', `The cluster is not whole after ${boundMs / 1_000} s: ${shown(faults)}.`, {
        host: session.cluster,
        next: 'Look at it: forge cluster check.',
        details: { faults },
      });
    }
    await pause(LOOK_MS, signal);
  }
}

function shown(faults: readonly string[]): string {
  const more = faults.length - REASONS_SHOWN;
  return `${faults.slice(0, REASONS_SHOWN).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
