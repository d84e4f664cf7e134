/**
 * A cluster as one of its nodes describes it: nodes, shards, and who serves which slot. Immutable, without I/O, and
 * built in a few milliseconds for 1,000 masters. Planners read it; they never talk to nodes.
 */
import { createHash } from 'node:crypto';
import { type ClusterNode, isHandshake, isMyself, type OpenSlot } from './cluster-node.js';
import { eachSlot, formatSlots, hasSlot, invertSlots, SLOT_COUNT, type SlotSet, unionSlots } from './slots.js';

/** A master with its replicas, in ascending order of their ids. */
export interface Shard {
  readonly master: ClusterNode;
  readonly replicas: readonly ClusterNode[];
}

export interface OpenSlotOf extends OpenSlot {
  readonly nodeId: string;
  readonly direction: 'migrating' | 'importing';
}

const NOBODY = -1;

const byId = (left: ClusterNode, right: ClusterNode) => (left.id < right.id ? -1 : left.id > right.id ? 1 : 0);
const firstSlot = (shard: Shard) => shard.master.slots[0]?.start ?? SLOT_COUNT;

export class Topology {
  /** Every node that has introduced itself, in ascending order of ids. */
  readonly nodes: readonly ClusterNode[];
  /** Nodes that were met and have not yet introduced themselves; their ids are temporary. */
  readonly handshakes: readonly ClusterNode[];
  /** The node that made this description; undefined when it came from CLUSTER SHARDS or SLOTS. */
  readonly myself: ClusterNode | undefined;
  /** Every master with its replicas, by its lowest slot; masters without slots come last, by id. */
  readonly shards: readonly Shard[];
  /** Replicas whose master is not in the table. */
  readonly orphans: readonly ClusterNode[];
  /** Slots that nobody serves. */
  readonly uncovered: SlotSet;
  readonly #byId: ReadonlyMap<string, ClusterNode>;
  readonly #shardById: ReadonlyMap<string, Shard>;
  #owners: Int32Array | undefined;

  constructor(nodes: Iterable<ClusterNode>) {
    const all = [...nodes];
    this.nodes = all.filter((node) => !isHandshake(node)).sort(byId);
    this.handshakes = all.filter(isHandshake);
    this.myself = this.nodes.find(isMyself);
    this.#byId = new Map(this.nodes.map((node) => [node.id, node]));
    const replicas = new Map<string, ClusterNode[]>();
    const orphans: ClusterNode[] = [];
    for (const node of this.nodes) {
      if (node.role !== 'replica') continue;
      const master = node.masterId === undefined ? undefined : this.#byId.get(node.masterId);
      if (master?.role !== 'master') orphans.push(node);
      else if (!replicas.get(master.id)?.push(node)) replicas.set(master.id, [node]);
    }
    this.orphans = orphans;
    this.shards = this.nodes
      .filter((node) => node.role === 'master')
      .map((master) => ({ master, replicas: replicas.get(master.id) ?? [] }))
      .sort((left, right) => firstSlot(left) - firstSlot(right) || byId(left.master, right.master));
    this.#shardById = new Map(
      this.shards.flatMap((shard) => [shard.master, ...shard.replicas].map((node) => [node.id, shard])),
    );
    this.uncovered = invertSlots(unionSlots(...this.shards.map(({ master }) => master.slots)));
  }

  get masters(): ClusterNode[] {
    return this.shards.map(({ master }) => master);
  }

  get replicas(): ClusterNode[] {
    return this.nodes.filter((node) => node.role === 'replica');
  }

  node(id: string): ClusterNode | undefined {
    return this.#byId.get(id);
  }

  /** The shard that the node belongs to, as master or replica. */
  shardOf(id: string): Shard | undefined {
    return this.#shardById.get(id);
  }

  /** The node with this IP or announced host name and port. */
  find(host: string, port: number): ClusterNode | undefined {
    return this.nodes.find((node) => node.port === port && (node.ip === host || node.hostname === host));
  }

  /** The master that serves the slot. Where two claim it, the first by shard order. */
  ownerOf(slot: number): ClusterNode | undefined {
    this.#owners ??= this.#buildOwners();
    const index = this.#owners[slot] ?? NOBODY;
    return index === NOBODY ? undefined : this.shards[index]?.master;
  }

  /** Slots on their way, as far as this description tells: a node knows only its own. */
  get openSlots(): OpenSlotOf[] {
    return this.nodes.flatMap((node) =>
      (['migrating', 'importing'] as const).flatMap((direction) =>
        node[direction].map((open) => ({ ...open, nodeId: node.id, direction })),
      ),
    );
  }

  /** Pairs of masters that claim the same slot: no honest node describes that, but nodes disagree while slots move. */
  get conflicts(): { slot: number; nodeIds: string[] }[] {
    const found: { slot: number; nodeIds: string[] }[] = [];
    for (const [index, { master }] of this.shards.entries()) {
      for (const slot of eachSlot(master.slots)) {
        if (this.ownerOf(slot) === master) continue;
        const others = this.shards.slice(0, index).filter((shard) => hasSlot(shard.master.slots, slot));
        found.push({ slot, nodeIds: [...others.map((shard) => shard.master.id), master.id] });
      }
    }
    return found;
  }

  /**
   * Equal for two descriptions exactly when they name the same nodes, roles, masters and slots: what nodes must agree
   * on, and what must not have changed between a plan and its application. Link states and epochs do not count.
   */
  get signature(): string {
    const hash = createHash('sha256');
    for (const node of this.nodes) {
      hash.update(`${node.id} ${node.role} ${node.masterId ?? '-'} ${formatSlots(node.slots)}\n`);
    }
    return hash.digest('hex');
  }

  #buildOwners(): Int32Array {
    const owners = new Int32Array(SLOT_COUNT).fill(NOBODY);
    for (const [index, { master }] of this.shards.entries()) {
      for (const { start, end } of master.slots) {
        for (let slot = start; slot <= end; slot++) if (owners[slot] === NOBODY) owners[slot] = index;
      }
    }
    return owners;
  }
}

/** The nodes with the zone that `zoneOf` names for each. */
export function assignZones(
  nodes: readonly ClusterNode[],
  zoneOf: (node: ClusterNode) => string | undefined,
): ClusterNode[] {
  return nodes.map((node) => {
    const zone = zoneOf(node);
    return zone === undefined ? node : { ...node, zone };
  });
}
