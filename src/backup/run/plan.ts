/** Which node of each shard is read for a backup, and who cannot be read at all. Pure. */
import { isFailing } from '../../cluster/cluster-node.js';
import { type SlotSet, sameSlots } from '../../cluster/slots.js';
import type { NodeReport } from '../../cluster/snapshot/node-report.js';
import type { ClusterSnapshot } from '../../cluster/snapshot/snapshot.js';
import type { Shard } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { chooseNode } from '../../operations/planners/node-choice.js';

/** A replica that is farther behind than this is not read while its master can be. */
export const LAG_MAX_BYTES = 64 * 1024 * 1024;
/** Its last acknowledgement, as its master tells. */
export const LAG_MAX_SECONDS = 30;

/** A node that a shard can be read from. */
export interface ShardSource {
  readonly nodeId: string;
  readonly address: string;
  readonly role: 'master' | 'replica';
  readonly server: string;
  readonly version: string;
}

/** A place in a stream of writes. */
export interface StreamPlace {
  readonly replicationId: string;
  readonly offset: number;
}

/** A replica that is not read, or only when nobody else can be. */
export interface PassedOver {
  readonly address: string;
  readonly reason: string;
}

export interface PlannedShard {
  readonly masterId: string;
  readonly masterAddress: string;
  readonly slots: SlotSet;
  readonly configEpoch: number;
  /** As the node that is read first tells, when it was looked at. */
  readonly keys: number;
  /** How far its stream of writes had come by then; undefined where the master does not answer. */
  readonly stream?: StreamPlace;
  /** The best first; at least one. */
  readonly sources: readonly ShardSource[];
  readonly passedOver: readonly PassedOver[];
}

export interface MissingShard {
  readonly masterId: string;
  readonly address: string;
  readonly slots: SlotSet;
  readonly reason: string;
  /** A replica of it answers, which may take over. */
  readonly hopeful: boolean;
}

export interface BackupPlan {
  /** By their lowest slot. */
  readonly shards: readonly PlannedShard[];
  /** Masters with slots of which no node can be read. */
  readonly missing: readonly MissingShard[];
  /** Masters that were not asked for: `node` names another. */
  readonly leftOut: readonly MissingShard[];
  /** Slots that nobody serves: there is nothing of them to read. */
  readonly uncovered: SlotSet;
}

export interface PlanOptions {
  /** Only this node is read, master or replica: its address or id. */
  readonly node?: string;
}

/**
 * Every master that serves slots, with the nodes that its data can be read from: replicas that are well, the least behind
 * first; then the master.
 * @throws ForgeError `usage` where the named node is none of the cluster, `refused` where it cannot be read or serves nothing
 */
export function planBackup(snapshot: ClusterSnapshot, { node }: PlanOptions = {}): BackupPlan {
  const serving = snapshot.topology.shards.filter(({ master }) => master.slots.length > 0);
  const only = node === undefined ? undefined : chooseNode(snapshot, node);
  const shards: PlannedShard[] = [];
  const missing: MissingShard[] = [];
  const leftOut: MissingShard[] = [];
  for (const shard of serving) {
    const { master } = shard;
    const about = { masterId: master.id, address: snapshot.addressOf(master.id), slots: master.slots };
    if (only !== undefined && ![master, ...shard.replicas].some(({ id }) => id === only)) {
      leftOut.push({ ...about, reason: `only ${node} was asked for`, hopeful: false });
      continue;
    }
    const { sources, passedOver } = sourcesOf(snapshot, shard, only);
    const [first] = sources;
    if (first === undefined) {
      const hopeful = shard.replicas.some(({ id }) => snapshot.report(id) !== undefined);
      missing.push({ ...about, reason: reasonOf(snapshot, shard, passedOver), hopeful });
    } else {
      shards.push({
        masterId: about.masterId,
        masterAddress: about.address,
        slots: about.slots,
        configEpoch: master.configEpoch,
        keys: snapshot.report(first.nodeId)?.keys ?? 0,
        ...streamOf(snapshot, master.id),
        sources,
        passedOver,
      });
    }
  }
  if (only !== undefined && shards.length === 0) throw nothingOf(snapshot, only, missing);
  return { shards, missing, leftOut, uncovered: snapshot.topology.uncovered };
}

function nothingOf(snapshot: ClusterSnapshot, only: string, [missing]: readonly MissingShard[]): ForgeError {
  const host = snapshot.addressOf(only);
  const why = missing === undefined ? 'its shard serves no slots' : missing.reason;
  return new ForgeError('refused', `${host} cannot be backed up: ${why}.`, {
    host,
    next: 'Name another node with --node, or none: then the whole cluster is backed up.',
  });
}

function streamOf(snapshot: ClusterSnapshot, masterId: string): { stream?: StreamPlace } {
  const report = snapshot.report(masterId);
  if (report === undefined) return {};
  return { stream: { replicationId: report.replication.streamId, offset: report.replication.offset } };
}

/**
 * Bytes of the stream that the master had when the shard was planned, and that are not in this data; 0 for none, and where
 * it is another stream: after a failover, places in both cannot be compared. A key that has just moved to the shard may be
 * among them, and is in no other shard any more.
 */
export function bytesBehind({ stream }: Pick<PlannedShard, 'stream'>, data: StreamPlace): number {
  if (stream === undefined || stream.replicationId !== data.replicationId) return 0;
  return Math.max(0, stream.offset - data.offset);
}

/** The data of these slots, by another plan: whoever serves all of them, and nothing else, now. */
export function shardWith(plan: BackupPlan, slots: SlotSet): PlannedShard | undefined {
  return plan.shards.find((shard) => sameSlots(shard.slots, slots));
}

function sourcesOf(snapshot: ClusterSnapshot, { master, replicas }: Shard, only: string | undefined) {
  const sources: ShardSource[] = [];
  const passedOver: PassedOver[] = [];
  const well: { source: ShardSource; lag: number }[] = [];
  for (const { id } of replicas) {
    if (only !== undefined && id !== only) continue;
    const reason = unfit(snapshot, master.id, id);
    if (reason !== undefined) passedOver.push({ address: snapshot.addressOf(id), reason });
    else well.push({ source: sourceOf(snapshot, id, 'replica'), lag: snapshot.lagBytes(id) ?? 0 });
  }
  well.sort((one, other) => one.lag - other.lag || (one.source.nodeId < other.source.nodeId ? -1 : 1));
  sources.push(...well.map(({ source }) => source));
  const report = snapshot.report(master.id);
  if (report !== undefined && (only === undefined || only === master.id)) {
    if (report.loading) passedOver.push({ address: report.address, reason: 'it is loading its data' });
    else sources.push(sourceOf(snapshot, master.id, 'master'));
  }
  return { sources, passedOver };
}

function sourceOf(snapshot: ClusterSnapshot, nodeId: string, role: ShardSource['role']): ShardSource {
  const version = snapshot.report(nodeId)?.version;
  return {
    nodeId,
    address: snapshot.addressOf(nodeId),
    role,
    server: version?.product ?? 'redis',
    version: version?.text ?? 'unknown',
  };
}

/** Why a replica is not read; undefined for one that is well. */
function unfit(snapshot: ClusterSnapshot, masterId: string, id: string): string | undefined {
  const report = snapshot.report(id);
  if (report === undefined) return 'it does not answer';
  const node = snapshot.topology.node(id);
  if (node !== undefined && isFailing(node)) return 'the others hold it for dead';
  const { replication, loading } = report;
  if (replication.role !== 'replica') return 'it is a master by its own word';
  if (loading) return 'it is loading its data';
  if (replication.syncing) return 'it receives its data from its master at the moment';
  if (!replication.linkUp) return 'its link to its master is down';
  // A master that does not answer here cannot be compared with; the replica has its word that the link stands.
  const master = snapshot.report(masterId);
  return master === undefined ? undefined : behind(snapshot, master, report);
}

function behind(snapshot: ClusterSnapshot, { replication: master }: NodeReport, replica: NodeReport) {
  const { streamId } = replica.replication;
  if (streamId !== master.streamId) return 'it follows another stream of writes than its master has';
  const lag = snapshot.lagBytes(replica.id) ?? 0;
  if (lag > LAG_MAX_BYTES) return `it is ${lag} bytes behind`;
  const seen = master.replicas.find(({ ip, port }) => ip === replica.ip && port === replica.port);
  if (seen !== undefined && seen.lagSeconds > LAG_MAX_SECONDS) return `it was last heard of ${seen.lagSeconds} s ago`;
  return undefined;
}

function reasonOf(snapshot: ClusterSnapshot, { master }: Shard, passedOver: readonly PassedOver[]): string {
  const failure = snapshot.failures.find(({ id }) => id === master.id);
  const own = snapshot.report(master.id) === undefined ? [failure?.message ?? 'it does not answer'] : [];
  const others = passedOver.map(({ address, reason }) => `${address}: ${reason}`);
  return [...own, ...others].join('; ').replace(/\.(?=;|$)/g, '');
}
