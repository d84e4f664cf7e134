/**
 * Keys on their way into a cluster: each goes to the master that serves its slot, by RESTORE, many in one write. Slots
 * that move, masters that are replaced and connections that break are followed; what was on its way then is sent again,
 * which changes nothing where it had arrived.
 */
import { pause } from '../../cluster/bounded.js';
import { BulkConnection } from '../../cluster/bulk/bulk-connection.js';
import type { Command } from '../../cluster/node-connection.js';
import { replyErrorOf } from '../../cluster/node-failure.js';
import type { NodePool } from '../../cluster/node-pool.js';
import type { Topology } from '../../cluster/topology.js';
import { ForgeError } from '../../errors.js';
import { encodeRestores, RESTORE_NAME, type RestoredValue, restoreCommand } from './encode-restore.js';

/** Bound of one write's answers: a server takes some time for a value of hundreds of megabytes. */
const COMMAND_MS = 60_000;
/** So long a cluster may refuse a key: a failover takes seconds, with usual timeouts at most half a minute. */
export const PATIENCE_MS = 90_000;
const PAUSE_MS = 100;
const PAUSE_MAX_MS = 2_000;
/** Answers that name another node, one after the other. */
const HOPS_MAX = 3;

/** A key and where it belongs. */
export interface RoutedKey {
  readonly slot: number;
  readonly key: Buffer;
  readonly database: number;
  readonly expireAtMs: number | undefined;
  readonly value: RestoredValue;
  /** It takes nobody's place, whatever the others do. */
  readonly fills: boolean;
  /** An earlier attempt, of this run or of one before it, may have put it there. */
  maybeThere: boolean;
  /** A node that takes it although it does not serve the slot yet: the slot is on its way there. */
  importer?: string;
}

export type KeyOutcome =
  | { readonly outcome: 'restored' }
  /** It is there, and was not to be replaced. */
  | { readonly outcome: 'existing' }
  /** The server does not take it, whoever asks: its own words. */
  | { readonly outcome: 'refused'; readonly reply: string };

export interface DeliveryOptions {
  readonly pool: NodePool;
  readonly clientName: string;
  /** The cluster as it was found last. */
  readonly topology: Topology;
  /** Looks again. */
  readonly look: () => Promise<Topology>;
  readonly replace: boolean;
  readonly patienceMs?: number | undefined;
  readonly signal: AbortSignal;
  /** Told once for each time that the cluster had to be looked at again. */
  readonly onDetour?: (reason: string) => void;
}

type Verdict = 'restored' | 'existing' | 'refused' | 'again' | 'ask';

/** What an answer means. Pure. */
export function judgeReply(reply: string): Verdict | 'full' {
  const [word = ''] = reply.split(' ', 1);
  if (word === 'BUSYKEY') return 'existing';
  if (word === 'ASK') return 'ask';
  if (/^(MOVED|TRYAGAIN|CLUSTERDOWN|LOADING|READONLY|MASTERDOWN|BUSY|NOREPLICAS|FAILOVER|UNBLOCKED)$/.test(word)) {
    return 'again';
  }
  return word === 'OOM' || word === 'MISCONF' ? 'full' : 'refused';
}

export class Delivery {
  readonly #options: DeliveryOptions;
  /** By node, and by database where there are several. */
  readonly #lanes = new Map<string, { readonly id: string; readonly opening: Promise<Lane> }>();
  #topology: Topology;
  #looking: Promise<void> | undefined;
  /** Rises with each look. */
  #looks = 0;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#topology = options.topology;
  }

  get topology(): Topology {
    return this.#topology;
  }

  /**
   * Puts the keys there, each once.
   * @throws ForgeError `partial` where the cluster does not take them for a minute and a half, or is full; `denied`
   */
  async send(keys: readonly RoutedKey[]): Promise<KeyOutcome[]> {
    const outcomes = new Array<KeyOutcome>(keys.length);
    const { signal, patienceMs = PATIENCE_MS } = this.#options;
    let left = keys.map((_, index) => index);
    let waitMs = PAUSE_MS;
    let hops = 0;
    const begun = performance.now();
    for (;;) {
      signal.throwIfAborted();
      const looks = this.#looks;
      const failures: string[] = [];
      const again = await this.#attempt(keys, left, outcomes, failures);
      if (again.length === 0) return outcomes;
      const reason = failures[0] ?? 'slots are on their way';
      if (performance.now() - begun > patienceMs) throw impatient(again.length, patienceMs, reason);
      // An answer that names the next node is followed at once, as long as that leads somewhere.
      if (++hops > HOPS_MAX || again.some((index) => keys[index]?.importer === undefined)) {
        this.#options.onDetour?.(reason);
        await pause(waitMs, signal);
        waitMs = Math.min(PAUSE_MAX_MS, waitMs * 2);
        if (looks === this.#looks) await this.#look();
        hops = 0;
      }
      left = again;
    }
  }

  /** Until so many replicas of each master have what was written, or the time is over. @returns masters that lag */
  async settle(replicas: (masterId: string) => number, timeoutMs: number): Promise<string[]> {
    const lagging: string[] = [];
    for (const { id, opening } of this.#lanes.values()) {
      const wanted = replicas(id);
      if (wanted === 0) continue;
      const lane = await opening.catch(() => undefined);
      const answer = await lane?.connection.call('WAIT', wanted, timeoutMs).catch(() => 0);
      if (Number(answer) < wanted) lagging.push(lane?.connection.label ?? id);
    }
    return lagging;
  }

  close(): void {
    for (const { opening } of this.#lanes.values()) {
      opening.then(
        ({ connection }) => connection.close(),
        () => undefined,
      );
    }
  }

  /** @returns which are to be sent again */
  async #attempt(
    keys: readonly RoutedKey[],
    indexes: readonly number[],
    outcomes: KeyOutcome[],
    failures: string[],
  ): Promise<number[]> {
    const groups = new Map<string, { id: string; database: number; group: number[] }>();
    const again: number[] = [];
    for (const index of indexes) {
      const { slot, importer, database } = keys[index] as RoutedKey;
      const id = importer ?? this.#topology.ownerOf(slot)?.id;
      if (id === undefined) {
        failures.push(`nobody serves slot ${slot}`);
        again.push(index);
        continue;
      }
      const name = laneName(id, database);
      const known = groups.get(name);
      if (known === undefined) groups.set(name, { id, database, group: [index] });
      else known.group.push(index);
    }
    await Promise.all(
      [...groups.values()].map(async ({ id, database, group }) => {
        again.push(...(await this.#sendTo({ id, database }, keys, group, outcomes, failures)));
      }),
    );
    return again;
  }

  async #sendTo(
    to: { readonly id: string; readonly database: number },
    keys: readonly RoutedKey[],
    group: readonly number[],
    outcomes: KeyOutcome[],
    failures: string[],
  ): Promise<readonly number[]> {
    let lane: Lane;
    try {
      lane = await this.#lane(to.id, to.database);
    } catch (error) {
      if (error instanceof ForgeError && error.kind === 'denied') throw error;
      failures.push((error as Error).message);
      for (const index of group) delete (keys[index] as RoutedKey).importer;
      return group;
    }
    const again: number[] = [];
    const results = await lane.send(group.map((index) => keys[index] as RoutedKey));
    for (const [position, result] of results.entries()) {
      const index = group[position] as number;
      const key = keys[index] as RoutedKey;
      delete key.importer;
      if (result.status === 'fulfilled') {
        outcomes[index] = { outcome: 'restored' };
        continue;
      }
      const reply = replyErrorOf(result.reason);
      if (result.reason instanceof ForgeError && result.reason.kind === 'denied') throw result.reason;
      const verdict = reply === undefined ? 'again' : judgeReply(reply);
      if (verdict === 'full') throw full(lane.connection.label, reply ?? '');
      if (verdict === 'refused') outcomes[index] = { outcome: 'refused', reply: reply ?? '' };
      else if (verdict === 'existing') {
        outcomes[index] = { outcome: key.maybeThere && !key.fills ? 'restored' : 'existing' };
      } else {
        // Without an answer nobody knows whether it has arrived.
        if (reply === undefined) key.maybeThere = true;
        if (verdict === 'ask') key.importer = this.#importer(reply ?? '');
        // What only leads on is no reason to wait.
        if (verdict === 'again' && failures.length === 0) failures.push((result.reason as Error).message);
        again.push(index);
      }
    }
    return again;
  }

  /** `ASK 3999 127.0.0.1:6381`: undefined for a node that is not known here; then the cluster is looked at again. */
  #importer(reply: string): string | undefined {
    const address = reply.split(' ')[2] ?? '';
    const colon = address.lastIndexOf(':');
    return this.#topology.find(address.slice(0, colon), Number(address.slice(colon + 1)))?.id;
  }

  async #lane(id: string, database: number): Promise<Lane> {
    const name = laneName(id, database);
    const known = this.#lanes.get(name);
    const lane = await known?.opening.catch(() => undefined);
    if (lane?.connection.isOpen) return lane;
    const begun = this.#lanes.get(name);
    if (begun !== undefined && begun !== known) return begun.opening;
    const opening = this.#open(id, database);
    opening.catch(() => undefined);
    this.#lanes.set(name, { id, opening });
    return opening;
  }

  async #open(id: string, database: number): Promise<Lane> {
    const { pool, clientName, replace } = this.#options;
    const connection = await pool.dedicated(id, { clientName });
    // Before any key: one that went into another database would be worse than none.
    if (database !== 0) await connection.call('SELECT', database);
    return new Lane(new BulkConnection(connection, COMMAND_MS), replace);
  }

  #look(): Promise<void> {
    this.#looking ??= this.#options
      .look()
      .then(
        (topology) => {
          this.#topology = topology;
        },
        (error: unknown) => {
          // Nobody answers at the moment; the bound of the keys that wait is the bound of this, too.
          if (!(error instanceof ForgeError) || error.kind === 'denied') throw error;
        },
      )
      .finally(() => {
        this.#looks++;
        this.#looking = undefined;
      });
    return this.#looking;
  }
}

/** One connection to one master. */
class Lane {
  readonly connection: BulkConnection;
  readonly #replace: boolean;

  constructor(connection: BulkConnection, replace: boolean) {
    this.connection = connection;
    this.#replace = replace;
  }

  /** The outcome of each key, in their order. */
  async send(keys: readonly RoutedKey[]): Promise<PromiseSettledResult<unknown>[]> {
    // All keys of a write are of one kind.
    const replace = this.#replace && keys[0]?.fills !== true;
    if (keys.every(({ importer }) => importer === undefined)) {
      const names = new Array<Command>(keys.length).fill(RESTORE_NAME);
      return this.connection.callAll(names, { encoded: encodeRestores(keys, replace) });
    }
    const commands = keys.flatMap((key): Command[] => {
      const restore = restoreCommand(key, replace);
      return key.importer === undefined ? [restore] : [['ASKING'], restore];
    });
    const outcomes = await this.connection.callAll(commands);
    return outcomes.filter((_, index) => commands[index]?.[0] === RESTORE_NAME[0]);
  }
}

const laneName = (id: string, database: number) => (database === 0 ? id : `${id} ${database}`);

const AGAIN = 'Run the same command again when that is mended: it goes on where it stopped.';

const impatient = (keys: number, patienceMs: number, reason: string) =>
  new ForgeError(
    'partial',
    `The cluster has not taken ${keys} keys for ${Math.round(patienceMs / 1_000)} s: ${reason}`,
    { next: ['Look at it: forge cluster check.', AGAIN] },
  );

const full = (label: string, reply: string) =>
  new ForgeError('partial', `${label} takes no more: ${reply}`, {
    host: label,
    next: ['Give it memory (maxmemory) or disk, or restore into more masters.', AGAIN],
    details: { reply },
  });
