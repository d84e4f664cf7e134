/** Repairs slots: what `fix-rules.ts` decides for each, as a plan. Pure. */
import { type ClusterNode, hasFlag } from '../../cluster/cluster-node.js';
import { countSlots, formatSlots, type SlotSet, slotsFrom, unionSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import type { RunningJob } from '../health/slot-jobs.js';
import { createPlan, type Plan, type PlanDraft } from '../plan.js';
import {
  type Abandoned,
  factsOf,
  misheardSlots,
  type SlotKeys,
  slotsInQuestion,
  slotsOfTheSilent,
  strayedSlots,
} from './fix-facts.js';
import { halfKnown } from './fix-members.js';
import { decide, type SlotDecision, type Unknown } from './fix-rules.js';
import { shareOut } from './fix-share.js';

/** What this operation is there to put right, or can work beside. */
export const FIX_TOLERATES = ['disagreement', 'nodes-down', 'open-slots', 'uncovered-slots'] as const;
/** Cases that are told one by one. */
const TOLD_MAX = 8;
const RANGES_SHOWN_MAX = 4;

export interface FixOptions {
  /** Guards that the operator overrides: what they name stays as it is, and the rest is repaired. */
  readonly force?: readonly string[];
  /** Ids of dead masters that are gone with their keys: their slots go to others, empty. */
  readonly abandon?: readonly string[];
  /** Keys that masters hold of slots of others, and that nobody sees, are sent to the owners. */
  readonly strays?: boolean;
  /** What the servers move by themselves: what of it fails again and again is cancelled. */
  readonly jobs?: readonly RunningJob[];
}

/**
 * The plan that puts slots in order; without steps when they are.
 * @param keys of all slots, of all masters that answer
 * @throws ForgeError `refused` when something cannot be known, naming all of it and what to do
 */
export function planFix(snapshot: ClusterSnapshot, keys: SlotKeys, options: FixOptions = {}): Plan {
  const force = new Set(options.force);
  const abandoned = requireGone(snapshot, options.abandon ?? []);
  const silent = slotsOfTheSilent(snapshot, abandoned);
  const unknowns: Unknown[] = [...halfKnown(snapshot)];
  const disordered = slotsInQuestion(snapshot, abandoned);
  const strayed = strayedSlots(snapshot, keys, disordered);
  const questioned = options.strays ? unionSlots(disordered, ...strayed.values()) : disordered;
  let decisions: SlotDecision[] = [];
  for (const facts of factsOf(snapshot, keys, questioned)) {
    const found = decide(snapshot, facts, { silent, abandoned });
    if ('unknown' in found) unknowns.push(found.unknown);
    else decisions.push(found.decision);
  }
  const down = decisions.some((each) => movesKeys(each, keys)) ? outOfService(snapshot, abandoned) : undefined;
  if (down !== undefined) {
    unknowns.push(down);
    decisions = decisions.filter((decision) => !movesKeys(decision, keys));
  }
  const refusing = unknowns.filter(({ guard }) => !force.has(guard));
  if (refusing.length > 0) throw cannotKnow(refusing);
  const failing = options.force?.includes('open-slots') ? [] : (options.jobs ?? []).filter((job) => job.failing);
  const steps = stepsFor(snapshot, { decisions: shareOut(snapshot, decisions), failing, keys, abandoned });
  const repaired = countSlots(slotsFrom(decisions.map(({ slot }) => slot)));
  const misheard = countSlots(unionSlots(...misheardSlots(snapshot).values()));
  return createPlan(snapshot, {
    operation: 'cluster fix',
    request: {
      leave: FIX_TOLERATES.filter((guard) => force.has(guard)),
      abandon: [...abandoned].sort(),
      strays: options.strays === true,
    },
    title: titleOf({
      repaired,
      misheard,
      cancelled: failing.length,
      steps: steps.length,
      lost: lostMasters(snapshot, abandoned).length,
    }),
    steps,
    tolerates: FIX_TOLERATES,
    notes: [
      ...(options.strays ? [] : strayNotes(snapshot, strayed)),
      ...lostNotes(snapshot, abandoned),
      ...[...abandoned]
        .sort()
        .map((id) => `the keys of ${snapshot.addressOf(id)} are lost; if it comes back, it empties itself`),
      ...unknowns.slice(0, TOLD_MAX).map(({ text }) => `left as it is: ${text}`),
    ],
  });
}

/** Whether they were lost or left over, nobody can tell: so they are sent home only when that is asked for. */
function strayNotes(snapshot: ClusterSnapshot, strayed: ReadonlyMap<string, SlotSet>): string[] {
  return [...strayed].slice(0, TOLD_MAX).map(([id, slots]) => {
    const what = `keys of ${countSlots(slots)} slots of others (${formatSlots(slots, RANGES_SHOWN_MAX)})`;
    return `${snapshot.addressOf(id)} holds ${what}, which nobody sees; --strays sends them to the owners`;
  });
}

/** Slots that are in order may still be served by nobody; who is to serve them is no question of order. */
function lostNotes(snapshot: ClusterSnapshot, abandoned: Abandoned): string[] {
  return lostMasters(snapshot, abandoned)
    .slice(0, TOLD_MAX)
    .map(({ id, slots }) => {
      const address = snapshot.addressOf(id);
      return `${address} does not answer: nobody serves its ${countSlots(slots)} slots. Start it, let a replica take over (forge cluster failover), or give its keys up (--abandon)`;
    });
}

interface Counts {
  readonly repaired: number;
  readonly misheard: number;
  readonly cancelled: number;
  readonly steps: number;
  /** Masters that do not answer. */
  readonly lost: number;
}

function titleOf({ repaired, misheard, cancelled, steps, lost }: Counts): string {
  if (steps === 0) return lost === 0 ? 'All slots are in order' : 'No slot needs a repair; a master is missing';
  if (repaired > 0) return `Repair ${repaired} slots`;
  if (cancelled > 0) return `Cancel ${cancelled} ${cancelled === 1 ? 'job' : 'jobs'} of the servers`;
  return misheard > 0 ? `Make the owners of ${misheard} slots known to all` : 'Make the nodes agree';
}

/** Keys leave a node: MIGRATE is refused by a cluster that is down. */
function movesKeys({ finish, close, owner, slot }: SlotDecision, keys: SlotKeys): boolean {
  return finish !== undefined || close.some((id) => id !== owner && (keys.get(id)?.get(slot) ?? 0) > 0);
}

function lostMasters(snapshot: ClusterSnapshot, abandoned: Abandoned): ClusterNode[] {
  return snapshot.topology.masters.filter(
    (node) =>
      node.slots.length > 0 &&
      !abandoned.has(node.id) &&
      (hasFlag(node, 'fail') || snapshot.report(node.id) === undefined),
  );
}

/** The operator's word is taken for what nobody can see, the loss of a disk; what can be seen is looked at. */
function requireGone(snapshot: ClusterSnapshot, ids: readonly string[]): Abandoned {
  for (const id of ids) {
    const address = snapshot.addressOf(id);
    const refuse = (why: string, next: string) =>
      new ForgeError('refused', `${address} is not given up: ${why}.`, { host: address, next });
    const shard = snapshot.topology.shardOf(id);
    const master = shard?.master;
    if (shard === undefined || master?.id !== id)
      throw refuse('it is no master of this cluster', 'See forge cluster status.');
    if (snapshot.report(id) !== undefined) throw refuse('it answers', 'Move its slots away: forge scale remove.');
    if (!hasFlag(master, 'fail')) {
      throw refuse(
        'the cluster does not hold it for dead',
        'Wait until it does, or check the network from this host to it.',
      );
    }
    const heir = shard.replicas.find((replica) => snapshot.report(replica.id) !== undefined);
    if (heir !== undefined) {
      const where = snapshot.addressOf(heir.id);
      throw refuse(
        `its replica ${where} has its keys`,
        `Let that one take over: forge cluster failover ${where} --mode force`,
      );
    }
  }
  return new Set(ids);
}

/** A master with slots is lost, and the cluster serves nothing (`cluster-require-full-coverage`): no key can be moved. */
function outOfService(snapshot: ClusterSnapshot, abandoned: Abandoned): Unknown | undefined {
  const [first] = lostMasters(snapshot, abandoned);
  const stopped = snapshot.reports.some(({ cluster }) => cluster.state !== 'ok');
  if (first === undefined || !stopped) return undefined;
  const address = snapshot.addressOf(first.id);
  return {
    guard: 'nodes-down',
    text: `keys cannot be moved while the cluster is down, because ${address} does not serve its slots`,
    next: `Start ${address}, or let a replica take over: forge cluster failover. Then fix again.`,
  };
}

function cannotKnow(unknowns: readonly Unknown[]): ForgeError {
  const more = unknowns.length - TOLD_MAX;
  const lines = unknowns.slice(0, TOLD_MAX).map(({ text }) => `  ${text}`);
  if (more > 0) lines.push(`  and ${more} more`);
  const next = [...new Set(unknowns.map((each) => each.next))].slice(0, TOLD_MAX);
  const guards = [...new Set(unknowns.map(({ guard }) => guard))].sort();
  return new ForgeError('refused', `Not all of it can be repaired without guessing:\n${lines.join('\n')}`, {
    next: [...next, `Or leave that as it is and repair the rest: --force ${guards.join(',')}`],
    details: { unknown: unknowns.map(({ guard, slot, text }) => ({ guard, slot: slot ?? null, text })) },
  });
}

/** Slots of the same nodes are one step. */
class Groups {
  readonly #slots = new Map<string, number[]>();

  add(slot: number, ...nodes: string[]): void {
    const key = nodes.join(' ');
    const list = this.#slots.get(key);
    if (list === undefined) this.#slots.set(key, [slot]);
    else list.push(slot);
  }

  /** By the ids of the nodes, so that the same case makes the same plan. */
  get all(): { nodes: string[]; ranges: { start: number; end: number }[] }[] {
    return [...this.#slots]
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, slots]) => ({ nodes: key.split(' '), ranges: slotsFrom(slots).map((range) => ({ ...range })) }));
  }
}

interface Repair {
  readonly decisions: readonly SlotDecision[];
  readonly failing: readonly RunningJob[];
  readonly keys: SlotKeys;
  readonly abandoned: Abandoned;
}

/**
 * Jobs that fail first: they begin anew at any time. Then owners, since no key can be moved while slots are served by
 * nobody; then the marks of owners, which take no keys of a slot that they send away; then moves that were begun, and keys
 * that go home.
 */
function stepsFor(
  snapshot: ClusterSnapshot,
  { decisions, failing, keys, abandoned }: Repair,
): NonNullable<PlanDraft['steps']> {
  const ref = (id: string | undefined) => ({ id: id as string, address: snapshot.addressOf(id as string) });
  const [assign, own, finish, close] = [new Groups(), new Groups(), new Groups(), new Groups()];
  for (const [id, slots] of misheardSlots(snapshot)) {
    for (const { start, end } of slots) for (let slot = start; slot <= end; slot++) assign.add(slot, id);
  }
  for (const decision of decisions) {
    const { slot, assignTo, owner = '' } = decision;
    if (assignTo !== undefined) assign.add(slot, assignTo);
    if (decision.finish !== undefined) finish.add(slot, decision.finish.source, decision.finish.target);
    for (const id of decision.close) (id === owner ? own : close).add(slot, id, owner);
  }
  const steps: { id: string; after: string[]; action: PlanDraft['steps'][number]['action'] }[] = [];
  const add = (word: string, after: string[], groups: Groups, make: (nodes: string[]) => object): string[] =>
    groups.all.map(({ nodes, ranges }, index) => {
      const id = `${word}-${index + 1}`;
      steps.push({ id, after, action: { ...make(nodes), ranges } as (typeof steps)[number]['action'] });
      return id;
    });
  const nodes = snapshot.reports.map(({ id }) => id);
  const wait = (id: string, after: string[]): string[] => {
    // As long as a master is lost the cluster does not serve, and a wait for that would never end.
    if (lostMasters(snapshot, abandoned).length > 0) return after;
    steps.push({ id, after, action: { kind: 'wait-convergence', nodes } });
    return [id];
  };
  const cancelled = failing.map(({ id: job, targetId, slots }, index) => {
    const id = `cancel-${index + 1}`;
    const ranges = slots.map((range) => ({ ...range }));
    steps.push({ id, after: [], action: { kind: 'cancel-slot-job', node: ref(targetId), job, ranges } });
    return id;
  });
  const assigned = add('assign', cancelled, assign, ([id]) => ({ kind: 'assign-slots', node: ref(id) }));
  const ready =
    assigned.length > 0 && decisions.some((each) => movesKeys(each, keys))
      ? wait('serve', assigned)
      : [...cancelled, ...assigned];
  const stable = ([node, owner]: string[]) => ({ kind: 'set-slot-stable', node: ref(node), owner: ref(owner) });
  const kept = add('keep', ready, own, stable);
  const finished = add('finish', ready, finish, ([source, target]) => ({
    kind: 'finish-slot',
    source: ref(source),
    target: ref(target),
  }));
  const closed = add('close', [...ready, ...kept, ...finished], close, stable);
  const all = [...cancelled, ...assigned, ...kept, ...finished, ...closed];
  if (all.length > 0 || !snapshot.agreed || snapshot.topology.handshakes.length > 0) wait('agree', all);
  return steps;
}
