/** A whole cluster at one moment, by the word of every node that answered. Immutable and without I/O: planners read it. */
import type { ErrorKind } from '../../errors.js';
import { type ClusterNode, nodeAddress } from '../cluster-node.js';
import { eachSlot, type SlotSet, slotsFrom } from '../slots.js';
import { type OpenSlotOf, Topology } from '../topology.js';
import type { NodeReport } from './node-report.js';

/** A node that did not answer. */
export interface NodeFailure {
  /** Unknown for an address that was named and never answered. */
  readonly id?: string;
  readonly address: string;
  readonly kind: ErrorKind;
  readonly message: string;
}

export interface SnapshotParts {
  readonly reports: readonly NodeReport[];
  readonly failures?: readonly NodeFailure[];
  /** Nodes that were named and are not in the cluster: candidates to join. */
  readonly strangers?: readonly NodeReport[];
  /** Failure domains; Redis does not know them. */
  readonly zoneOf?: (node: ClusterNode) => string | undefined;
}

/** Nodes with the same picture of members, roles and slots. */
export interface SharedView {
  readonly signature: string;
  readonly nodeIds: readonly string[];
}

const byId = (left: { id: string }, right: { id: string }) => (left.id < right.id ? -1 : left.id > right.id ? 1 : 0);

export class ClusterSnapshot {
  /** Every member that answered, by id. */
  readonly reports: readonly NodeReport[];
  readonly failures: readonly NodeFailure[];
  readonly strangers: readonly NodeReport[];
  /** Distinct pictures, the most widely shared first; one when all agree. */
  readonly views: readonly SharedView[];
  /** The node whose picture `topology` is: of the largest group, the newest epoch, the lowest id. */
  readonly reference: NodeReport;
  /** The reference's picture, with the open slots that every node tells of itself. */
  readonly topology: Topology;
  readonly #byId: ReadonlyMap<string, NodeReport>;

  /** @throws RangeError without a report */
  constructor(parts: SnapshotParts) {
    this.reports = [...parts.reports].sort(byId);
    this.failures = parts.failures ?? [];
    this.strangers = (parts.strangers ?? []).map((stranger) => withZone(stranger, parts.zoneOf)).sort(byId);
    this.#byId = new Map(this.reports.map((report) => [report.id, report]));
    const groups = new Map<string, NodeReport[]>();
    for (const report of this.reports) {
      const { signature } = report.view;
      const group = groups.get(signature);
      if (group === undefined) groups.set(signature, [report]);
      else group.push(report);
    }
    const epochOf = (group: readonly NodeReport[]) => Math.max(...group.map(({ cluster }) => cluster.currentEpoch));
    const ranked = [...groups].sort(
      ([, left], [, right]) =>
        right.length - left.length ||
        epochOf(right) - epochOf(left) ||
        byId(left[0] as NodeReport, right[0] as NodeReport),
    );
    this.views = ranked.map(([signature, group]) => ({ signature, nodeIds: group.map(({ id }) => id) }));
    const reference = ranked[0]?.[1].toSorted(
      (left, right) => right.cluster.currentEpoch - left.cluster.currentEpoch || byId(left, right),
    )[0];
    if (reference === undefined) throw new RangeError('a snapshot needs a node that answered');
    this.reference = reference;
    this.topology = new Topology(this.#withOwnWords(parts.zoneOf));
  }

  /** Only a node itself knows its open slots; and its own IP address may be missing in its own line. */
  #withOwnWords(zoneOf: SnapshotParts['zoneOf']): ClusterNode[] {
    const { view } = this.reference;
    return [...view.nodes, ...view.handshakes].map((node) => {
      const report = this.#byId.get(node.id);
      const zone = zoneOf?.(node);
      return {
        ...node,
        ...(node.ip === '' && report !== undefined ? { ip: report.ip, port: report.port } : {}),
        ...(report === undefined ? {} : { migrating: report.myself.migrating, importing: report.myself.importing }),
        ...(zone === undefined ? {} : { zone }),
      };
    });
  }

  /** Undefined for a member that did not answer, and for strangers. */
  report(id: string): NodeReport | undefined {
    return this.#byId.get(id);
  }

  /** Whether all nodes that answered have the same picture. */
  get agreed(): boolean {
    return this.views.length === 1;
  }

  /** Members of the reference's picture that did not answer. */
  get silent(): ClusterNode[] {
    return this.topology.nodes.filter(({ id }) => !this.#byId.has(id));
  }

  /** Slots on their way, by the word of the nodes between which they are. */
  get openSlots(): OpenSlotOf[] {
    return this.topology.openSlots;
  }

  /** Slots that more than one master claims to serve, each by its own word. */
  get contested(): SlotSet {
    const claims = new Uint8Array(16_384);
    const twice: number[] = [];
    for (const { myself } of this.reports) {
      if (myself.role !== 'master') continue;
      for (const slot of eachSlot(myself.slots)) {
        claims[slot] = (claims[slot] as number) + 1;
        if (claims[slot] === 2) twice.push(slot);
      }
    }
    return slotsFrom(twice);
  }

  /** Bytes by which the replica is behind its master's stream; undefined when one of both did not answer. */
  lagBytes(replicaId: string): number | undefined {
    const master = this.topology.node(replicaId)?.masterId;
    const replica = this.report(replicaId)?.replication;
    const stream = master === undefined ? undefined : this.report(master)?.replication;
    if (replica === undefined || stream === undefined) return undefined;
    return Math.max(0, stream.offset - replica.offset);
  }

  /** How an operator knows the node: as it was reached, else as the table has it. */
  addressOf(id: string): string {
    const report = this.#byId.get(id) ?? this.strangers.find((stranger) => stranger.id === id);
    if (report !== undefined) return report.address;
    const node = this.topology.node(id);
    // A node that has lost its address is known by its id alone.
    return node === undefined || (node.ip === '' && node.hostname === undefined) ? id : nodeAddress(node);
  }
}

/** Who is no member yet has no entry in the others' tables: its address is the one at which it was reached. */
function withZone(stranger: NodeReport, zoneOf: SnapshotParts['zoneOf']): NodeReport {
  const { ip, port, myself } = stranger;
  const zone = zoneOf?.({ ...myself, ip, port });
  return zone === undefined ? stranger : { ...stranger, myself: { ...myself, zone } };
}
