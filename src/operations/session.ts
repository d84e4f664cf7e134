/** One command's dealings with one cluster: its connections, what it found, and in whose name it acts. */
import { formatAddress, type NodeAddress } from '../cluster/address.js';
import { type ConnectSettings, NodePool } from '../cluster/node-pool.js';
import { type ReadOptions, readAgain, readSnapshot } from '../cluster/snapshot/read.js';
import type { ClusterSnapshot } from '../cluster/snapshot/snapshot.js';
import { waitFor } from '../runtime/wait.js';
import { disagreement } from './guards/health.js';
import type { Operator } from './journal/entry.js';
import { newToken, thisOperator } from './lock/lock.js';
import { workName } from './lock/name.js';

/**
 * So long nodes that do not agree are looked at again before that counts: what has just changed, as a master that came back or a replica
 * that Redis gave to another master, is heard of by all within half of `cluster-node-timeout`, mostly within a second.
 */
const AGREE_MS = 5_000;
const AGREE_LOOK_MS = 200;

export interface OpenSessionOptions {
  readonly seeds: readonly NodeAddress[];
  /** Where the seeds were named. */
  readonly source?: string;
  /** Further addresses to look at: nodes that are to join. */
  readonly also?: readonly NodeAddress[];
  readonly connect: ConnectSettings;
  /** The cluster's name, where it was found by that: for the audit log. */
  readonly name?: string;
  readonly zoneOf?: ReadOptions['zoneOf'];
  /** The weight that is written down for a node. */
  readonly weightOf?: (node: WeighedNode) => number | undefined;
  /** Told every reply of the first look, for a recording. */
  readonly record?: ReadOptions['record'];
  /** Looks again, for a moment, while the nodes do not agree. */
  readonly untilAgreed?: boolean;
}

/** A node by the addresses that it may be written down by. */
export interface WeighedNode {
  readonly ip: string;
  readonly port: number;
  readonly hostname?: string;
}

/** A shard keeps its weight when a replica takes over: a master that has none of its own has that of a replica. */
function weightsIn(snapshot: ClusterSnapshot, weightOf: OpenSessionOptions['weightOf']): Map<string, number> {
  const found = new Map<string, number>();
  if (weightOf === undefined) return found;
  for (const { master, replicas } of snapshot.topology.shards) {
    const weight = [master, ...replicas].map(weightOf).find((each) => each !== undefined);
    if (weight !== undefined) found.set(master.id, weight);
  }
  for (const { id, ip, port } of snapshot.strangers) {
    const weight = weightOf({ ip, port });
    if (weight !== undefined) found.set(id, weight);
  }
  return found;
}

export class ClusterSession {
  readonly pool: NodePool;
  /** What was found when the session was opened. */
  readonly snapshot: ClusterSnapshot;
  readonly operator: Operator;
  /** Names this process among all that work on the cluster. */
  readonly token: string;
  /** The first seed, as the operator wrote it. */
  readonly cluster: string;
  /** Its name in forge.yaml, or of a local cluster, where it was found by that. */
  readonly name: string | undefined;
  /** Weights by id, of members and of nodes that are to join, as they are written down. */
  readonly weights: ReadonlyMap<string, number>;
  readonly #zoneOf: ReadOptions['zoneOf'];

  private constructor(pool: NodePool, snapshot: ClusterSnapshot, token: string, options: OpenSessionOptions) {
    this.pool = pool;
    this.snapshot = snapshot;
    this.token = token;
    this.operator = thisOperator();
    this.cluster = options.seeds[0] === undefined ? snapshot.reference.address : formatAddress(options.seeds[0]);
    this.name = options.name;
    this.weights = weightsIn(snapshot, options.weightOf);
    this.#zoneOf = options.zoneOf;
  }

  /**
   * Reaches the cluster and reads it. Changes nothing. Close the session.
   * @throws ForgeError what `readSnapshot` throws
   */
  static async open(options: OpenSessionOptions): Promise<ClusterSession> {
    const token = newToken();
    const pool = new NodePool({ connect: options.connect, clientName: workName(token) });
    try {
      const first = await readSnapshot(pool, options);
      const snapshot = options.untilAgreed ? await agreedSoon(first, () => readAgain(pool, first, options)) : first;
      return new ClusterSession(pool, snapshot, token, options);
    } catch (error) {
      pool.close();
      throw error;
    }
  }

  /** Ids of all members. */
  get memberIds(): string[] {
    return this.snapshot.topology.nodes.map(({ id }) => id);
  }

  /** The cluster as soon as its nodes agree, or as it is a moment later. */
  async lookAgreed(): Promise<ClusterSnapshot> {
    return agreedSoon(await this.look(), () => this.look());
  }

  /** The cluster as it is now. */
  look(): Promise<ClusterSnapshot> {
    return readAgain(this.pool, this.snapshot, { zoneOf: this.#zoneOf });
  }

  close(): void {
    this.pool.close();
  }
}

async function agreedSoon(first: ClusterSnapshot, look: () => Promise<ClusterSnapshot>): Promise<ClusterSnapshot> {
  const agrees = (snapshot: ClusterSnapshot) => disagreement.check(snapshot, { steps: [] }, []).length === 0;
  let last = first;
  await waitFor(
    async () => {
      if (agrees(last)) return true;
      last = await look();
      return agrees(last) ? true : undefined;
    },
    { timeoutMs: AGREE_MS, intervalMs: AGREE_LOOK_MS },
  );
  return last;
}
