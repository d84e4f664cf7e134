/**
 * Which node becomes what in a new cluster. Pure and deterministic: the same nodes in the same order give the same plan.
 *
 * Rules, the more important first:
 * 1. masters = floor(nodes / (replicas per master + 1)), at least 3; nodes left over become additional replicas.
 * 2. A replica is never on its master's host when another arrangement exists, then never in its zone.
 * 3. Masters are spread evenly over zones, then over hosts; among equals, the node that was given first.
 * 4. The replicas of one master are on different hosts, then in different zones, where that is possible.
 */
import { ForgeError } from '../../errors.js';
import { type SlotSet, splitEvenly } from '../slots.js';
import { pairReplicas, placeExtraReplicas } from './pairing.js';
import { pickMasters } from './spread.js';

export const MASTERS_MIN = 3;
export const REPLICAS_PER_MASTER_MAX = 100;

export interface PlanNode {
  /** `host:port` as the operator wrote it; unique. */
  readonly label: string;
  /** Equal for nodes on the same host. */
  readonly host: string;
  /** Failure domain; all nodes have one, or none has. */
  readonly zone?: string;
}

export interface PlannedShard {
  readonly master: string;
  readonly slots: SlotSet;
  readonly replicas: readonly string[];
}

export interface InitPlan {
  readonly replicasPerMaster: number;
  /** In the order of their slots. */
  readonly shards: readonly PlannedShard[];
  /** What the operator should know before saying yes: compromises, nodes left over. */
  readonly notes: readonly string[];
  /** Who serves what was given, and is not even: a finished cluster must have just these slots. */
  readonly assigned: boolean;
}

/** How many masters `nodes` make. Throws ForgeError `usage`, with the arithmetic, when they are fewer than three. */
export function countMasters(nodes: number, replicasPerMaster: number): number {
  if (!Number.isInteger(replicasPerMaster) || replicasPerMaster < 0 || replicasPerMaster > REPLICAS_PER_MASTER_MAX) {
    throw new ForgeError('usage', `Replicas per master must be a whole number from 0 to ${REPLICAS_PER_MASTER_MAX}.`);
  }
  const masters = Math.floor(nodes / (replicasPerMaster + 1));
  if (masters >= MASTERS_MIN) return masters;
  const needed = MASTERS_MIN * (replicasPerMaster + 1);
  const fewer = Math.floor(nodes / MASTERS_MIN) - 1;
  const lower = fewer >= 0 ? ` Or set --replicas-per-master to ${fewer}.` : '';
  throw new ForgeError(
    'usage',
    `${nodes} ${nodes === 1 ? 'node' : 'nodes'} / (1 master + ${replicasPerMaster} replicas) = ${masters} ${
      masters === 1 ? 'master' : 'masters'
    }, and a cluster needs at least ${MASTERS_MIN}: ${MASTERS_MIN} × ${replicasPerMaster + 1} = ${needed} nodes.`,
    { next: `Give at least ${needed} nodes.${lower}` },
  );
}

/** Maps strings to 0, 1, 2, … in the order of appearance. */
function numbered(values: readonly string[]): number[] {
  const numbers = new Map<string, number>();
  return values.map((value) => {
    const known = numbers.get(value) ?? numbers.size;
    numbers.set(value, known);
    return known;
  });
}

/**
 * Plans a new cluster.
 * @param assignment the slots of each master, as a cluster had them before; evenly divided when not given
 * @throws ForgeError `usage` for fewer than three masters, or than are assigned slots, a node given twice, and zones for
 *   only some of the nodes
 */
export function planInit(
  nodes: readonly PlanNode[],
  replicasPerMaster: number,
  assignment?: readonly SlotSet[],
): InitPlan {
  const most = countMasters(nodes.length, replicasPerMaster);
  const masterCount = assignment?.length ?? most;
  if (masterCount > most) throw tooFew(nodes.length, masterCount, replicasPerMaster);
  requireUnique(nodes);
  const zoned = requireZonesForAllOrNone(nodes);
  const places = {
    host: numbered(nodes.map(({ host }) => host)),
    // Without zones every node is a zone of its own, so that the zone rules never bind.
    zone: zoned ? numbered(nodes.map(({ zone = '' }) => zone)) : nodes.map((_, index) => index),
  };
  const masters = pickMasters(places, masterCount, zoned);
  const quotas = placeExtraReplicas(places, masters);
  const replicas = pairReplicas(places, masters, quotas);
  const label = (index: number) => (nodes[index] as PlanNode).label;
  const slots = assignment ?? splitEvenly(masterCount).map((range) => [range]);
  const shards = masters.map((master, position) => ({
    master: label(master),
    slots: slots[position] as SlotSet,
    replicas: (replicas[position] as number[]).map(label),
  }));
  const notes = notesFor(nodes, shards, replicasPerMaster, zoned);
  return { replicasPerMaster, shards, notes, assigned: assignment !== undefined };
}

function tooFew(nodes: number, masters: number, replicasPerMaster: number): ForgeError {
  const needed = masters * (replicasPerMaster + 1);
  return new ForgeError(
    'usage',
    `${masters} masters with ${replicasPerMaster} replicas each are ${needed} nodes; ${nodes} are given.`,
    { next: `Give ${needed} nodes, or fewer replicas (--replicas-per-master).` },
  );
}

function requireUnique(nodes: readonly PlanNode[]): void {
  const seen = new Set<string>();
  const twice = nodes.map(({ label }) => label).filter((label) => seen.size === seen.add(label).size);
  if (twice.length === 0) return;
  throw new ForgeError('usage', `Given more than once: ${[...new Set(twice)].join(', ')}.`, {
    next: 'Give every node once.',
  });
}

function requireZonesForAllOrNone(nodes: readonly PlanNode[]): boolean {
  const without = nodes.filter(({ zone }) => zone === undefined);
  if (without.length === nodes.length) return false;
  if (without.length === 0) return true;
  throw new ForgeError('usage', `Without a zone: ${without.map(({ label }) => label).join(', ')}.`, {
    next: 'Give every node a zone (host:port@zone), or none.',
  });
}

const list = (labels: readonly string[], max = 6) =>
  labels.length > max ? `${labels.slice(0, max).join(', ')} and ${labels.length - max} more` : labels.join(', ');

function notesFor(
  nodes: readonly PlanNode[],
  shards: readonly PlannedShard[],
  replicasPerMaster: number,
  zoned: boolean,
): string[] {
  const byLabel = new Map(nodes.map((node) => [node.label, node]));
  const shares = (key: 'host' | 'zone') =>
    shards.flatMap(({ master, replicas }) =>
      replicas.filter((replica) => byLabel.get(replica)?.[key] === byLabel.get(master)?.[key]),
    );
  const notes: string[] = [];
  const extra = shards.filter(({ replicas }) => replicas.length > replicasPerMaster);
  if (extra.length > 0) {
    const spare = nodes.length - shards.length * (replicasPerMaster + 1);
    notes.push(
      `${nodes.length} nodes are ${shards.length} × ${replicasPerMaster + 1} and ${spare} more: an additional replica goes to ${list(
        extra.map(({ master }) => master),
      )}.`,
    );
  }
  const sameHost = shares('host');
  if (new Set(nodes.map(({ host }) => host)).size === 1) {
    notes.push('All nodes are on one host: when it fails, the whole cluster does.');
  } else if (sameHost.length > 0) {
    notes.push(`On the same host as their master, for want of another arrangement: ${list(sameHost)}.`);
  }
  const sameZone = zoned ? shares('zone').filter((label) => !sameHost.includes(label)) : [];
  if (sameZone.length > 0) {
    notes.push(`In the same zone as their master, for want of another arrangement: ${list(sameZone)}.`);
  }
  return notes;
}
