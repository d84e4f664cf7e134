/** Clusters that planners are tried on, and what their plans would make of them. */
import fc from 'fast-check';
import { eachSlot, formatSlots, SLOT_COUNT, type SlotSet, unionSlots } from '../../../../src/cluster/slots.js';
import { parseReport } from '../../../../src/cluster/snapshot/node-report.js';
import { ClusterSnapshot } from '../../../../src/cluster/snapshot/snapshot.js';
import { ForgeError } from '../../../../src/errors.js';
import type { Plan } from '../../../../src/operations/plan.js';
import { type DescribedNode, idOf, rawNode } from '../support.js';

/** Any division of all slots among up to `most` masters, some of them in many pieces, some with nothing. */
export const divisions = (most: number, least = 1): fc.Arbitrary<SlotSet[]> =>
  fc
    .tuple(
      fc.integer({ min: least, max: most }),
      fc.uniqueArray(fc.integer({ min: 1, max: SLOT_COUNT - 1 }), { maxLength: 60 }),
      fc.array(fc.nat(most - 1), { minLength: 61, maxLength: 61 }),
    )
    .map(([masters, cuts, owners]) => {
      const edges = [0, ...cuts.toSorted((left, right) => left - right), SLOT_COUNT];
      const held: { start: number; end: number }[][] = Array.from({ length: masters }, () => []);
      for (let piece = 0; piece + 1 < edges.length; piece++) {
        const owner = (owners[piece] as number) % masters;
        held[owner]?.push({ start: edges[piece] as number, end: (edges[piece + 1] as number) - 1 });
      }
      return held.map((ranges) => unionSlots(ranges));
    });

/** `slots` as CLUSTER NODES writes them. */
export const written = (slots: SlotSet): string => formatSlots(slots).replaceAll(',', ' ');

/** Masters 1, 2, … with these slots, then for each as many replicas as are told. */
export function tableOf(held: readonly SlotSet[], replicas: readonly number[] = []): DescribedNode[] {
  const masters = held.map((slots, index) => ({ n: index + 1, slots: written(slots) }));
  let n = masters.length;
  const followers = replicas.flatMap((count, index) =>
    Array.from({ length: count }, () => {
      n += 1;
      return { n, replicaOf: index + 1 };
    }),
  );
  return [...masters, ...followers];
}

/** A large cluster that agrees: one table, read once, is every node's. */
export function largeSnapshot(
  table: readonly DescribedNode[],
  strangers: readonly DescribedNode[] = [],
): ClusterSnapshot {
  const first = parseReport(rawNode(table[0] as DescribedNode, table));
  Object.defineProperty(first.view, 'signature', { value: first.view.signature });
  const reports = first.view.nodes.map((node) => {
    const address = `${node.ip}:${node.port}`;
    return { ...first, id: node.id, address, ip: node.ip, port: node.port, myself: node };
  });
  return new ClusterSnapshot({ reports, strangers: strangers.map((node) => parseReport(rawNode(node, [node]))) });
}

/** Who serves each slot; an empty text for nobody. */
export function ownersOf(snapshot: ClusterSnapshot): string[] {
  return Array.from({ length: SLOT_COUNT }, (_, slot) => snapshot.topology.ownerOf(slot)?.id ?? '');
}

export interface Outcome {
  readonly owners: string[];
  /** Slots that moved, in all. */
  readonly moved: number;
}

/** What the moves of the plan make of the owners; throws where a source does not serve what it is to give. */
export function carriedOut(before: readonly string[], plan: Plan): Outcome {
  const owners = [...before];
  let moved = 0;
  for (const { action } of plan.steps) {
    if (action.kind !== 'migrate-slots') continue;
    for (const slot of eachSlot(action.ranges)) {
      if (owners[slot] !== action.source.id) throw new Error(`${slot} is not of ${action.source.id}`);
      owners[slot] = action.target.id;
      moved++;
    }
  }
  return { owners, moved };
}

/** Milliseconds of processor time that the work takes, which other processes do not change much. */
export function processorTime<Result>(work: () => Result): { result: Result; ms: number } {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return { result, ms: (user + system) / 1_000 };
}

/** Slots by owner. */
export function counted(owners: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return counts;
}

export const addressOf = (n: number) => ({ host: `10.0.0.${n}`, port: 6379 });
export { idOf };

/** What the work refuses with. */
export function refusal(work: () => unknown): ForgeError {
  try {
    work();
  } catch (error) {
    if (error instanceof ForgeError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}
