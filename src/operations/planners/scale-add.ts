/** Nodes join a cluster: as masters that get their share of the slots, or as replicas. Pure. */
import { formatAddress, type NodeAddress } from '../../cluster/address.js';
import { pickMasters } from '../../cluster/init/spread.js';
import { countSlots } from '../../cluster/slots.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import { ForgeError } from '../../errors.js';
import { createPlan, type Plan } from '../plan.js';
import { type Joining, joiningNodes } from './joining.js';
import { givenNotes, NO_WEIGHTS, takeByWeight, unevenNotes, type Weights } from './kept-weights.js';
import { type DraftStep, moveSteps, type Transfer, transfersFor } from './moves.js';
import { chooseNode, listed, refOf } from './node-choice.js';
import { type PlacedMaster, placedMaster, placementNotes, placeReplicas } from './placement.js';
import { divideByWeight, takeFromLargest } from './weights.js';

export interface ScaleAddOptions {
  /** As they were typed; they need not be members yet. */
  readonly nodes: readonly NodeAddress[];
  readonly role: 'master' | 'replica';
  /** Replicas: whose; the masters with the fewest when not given. */
  readonly replicaOf?: string;
  /** Masters: replicas of each, from the same list of nodes. */
  readonly replicas: number;
  /** Masters: share of each; without it the one of forge.yaml, else 1. */
  readonly weight?: number;
}

const AGREE = 'agree';

/** What was asked for, in a form that is the same for the same command. */
export function scaleAddRequest(options: ScaleAddOptions): Plan['request'] {
  const { nodes, role, replicaOf, replicas, weight } = options;
  const shown = nodes.map(({ zone, ...address }) => `${formatAddress(address)}${zone === undefined ? '' : `@${zone}`}`);
  return { nodes: shown, role, replicaOf: replicaOf ?? null, replicas, weight: weight ?? null };
}

/**
 * The plan by which the nodes join. Nodes that are members already are taken on from where they are, so that the same
 * command again finishes what was begun, and does nothing when all is done.
 *
 * Slots come from the masters that have the most for their weight, and only as many move as the new masters are to have.
 * @param weights those of forge.yaml
 * @throws ForgeError `usage` for counts that do not fit, a node given twice; `refused` for a member whose role is another;
 *   what the node answered for one that cannot be reached
 */
export function planScaleAdd(snapshot: ClusterSnapshot, options: ScaleAddOptions, weights: Weights = NO_WEIGHTS): Plan {
  const joining = joiningNodes(snapshot, options.nodes);
  const parts =
    options.role === 'master' ? asMasters(snapshot, joining, options, weights) : asReplicas(snapshot, joining, options);
  const steps = stepsFor(snapshot, joining, parts);
  return createPlan(snapshot, {
    operation: 'scale add',
    request: scaleAddRequest(options),
    title: titleOf(joining, options.role, steps.length),
    steps,
    notes: [...memberNotes(snapshot, joining), ...parts.notes],
  });
}

function titleOf(joining: readonly Joining[], role: ScaleAddOptions['role'], steps: number): string {
  const nodes = listed(joining.map(({ address }) => address));
  if (steps === 0) return `${nodes} ${joining.length > 1 ? 'are members' : 'is a member'} already`;
  return `Add ${nodes} as ${role}${joining.length > 1 ? 's' : ''}`;
}

/** So that nobody takes a node that has its place for one that was added just now. */
function memberNotes(snapshot: ClusterSnapshot, joining: readonly Joining[]): string[] {
  return joining.flatMap(({ address, member }) =>
    member === undefined ? [] : [`${address} is a member already: ${roleWords(snapshot, member)}`],
  );
}

function roleWords(snapshot: ClusterSnapshot, { role, masterId, slots }: NonNullable<Joining['member']>): string {
  if (role === 'replica') return `a replica of ${masterId === undefined ? '?' : snapshot.addressOf(masterId)}`;
  const count = countSlots(slots);
  return count === 0 ? 'a master without slots' : `a master that serves ${count} slots`;
}

interface Parts {
  /** New masters. */
  readonly masters: readonly Joining[];
  /** Who is to follow whom, by id. */
  readonly attachments: ReadonlyMap<string, string>;
  readonly transfers: readonly Transfer[];
  readonly notes: readonly string[];
}

function asMasters(
  snapshot: ClusterSnapshot,
  joining: readonly Joining[],
  options: ScaleAddOptions,
  weights: Weights,
): Parts {
  const { replicas, weight, replicaOf } = options;
  if (replicaOf !== undefined) {
    throw new ForgeError('usage', 'A master is nobody’s replica.', {
      next: 'Leave --replica-of or --role master away.',
    });
  }
  if (joining.length % (replicas + 1) !== 0) {
    throw new ForgeError(
      'usage',
      `${joining.length} nodes are not a multiple of ${replicas + 1}: one master and ${replicas} replicas each.`,
      { next: 'Name as many nodes as that takes, or change --replicas.' },
    );
  }
  const masters = chooseMasters(joining, joining.length / (replicas + 1));
  const masterIds = new Set(masters.map(({ id }) => id));
  const followers = joining.filter(({ id }) => !masterIds.has(id));
  const free = followers.filter(({ member }) => !(member?.masterId !== undefined && masterIds.has(member.masterId)));
  const followed = (id: string) => followers.filter(({ member }) => member?.masterId === id).map(({ place }) => place);
  for (const { member, address } of free) requireEmptyMaster(snapshot, address, member);
  const places: PlacedMaster[] = masters.map(({ id, place }) => ({ ...place, replicas: followed(id) }));
  const chosen = placeReplicas(
    places,
    free.map(({ place }) => place),
  );
  const transfers = sharesOf(snapshot, masters, (id) => weight ?? weights.get(id) ?? 1, weights);
  return {
    masters,
    attachments: chosen,
    transfers,
    notes: [
      ...placementNotes(snapshot, chosen, [...places, ...free.map(({ place }) => place)]),
      ...(transfers.length === 0 ? [] : unevenNotes(snapshot, weights, masterIds)),
      ...givenNotes(snapshot, new Map(weight === undefined ? [] : masters.map(({ id }) => [id, weight])), weights),
    ],
  };
}

/** Members that serve slots or have replicas are the masters already; the others are chosen as in a new cluster. */
function chooseMasters(joining: readonly Joining[], count: number): Joining[] {
  const settled = joining.filter(({ member, hasReplicas }) => hasReplicas || (member?.slots.length ?? 0) > 0);
  const free = joining.filter((node) => !settled.includes(node) && node.member?.role !== 'replica');
  const wanted = count - settled.length;
  if (wanted < 0 || wanted > free.length) {
    throw new ForgeError('refused', 'Some of these nodes are members of the cluster in other roles already.', {
      next: 'Look at them with forge cluster status, and name only those that are to be added.',
    });
  }
  const numbers = (values: readonly string[]) => values.map((value) => values.indexOf(value));
  const zoned = free.length > 0 && free.every(({ place }) => place.zone !== undefined);
  const host = numbers(free.map(({ place }) => place.host));
  const zone = zoned ? numbers(free.map(({ place }) => place.zone ?? '')) : host.map((_, index) => index);
  const picked = wanted === 0 ? [] : pickMasters({ host, zone }, wanted, zoned).map((index) => free[index] as Joining);
  return joining.filter((node) => settled.includes(node) || picked.includes(node));
}

/** What the new masters are to get, and from whom. */
function sharesOf(
  snapshot: ClusterSnapshot,
  masters: readonly Joining[],
  weightOf: (id: string) => number,
  kept: Weights,
): Transfer[] {
  const added = new Set(masters.map(({ id }) => id));
  const serving = snapshot.topology.masters.filter(({ id, slots }) => !added.has(id) && slots.length > 0);
  const slotsOf = ({ member }: Joining) => member?.slots ?? [];
  const others = serving.map(({ id, slots }) => ({ id, slots: countSlots(slots), weight: kept.get(id) ?? 1 }));
  const news = masters.map((node) => ({ id: node.id, slots: countSlots(slotsOf(node)), weight: weightOf(node.id) }));
  if (others.length === 0 || news.every(({ weight }) => weight === 0)) return [];
  // Slots that nobody serves are none of this operation's: a guard refuses, or the operator overrode it.
  const total = [...others, ...news].reduce((sum, { slots }) => sum + slots, 0);
  const shares = divideByWeight([...others, ...news], total);
  const wants = news.map(({ id, slots }) => ({ id, slots, wanted: Math.max(slots, shares.get(id) ?? 0) }));
  const needed = wants.reduce((sum, { slots, wanted }) => sum + wanted - slots, 0);
  const even = others.every(({ weight }) => weight === others[0]?.weight);
  const left = even ? takeFromLargest(others, needed) : takeByWeight(others, needed);
  return transfersFor([
    ...serving.map(({ id, slots }) => ({ id, slots, wanted: left.get(id) ?? 0 })),
    ...masters.map((node, index) => ({ id: node.id, slots: slotsOf(node), wanted: wants[index]?.wanted ?? 0 })),
  ]);
}

function asReplicas(snapshot: ClusterSnapshot, joining: readonly Joining[], options: ScaleAddOptions): Parts {
  if (options.replicas > 0) {
    throw new ForgeError('usage', '--replicas is for new masters.', { next: 'Leave it away, or --role replica.' });
  }
  const { topology } = snapshot;
  const ids = new Set(joining.map(({ id }) => id));
  const wanted = options.replicaOf === undefined ? undefined : masterNamed(snapshot, options.replicaOf);
  const masters =
    wanted === undefined
      ? topology.masters.filter(({ id, slots }) => slots.length > 0 && !ids.has(id)).map(({ id }) => id)
      : [wanted];
  if (masters.length === 0) throw new ForgeError('refused', 'No master serves slots: there is nothing to replicate.');
  const free = joining.filter(({ member }) =>
    wanted === undefined ? member?.role !== 'replica' : member?.role !== 'replica' || member.masterId !== wanted,
  );
  for (const { address, member } of free) {
    if (member?.role !== 'replica') requireEmptyMaster(snapshot, address, member);
  }
  const moving = new Set(free.map(({ id }) => id));
  const places = masters.map((id) => placedMaster(snapshot, id, moving));
  const chosen = placeReplicas(
    places,
    free.map(({ place }) => place),
  );
  const notes = placementNotes(snapshot, chosen, [...places, ...free.map(({ place }) => place)]);
  return { masters: [], attachments: chosen, transfers: [], notes };
}

function masterNamed(snapshot: ClusterSnapshot, word: string): string {
  const id = chooseNode(snapshot, word);
  const node = snapshot.topology.node(id);
  if (node?.role === 'master') return id;
  const master = node?.masterId === undefined ? undefined : snapshot.addressOf(node.masterId);
  throw new ForgeError('refused', `${word} is a replica${master === undefined ? '' : ` of ${master}`}, not a master.`, {
    host: snapshot.addressOf(id),
    next: master === undefined ? 'Name a master.' : `Name its master: --replica-of ${master}`,
  });
}

function requireEmptyMaster(snapshot: ClusterSnapshot, address: string, member: Joining['member']): void {
  if (member === undefined) return;
  const refuse = (what: string, next: string) =>
    new ForgeError('refused', `${address} ${what}.`, { host: address, next });
  if (member.role === 'replica') {
    const master = member.masterId === undefined ? 'another node' : snapshot.addressOf(member.masterId);
    throw refuse(`is a member already, a replica of ${master}`, 'Remove it first: forge scale remove.');
  }
  const slots = countSlots(member.slots);
  if (slots > 0) {
    throw refuse(
      `is a member already, a master that serves ${slots} slots`,
      'Drain it first: forge cluster rebalance.',
    );
  }
  if ((snapshot.topology.shardOf(member.id)?.replicas.length ?? 0) > 0) {
    throw refuse('is a member already, a master with replicas', 'Attach these elsewhere first.');
  }
}

function stepsFor(snapshot: ClusterSnapshot, joining: readonly Joining[], parts: Parts): DraftStep[] {
  const { masters, attachments, transfers } = parts;
  const { topology } = snapshot;
  const via = refOf(snapshot, snapshot.reference.id);
  const meets = joining.flatMap(({ id, member }) => (member === undefined ? [id] : []));
  const receiving = masters.filter(({ id }) => meets.includes(id) || transfers.some(({ target }) => target === id));
  if (meets.length === 0 && attachments.size === 0 && transfers.length === 0) return [];
  const answering = topology.nodes.filter(({ id }) => snapshot.report(id) !== undefined).map(({ id }) => id);
  const everybody = [...new Set([...answering, ...joining.map(({ id }) => id)])];
  const meetSteps = meets.map((id, index) => ({
    id: `meet-${index + 1}`,
    after: [],
    action: { kind: 'meet' as const, node: refOf(snapshot, id), via },
  }));
  const agree = {
    id: AGREE,
    after: meetSteps.map(({ id }) => id),
    action: { kind: 'wait-convergence' as const, nodes: everybody },
  };
  const source = functionSource(snapshot, joining);
  const functions = (source === undefined ? [] : receiving).map(({ id }, index) => ({
    id: `functions-${index + 1}`,
    after: [AGREE],
    target: id,
    action: { kind: 'copy-functions' as const, source: refOf(snapshot, source as string), target: refOf(snapshot, id) },
  }));
  const attach = [...attachments].map(([id, master], index) => ({
    id: `attach-${index + 1}`,
    after: [AGREE, ...functions.filter(({ target }) => target === master).map((step) => step.id)],
    master,
    action: {
      kind: 'replicate' as const,
      node: refOf(snapshot, id),
      master: refOf(snapshot, master),
      previousMaster: previousMaster(snapshot, id),
    },
  }));
  // Replicas first: what moves is never on one node only.
  const moves = moveSteps(snapshot, transfers, ({ target }) => [
    AGREE,
    ...functions.filter((step) => step.target === target).map(({ id }) => id),
    ...attach.filter(({ master }) => master === target).map(({ id }) => id),
  ]);
  const work = [...functions.map(bare), ...attach.map(bare), ...moves];
  const settle = { id: 'settle', after: [AGREE, ...work.map(({ id }) => id)], action: agree.action };
  return [...meetSteps, agree, ...work, ...(work.length === 0 ? [] : [settle])];
}

const bare = ({ id, after, action }: DraftStep & { id: string }) => ({ id, after, action });

function functionSource(snapshot: ClusterSnapshot, joining: readonly Joining[]): string | undefined {
  return snapshot.topology.masters.find(
    ({ id, slots }) => slots.length > 0 && snapshot.report(id) !== undefined && !joining.some((node) => node.id === id),
  )?.id;
}

function previousMaster(snapshot: ClusterSnapshot, id: string) {
  const master = snapshot.topology.node(id)?.masterId;
  return master === undefined ? null : refOf(snapshot, master);
}
