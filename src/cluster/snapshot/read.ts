/** Reads a whole cluster, starting at any live node: every node is asked, in parallel, each wait bounded. */
import { ForgeError } from '../../errors.js';
import { formatAddress, type NodeAddress } from '../address.js';
import { settleBounded } from '../bounded.js';
import type { ClusterNode } from '../cluster-node.js';
import { hasFlag } from '../cluster-node.js';
import type { HostPort, NodePool } from '../node-pool.js';
import type { KnownLines } from '../parse-nodes.js';
import { type NodeReport, parseReport } from './node-report.js';
import { type RawNode, readRaw } from './raw.js';
import { ClusterSnapshot, type NodeFailure } from './snapshot.js';

/** Nodes that are asked at once. */
const PARALLEL_MAX = 64;
/** Nodes may know of nodes that the others do not know; asking those again may show more, but not for ever. */
const ROUNDS_MAX = 4;
const NAMED_MAX = 6;

export interface ReadOptions {
  /** Addresses to begin at; the first that is part of a cluster decides which cluster is meant. */
  readonly seeds: readonly NodeAddress[];
  /** Where the seeds were named, for errors: `--seed`, `CLUSTER_SEED`. */
  readonly source?: string;
  /** Further addresses to look at: members under an address of the operator's choice, or nodes that are to join. */
  readonly also?: readonly NodeAddress[];
  readonly zoneOf?: (node: ClusterNode) => string | undefined;
  /** Told every reply as it came, for a recording. */
  readonly record?: (raw: RawNode) => void;
}

const isCluster = ({ cluster, view }: NodeReport) => cluster.slotsAssigned > 0 || view.nodes.length > 1;

class Reader {
  readonly reports = new Map<string, NodeReport>();
  readonly failures = new Map<string, NodeFailure>();
  readonly #pool: NodePool;
  readonly #known: KnownLines = new Map();
  readonly #record: ReadOptions['record'];

  constructor(pool: NodePool, record: ReadOptions['record']) {
    this.#pool = pool;
    this.#record = record;
  }

  async askAddress(address: HostPort): Promise<NodeReport | undefined> {
    const label = formatAddress(address);
    return this.#keep(label, undefined, async () => {
      const { connection } = await this.#pool.meet(address);
      // The connection may be an older one, by another name of the node: the one that was asked for counts.
      return { ...(await readRaw(connection)), address: label };
    });
  }

  async askNode(node: ClusterNode): Promise<void> {
    this.#pool.learn(node.id, addressesOf(node, this.#pool.settings.tls !== undefined));
    await this.askId(node.id);
  }

  async askId(id: string): Promise<void> {
    await this.#keep(this.#pool.label(id), id, async () => readRaw(await this.#pool.get(id)));
  }

  async #keep(address: string, id: string | undefined, read: () => Promise<RawNode>): Promise<NodeReport | undefined> {
    try {
      const raw = await read();
      const report = parseReport(raw, this.#known);
      this.#record?.(raw);
      this.reports.set(report.id, report);
      return report;
    } catch (error) {
      if (!(error instanceof ForgeError)) throw error;
      this.failures.set(id ?? address, {
        ...(id === undefined ? {} : { id }),
        address,
        kind: error.kind,
        message: error.message,
      });
      return undefined;
    }
  }
}

/** With TLS, a certificate is more often for the name than for the address. */
function addressesOf(node: ClusterNode, tls: boolean): HostPort[] {
  const byIp = { host: node.ip, port: node.port };
  if (node.hostname === undefined) return [byIp];
  const byName = { host: node.hostname, port: node.port };
  return tls ? [byName, byIp] : [byIp, byName];
}

/**
 * A snapshot of the cluster that the seeds lead to.
 * @throws ForgeError `unreachable` when no seed answers (every one is named with its reason), `denied`, or `refused` when
 *   no seed is part of a cluster, or the seeds are of different clusters
 */
export async function readSnapshot(pool: NodePool, options: ReadOptions): Promise<ClusterSnapshot> {
  const reader = new Reader(pool, options.record);
  const first = await findSeed(reader, options);
  await walk(reader, first);
  const strangers = new Set<string>();
  await settleBounded(options.also ?? [], PARALLEL_MAX, async (address) => {
    const report = await reader.askAddress(address);
    if (report !== undefined) strangers.add(report.id);
  });
  const named = new Set((options.also ?? []).map(formatAddress));
  return compose(reader, first, strangers, named, options.zoneOf);
}

/**
 * All nodes of a cluster that was read before, and the strangers of then, once more; over the connections that stand.
 * @throws ForgeError `unreachable` when no member answers
 */
export async function readAgain(
  pool: NodePool,
  before: ClusterSnapshot,
  options: Pick<ReadOptions, 'zoneOf'> = {},
): Promise<ClusterSnapshot> {
  const reader = new Reader(pool, undefined);
  const strangers = new Set(before.strangers.map(({ id }) => id));
  const ids = [...before.reports.map(({ id }) => id), ...strangers];
  await settleBounded(ids, PARALLEL_MAX, (id) => reader.askId(id));
  const first = bestKnown([...reader.reports.values()].filter(({ id }) => !strangers.has(id)));
  if (first === undefined) {
    throw noSeed(reader, { seeds: [], source: 'those that answered before' });
  }
  await walk(reader, first);
  return compose(reader, first, strangers, new Set(), options.zoneOf);
}

/** The node that most others know: one that was taken out of the cluster meanwhile leads nowhere. */
function bestKnown(reports: readonly NodeReport[]): NodeReport | undefined {
  let best: NodeReport | undefined;
  let most = -1;
  for (const report of reports) {
    const count = reports.filter(({ view }) => view.node(report.id) !== undefined).length;
    if (count > most) [best, most] = [report, count];
  }
  return best;
}

function compose(
  reader: Reader,
  first: NodeReport,
  also: ReadonlySet<string>,
  named: ReadonlySet<string>,
  zoneOf: ReadOptions['zoneOf'],
): ClusterSnapshot {
  const all = [...reader.reports.values()];
  const members = all.filter((report) => report.id === first.id || all.some((other) => isMember(first, other, report)));
  const strangers = all.filter((report) => also.has(report.id) && !members.includes(report));
  // A seed that does not answer is no news; a member, or a node that was asked for, is.
  const failures = [...reader.failures.values()].filter(({ id, address }) => id !== undefined || named.has(address));
  return new ClusterSnapshot({ reports: members, strangers, failures, zoneOf });
}

/** The first seed, in the order in which they answer, that is part of a cluster. */
async function findSeed(reader: Reader, options: ReadOptions): Promise<NodeReport> {
  let found: NodeReport | undefined;
  const answered: NodeReport[] = [];
  let finish: (() => void) | undefined;
  const enough = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const asked = settleBounded(options.seeds, PARALLEL_MAX, async (seed) => {
    if (found !== undefined) return;
    const report = await reader.askAddress(seed);
    if (report === undefined) return;
    answered.push(report);
    if (isCluster(report) && found === undefined) {
      found = report;
      finish?.();
    }
  });
  await Promise.race([enough, asked]);
  if (found !== undefined) {
    requireOneCluster(found, answered);
    return found;
  }
  const [alone] = answered;
  if (alone !== undefined) {
    throw new ForgeError('refused', `${alone.address} is alone and serves no slots: it is part of no cluster.`, {
      host: alone.address,
      next: 'Name a node of the cluster with --seed; forge init-cluster forms a new one.',
    });
  }
  throw noSeed(reader, options);
}

function requireOneCluster(found: NodeReport, answered: readonly NodeReport[]): void {
  const other = answered.find((report) => isCluster(report) && !sameCluster(found, report));
  if (other === undefined) return;
  throw new ForgeError('refused', `${found.address} and ${other.address} are of different clusters.`, {
    host: other.address,
    next: 'Name seeds of one cluster only.',
  });
}

function sameCluster(left: NodeReport, right: NodeReport): boolean {
  return left.view.node(right.id) !== undefined || right.view.node(left.id) !== undefined;
}

function noSeed(reader: Reader, { seeds, source }: ReadOptions): ForgeError {
  const failures = [...reader.failures.values()];
  const kinds = new Set(failures.map(({ kind }) => kind));
  const kind = (['denied', 'refused', 'timeout', 'unreachable'] as const).find((each) => kinds.has(each));
  const shown = failures.slice(0, NAMED_MAX).map(({ message }) => `  ${message}`);
  if (failures.length > NAMED_MAX) shown.push(`  and ${failures.length - NAMED_MAX} more`);
  const from = source === undefined ? '' : ` (${source})`;
  // One that answers is there: only the way in is wrong.
  const denied = kind === 'denied';
  const what = denied ? 'No node of the cluster lets this user in' : 'No node of the cluster answers';
  return new ForgeError(kind ?? 'unreachable', `${what}${from}:\n${shown.join('\n')}`, {
    host: seeds[0] === undefined ? undefined : formatAddress(seeds[0]),
    next: denied
      ? 'Set REDIS_REQUIREPASS or --password-file, and for an ACL user REDIS_USERNAME or --username; --name takes those of forge.yaml or of a local cluster.'
      : 'Name a live node with --seed, CLUSTER_SEED or CLUSTER_NODES, and check password and TLS.',
    details: { failures },
  });
}

/** Asks every node of the seed's table, and those that only others know. */
async function walk(reader: Reader, first: NodeReport): Promise<void> {
  const asked = new Set([first.id]);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const next = new Map<string, ClusterNode>();
    for (const report of reader.reports.values()) {
      if (!sameCluster(first, report)) continue;
      for (const node of report.view.nodes) if (!asked.has(node.id)) next.set(node.id, node);
    }
    if (next.size === 0) return;
    for (const id of next.keys()) asked.add(id);
    await settleBounded([...next.values()], PARALLEL_MAX, async (node) => {
      if (!reader.reports.has(node.id) && !hasFlag(node, 'noaddr')) await reader.askNode(node);
    });
  }
}

/** Somebody of the cluster has the node in its table: a node that was forgotten still has the others in its own. */
function isMember(first: NodeReport, viewer: NodeReport, subject: NodeReport): boolean {
  return (
    viewer.id !== subject.id &&
    (viewer.id === first.id || first.view.node(viewer.id) !== undefined) &&
    viewer.view.node(subject.id) !== undefined
  );
}
