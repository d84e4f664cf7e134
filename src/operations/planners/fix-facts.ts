/** What is known of the slots that are not in order, by the masters' own words. Pure. */
import type { OpenSlot } from '../../cluster/cluster-node.js';
import { eachSlot, intersectSlots, type SlotSet, slotsFrom, subtractSlots, unionSlots } from '../../cluster/slots.js';
import type { NodeReport } from '../../cluster/snapshot/node-report.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';

/** Keys of slots, per node: `keys.get(nodeId)?.get(slot)`. What is missing is none. */
export type SlotKeys = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** Masters that answer. */
export function answeringMasters(snapshot: ClusterSnapshot): NodeReport[] {
  return snapshot.reports.filter(({ myself }) => myself.role === 'master');
}

/** Ids of masters that are gone with their keys, by the operator's word. */
export type Abandoned = ReadonlySet<string>;

/** Slots of masters that do not answer, by the words of the others; not of those that are given up. */
export function slotsOfTheSilent(snapshot: ClusterSnapshot, abandoned: Abandoned): SlotSet {
  const silent = snapshot.silent.filter(({ id, role }) => role === 'master' && !abandoned.has(id));
  const own = unionSlots(...answeringMasters(snapshot).map(({ myself }) => myself.slots));
  return subtractSlots(unionSlots(...silent.map(({ slots }) => slots)), own);
}

/** Slots that no master that answers has by its own word, and that are not of one that does not answer. */
export function unownedSlots(snapshot: ClusterSnapshot, abandoned: Abandoned): SlotSet {
  const own = unionSlots(...answeringMasters(snapshot).map(({ myself }) => myself.slots));
  const all = [{ start: 0, end: 16_383 }];
  return subtractSlots(subtractSlots(all, own), slotsOfTheSilent(snapshot, abandoned));
}

/** Slots that are not in order: open ones, and those that nobody owns. */
export function slotsInQuestion(snapshot: ClusterSnapshot, abandoned: Abandoned): SlotSet {
  return unionSlots(slotsFrom(snapshot.openSlots.map(({ slot }) => slot)), unownedSlots(snapshot, abandoned));
}

/** Slots that their owner has by its own word, and that another node holds for somebody else's. */
export function misheardSlots(snapshot: ClusterSnapshot): Map<string, SlotSet> {
  const misheard = new Map<string, SlotSet>();
  if (snapshot.agreed) return misheard;
  const masters = answeringMasters(snapshot);
  const importing = new Map(
    snapshot.reports.map(({ id, myself }) => [id, slotsFrom(myself.importing.map(({ slot }) => slot))]),
  );
  for (const { id, myself } of masters) {
    const claimed = subtractSlots(myself.slots, snapshot.contested);
    let missing: SlotSet = [];
    for (const viewer of snapshot.reports) {
      const seen = viewer.view.node(id);
      // Who does not know the owner at all is introduced, and then hears of its slots.
      if (seen === undefined) continue;
      // A node does not listen about slots that it imports; these are closed first.
      const deaf = importing.get(viewer.id) ?? [];
      missing = unionSlots(missing, subtractSlots(subtractSlots(claimed, seen.slots), deaf));
    }
    if (missing.length > 0) misheard.set(id, missing);
  }
  return misheard;
}

export interface Mark extends OpenSlot {
  readonly direction: 'migrating' | 'importing';
}

export interface SlotFacts {
  readonly slot: number;
  /** The masters that have it by their own word: one in a cluster in order. */
  readonly owners: readonly NodeReport[];
  /** Its marks, per id of the node that has them. */
  readonly marks: ReadonlyMap<string, readonly Mark[]>;
  /** Keys, per id of a master that holds some. */
  readonly keys: ReadonlyMap<string, number>;
}

/** Valkey gives its marks to replicas, and takes them away from both: they count as those of the master. */
function marksOf(snapshot: ClusterSnapshot): Map<number, Map<string, Mark[]>> {
  const marks = new Map<number, Map<string, Mark[]>>();
  for (const { slot, nodeId, direction, peerId } of snapshot.openSlots) {
    const { role, masterId } = snapshot.report(nodeId)?.myself ?? {};
    const holder = role === 'replica' && masterId !== undefined ? masterId : nodeId;
    const ofSlot = marks.get(slot) ?? new Map<string, Mark[]>();
    const list = ofSlot.get(holder) ?? [];
    const known = list.some((mark) => mark.direction === direction && mark.peerId === peerId);
    if (!known) ofSlot.set(holder, [...list, { slot, direction, peerId }]);
    marks.set(slot, ofSlot);
  }
  return marks;
}

/** Keys that nobody sees: a master holds them of slots that another serves. Per id of the holder, the slots. */
export function strayedSlots(snapshot: ClusterSnapshot, keys: SlotKeys, questioned: SlotSet): Map<string, SlotSet> {
  const strayed = new Map<string, SlotSet>();
  for (const { id, myself } of answeringMasters(snapshot)) {
    const holds = slotsFrom([...(keys.get(id) ?? [])].flatMap(([slot, count]) => (count > 0 ? [slot] : [])));
    const foreign = subtractSlots(subtractSlots(holds, myself.slots), questioned);
    if (foreign.length > 0) strayed.set(id, foreign);
  }
  return strayed;
}

/** Per slot of these, what is known. */
export function factsOf(snapshot: ClusterSnapshot, keys: SlotKeys, questioned: SlotSet): SlotFacts[] {
  const masters = answeringMasters(snapshot);
  const marks = marksOf(snapshot);
  const ownersOf = new Map<number, NodeReport[]>();
  for (const master of masters) {
    for (const slot of eachSlot(intersectSlots(master.myself.slots, questioned))) {
      ownersOf.set(slot, [...(ownersOf.get(slot) ?? []), master]);
    }
  }
  return [...eachSlot(questioned)].map((slot) => ({
    slot,
    owners: ownersOf.get(slot) ?? [],
    marks: marks.get(slot) ?? new Map(),
    keys: new Map(
      masters.flatMap(({ id }) => {
        const count = keys.get(id)?.get(slot) ?? 0;
        return count > 0 ? [[id, count] as const] : [];
      }),
    ),
  }));
}
