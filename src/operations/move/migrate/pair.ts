/** The two masters between which slots move, and how the source reaches the target. */

import { BulkConnection } from '../../../cluster/bulk/bulk-connection.js';
import type { ClusterNode } from '../../../cluster/cluster-node.js';
import { COMMAND_TIMEOUT_MS, type Command, type NodeConnection } from '../../../cluster/node-connection.js';
import { secretArgument } from '../../../cluster/secret.js';
import type { Topology } from '../../../cluster/topology.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef, StepContext } from '../../step.js';
import { viewOf, viewsOf } from '../../steps/views.js';
import { Permits } from '../permits.js';
import { Leftovers } from './leftovers.js';
import { PACES, type Pace } from './pace.js';
import { goneIn } from './slot-states.js';

/** MIGRATE answers when the target has answered: the connection waits longer than MIGRATE itself does. */
const REPLY_MARGIN_MS = 10_000;
/** Bound of every single wait of the source for the target inside MIGRATE. */
export const MIGRATE_TIMEOUT_MS = 1_500;
/** The same for the biggest keys: the target is busy with one for long before it answers. */
export const MIGRATE_TIMEOUT_MAX_MS = 120_000;
/** What takes longer goes over a connection of its own: a source that hangs is to be found out soon by all the rest. */
const USUAL_TIMEOUT_MAX_MS = 5_000;

export interface PairNodes {
  readonly source: NodeRef;
  readonly target: NodeRef;
}

export interface MigrateOptions {
  readonly replace?: boolean;
  readonly timeoutMs?: number;
}

/** The detail of an error by which a node was no master any more when its move began: nothing was changed. */
const LOST_ROLE = 'lostRole';

/** Why a move ends before its time that one of its masters has a successor. */
export function succeeded(pair: PairNodes, { address, of }: Heir, cause: unknown): ForgeError {
  return new ForgeError('refused', `${address} took over from ${pair[of].address} in the middle.`, {
    host: address,
    next: 'The move goes on with the master of today.',
    details: { [LOST_ROLE]: address },
    cause,
  });
}

/** What of an error's details has to stay when it is told in other words. */
export const roleDetails = (error: unknown): Record<string, unknown> =>
  error instanceof ForgeError && hasLostRole(error) ? { [LOST_ROLE]: error.details?.[LOST_ROLE] } : {};

export const hasLostRole = (error: unknown): boolean =>
  error instanceof ForgeError && error.details?.[LOST_ROLE] !== undefined;

export interface Heirs {
  readonly source: readonly string[];
  readonly target: readonly string[];
}

export interface Heir {
  readonly address: string;
  /** Whose place it has taken. */
  readonly of: keyof Heirs;
}

interface Reach {
  readonly ip: string;
  readonly port: number;
  readonly credentials: readonly (string | Buffer)[];
}

export class Pair implements PairNodes {
  readonly context: StepContext;
  readonly source: NodeRef;
  readonly target: NodeRef;
  readonly pace: Pace;
  readonly inFlight: Permits;
  readonly leftovers: Leftovers;
  /** Replicas of both when the move began. */
  heirs: Heirs = { source: [], target: [] };
  /** When the last batch was answered, in monotonic milliseconds. */
  answeredAt = 0;
  readonly #workers = new Map<string, Promise<NodeConnection>>();
  #reach: Promise<Reach> | undefined;
  #reversed: Pair | undefined;

  constructor(context: StepContext, { source, target }: PairNodes, pace: Pace = PACES.fast) {
    this.context = context;
    this.pace = pace;
    this.inFlight = new Permits(pace.batchesInFlight);
    this.source = source;
    this.target = target;
    this.leftovers = new Leftovers(context, { source, target });
  }

  /**
   * To the source, for MIGRATE and what reads keys; opened anew when it was lost.
   * @param timeoutMs of the MIGRATE that is to be sent
   */
  worker(timeoutMs = 0): Promise<NodeConnection> {
    const boundMs = timeoutMs > USUAL_TIMEOUT_MAX_MS ? MIGRATE_TIMEOUT_MAX_MS : USUAL_TIMEOUT_MAX_MS;
    return this.#open(`source ${boundMs}`, this.source.id, boundMs + REPLY_MARGIN_MS);
  }

  /** To the source or the target, for the marks of slots; opened anew when it was lost. */
  marker(nodeId: string): Promise<NodeConnection> {
    return this.#open(`marks ${nodeId}`, nodeId, COMMAND_TIMEOUT_MS);
  }

  async #open(name: string, nodeId: string, timeoutMs: number): Promise<NodeConnection> {
    const known = this.#workers.get(name);
    const current = await known?.catch(() => undefined);
    if (current?.isOpen) return current;
    // Another caller may have begun to reopen it meanwhile.
    const begun = this.#workers.get(name);
    if (begun !== undefined && begun !== known) return begun;
    const opening = this.context.pool.dedicated(nodeId).then((connection) => new BulkConnection(connection, timeoutMs));
    opening.catch(() => undefined);
    this.#workers.set(name, opening);
    return opening;
  }

  /** The words of MIGRATE for these keys. */
  async migrate(keys: readonly Buffer[], options: MigrateOptions = {}): Promise<Command> {
    const { replace = false, timeoutMs = MIGRATE_TIMEOUT_MS } = options;
    this.#reach ??= this.#findReach();
    const { ip, port, credentials } = await this.#reach;
    const words = replace ? ['REPLACE'] : [];
    return ['MIGRATE', ip, port, '', 0, timeoutMs, ...words, ...credentials, 'KEYS', ...keys];
  }

  /** The replica that has taken over from one of both meanwhile, by its own word. */
  async heir(): Promise<Heir | undefined> {
    const { source, target } = this.heirs;
    for (const { topology } of (await viewsOf(this.context, [...source, ...target])).values()) {
      const { myself } = topology;
      if (myself?.role !== 'master' || myself.slots.length === 0) continue;
      return { address: this.context.pool.label(myself.id), of: source.includes(myself.id) ? 'source' : 'target' };
    }
    return undefined;
  }

  /** How the source reaches the target is looked up again: the target may have come back elsewhere. */
  forgetReach(): void {
    this.#reach = undefined;
  }

  /** The same two with their parts exchanged; closed with this one. */
  reversed(): Pair {
    const { source, target } = this;
    this.#reversed ??= new Pair(this.context, { source: target, target: source }, this.pace);
    this.#reversed.heirs = { source: this.heirs.target, target: this.heirs.source };
    return this.#reversed;
  }

  close(): void {
    this.#reversed?.close();
    for (const worker of this.#workers.values()) {
      worker.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
  }

  /** The address by the source's own table: what leads there from here may not lead there from the source. */
  async #findReach(): Promise<Reach> {
    try {
      const { topology } = await viewOf(this.context, this.source.id);
      const peer = topology.node(this.target.id);
      if (peer === undefined || peer.ip === '' || peer.port === 0) throw this.#unknownThere();
      return { ip: peer.ip, port: peer.port, credentials: await this.#credentials() };
    } catch (error) {
      this.#reach = undefined;
      throw error;
    }
  }

  #unknownThere(): ForgeError {
    const [source, target] = [this.source.address, this.target.address];
    return new ForgeError('refused', `${source} does not know ${target}: it cannot send keys there.`, {
      host: source,
      next: 'Let the nodes meet first, and look at forge cluster check.',
    });
  }

  /** A target that needs no password answers an error when it is told one. */
  async #credentials(): Promise<(string | Buffer)[]> {
    const { username, password } = this.context.pool.settings;
    if (password === undefined) return [];
    const connection = await this.context.pool.get(this.target.id);
    if (connection.passwordUnused) return [];
    if (username === undefined) return ['AUTH', secretArgument(password)];
    return ['AUTH2', username, secretArgument(password)];
  }
}

/** What each of both says of itself, and whether the target holds a node for dead. */
export async function lookAtPair({ context, source, target }: Pick<Pair, 'context' | 'source' | 'target'>): Promise<{
  from: ClusterNode;
  to: ClusterNode;
  isGone: (id: string) => boolean;
}> {
  const [from, to] = await Promise.all([viewOf(context, source.id), viewOf(context, target.id)]);
  return {
    from: masterIn(from.topology, source),
    to: masterIn(to.topology, target),
    isGone: goneIn(to.topology),
  };
}

function masterIn({ myself }: Topology, node: NodeRef): ClusterNode {
  if (myself !== undefined && myself.role === 'master') return myself;
  throw new ForgeError('refused', `${node.address} is not a master now: no slots can be moved from or to it.`, {
    host: node.address,
    next: 'Look at forge cluster status: it may have been failed over.',
    details: { [LOST_ROLE]: node.id },
  });
}
