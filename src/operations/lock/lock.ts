/**
 * One operator at a time on one cluster, kept by the nodes themselves: a connection to every node that answers, whose
 * client name says who holds the lock. No key: a cluster with a hole in its slots refuses every key (CLUSTERDOWN), and
 * that is when it must be repaired.
 *
 * Whoever asks names its connections first and looks at all clients then; a server does one after the other, so of two
 * at least the later sees the earlier. The lock ends with its process, whose connections the kernel closes; one that
 * hangs is found by its silence and cut off at the servers (CLIENT KILL), together with everything it still sends.
 */
import { randomBytes } from 'node:crypto';
import os from 'node:os';
import { pause } from '../../cluster/bounded.js';
import type { NodeConnection } from '../../cluster/node-connection.js';
import type { NodePool } from '../../cluster/node-pool.js';
import { ForgeError } from '../../errors.js';
import type { Operator } from '../journal/entry.js';
import { EXPIRY_SECONDS, isLeftBehind, judge, LEFT_BEHIND_SECONDS, stayedSilent } from './judge.js';
import { killOwners, listClaims, nameAll, openLockConnections } from './lock-nodes.js';
import { type LockOwner, lockName } from './name.js';

export const HEARTBEAT_MS = 2_000;
/** Without a heartbeat for so long, by either clock, nothing is changed before one has succeeded. */
const SILENCE_MAX_MS = 10_000;
/** Between two looks at a lock that seems to have expired: a living owner says something meanwhile. */
const OBSERVE_MS = 2 * HEARTBEAT_MS + 500;
const SECOND_MS = 1_000;
const ATTEMPTS_MAX = 6;
const STEP_BACK_MS = 150;
const CONTEND_LOOKS_MAX = 20;
const CONTEND_LOOK_MS = 50;

/** Who runs this process. */
export function thisOperator(): Operator {
  let user = process.env['SUDO_USER'] ?? process.env['USER'] ?? '';
  try {
    user ||= os.userInfo().username;
  } catch {
    // A container may run as a number without a name.
    user ||= String(process.getuid?.() ?? 'unknown');
  }
  return { user, host: os.hostname(), pid: process.pid };
}

export function newToken(): string {
  return randomBytes(8).toString('hex');
}

export function describeOwner({ user, host, pid, operation, startedAt }: LockOwner): string {
  return `${user}@${host} (process ${pid}, ${operation}, since ${startedAt})`;
}

function lockedBy(owner: LockOwner, why = 'is at work on this cluster'): ForgeError {
  return new ForgeError('locked', `${describeOwner(owner)} ${why}.`, {
    next: [
      'Wait until it is done; forge lock status shows it.',
      `Where you know that it must not go on: forge lock release ${owner.token}`,
    ],
    details: { owner: { ...owner } },
  });
}

export interface AcquireOptions {
  readonly pool: NodePool;
  /** All members; those that do not answer are left out. */
  readonly nodeIds: readonly string[];
  readonly owner: LockOwner;
  readonly signal?: AbortSignal;
  readonly heartbeatMs?: number;
}

export class ClusterLock {
  readonly owner: LockOwner;
  readonly #pool: NodePool;
  readonly #nodeIds: readonly string[];
  readonly #connections: Map<string, NodeConnection>;
  readonly #timer: NodeJS.Timeout;
  readonly #controller = new AbortController();
  #beating: Promise<void> | undefined;
  #heardMonotonic = performance.now();
  #heardWall = Date.now();
  #released = false;

  private constructor(options: AcquireOptions, connections: Map<string, NodeConnection>) {
    this.owner = options.owner;
    this.#pool = options.pool;
    this.#nodeIds = options.nodeIds;
    this.#connections = connections;
    this.#timer = setInterval(() => void this.#beat(), options.heartbeatMs ?? HEARTBEAT_MS);
    this.#timer.unref();
  }

  /**
   * Takes the lock, or throws at once when somebody alive holds it; one that has expired is taken over after a look of
   * 4.5 seconds.
   * @throws ForgeError `locked` naming the owner, `unreachable` when no node answers, `denied` when CLIENT is not allowed
   */
  static async acquire(options: AcquireOptions): Promise<ClusterLock> {
    for (let attempt = 0; ; attempt++) {
      options.signal?.throwIfAborted();
      const connections = await openLockConnections(options.pool, options.nodeIds, lockName(options.owner, 'asking'));
      let refusal: ForgeError;
      try {
        if (connections.size === 0) throw noNode();
        const outcome = await ask(connections, options);
        if (outcome === 'taken') {
          await nameAll(connections, lockName(options.owner, 'holding'));
          if (connections.size === 0) throw noNode();
          return new ClusterLock(options, connections);
        }
        refusal = outcome;
      } catch (error) {
        closeAll(connections);
        throw error;
      }
      closeAll(connections);
      const claimed = refusal.details?.['phase'];
      if (claimed !== 'asking' || attempt + 1 >= ATTEMPTS_MAX) throw refusal;
      // The other one asks at this moment and goes first; it may find a third who holds it, and give up.
      await pause(STEP_BACK_MS * (1 + Math.random()), options.signal);
    }
  }

  /** Aborted, with the reason, when the lock was lost. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Nodes that know of the lock at the moment. */
  get nodeIds(): string[] {
    return [...this.#connections.keys()];
  }

  /**
   * Returns when this process may change the cluster: it was heard by a node a short while ago, by both clocks, or now.
   * @throws ForgeError `locked` when somebody else has taken the lock, `unreachable` when no node answers
   */
  async requireHeld(): Promise<void> {
    this.#controller.signal.throwIfAborted();
    if (this.#silentMs() < SILENCE_MAX_MS) return;
    await this.#beat();
    this.#controller.signal.throwIfAborted();
    if (performance.now() - this.#heardMonotonic >= SILENCE_MAX_MS || this.#connections.size === 0) throw noNode();
  }

  async release(): Promise<void> {
    this.#released = true;
    clearInterval(this.#timer);
    await this.#beating;
    closeAll(this.#connections);
  }

  /** One at a time: a heartbeat that takes long is not overtaken by the next. */
  #beat(): Promise<void> {
    this.#beating ??= this.#beatOnce().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  async #beatOnce(): Promise<void> {
    // Who has lost the lock must not ask for it again.
    if (this.#controller.signal.aborted) return;
    const silentMs = this.#silentMs();
    const results = await Promise.all(
      [...this.#connections].map(async ([id, connection]) => {
        const heard = await connection.call('PING').then(
          () => true,
          () => false,
        );
        if (heard) return true;
        connection.close();
        this.#connections.delete(id);
        return false;
      }),
    );
    if (results.includes(true)) this.#heard();
    if (this.#connections.size >= this.#nodeIds.length || this.#released) return;
    const left = isLeftBehind(this.#connections.size, this.#nodeIds.length);
    const expirySeconds = left ? LEFT_BEHIND_SECONDS : EXPIRY_SECONDS;
    if (silentMs >= expirySeconds * SECOND_MS) this.#lose(tooSilent(this.owner, silentMs));
    else await this.#takeAgain();
  }

  /** By both clocks: a machine that slept shows it by one of them only. */
  #silentMs(): number {
    return Math.max(performance.now() - this.#heardMonotonic, Math.abs(Date.now() - this.#heardWall));
  }

  #lose(reason: unknown): void {
    this.#controller.abort(reason);
    closeAll(this.#connections);
  }

  #heard(): void {
    this.#heardMonotonic = performance.now();
    this.#heardWall = Date.now();
  }

  /** On nodes that were restarted, or that have cut this process off because it was silent too long. */
  async #takeAgain(): Promise<void> {
    const missing = this.#nodeIds.filter((id) => !this.#connections.has(id));
    try {
      const connections = await openLockConnections(this.#pool, missing, lockName(this.owner, 'holding'));
      const claims = await listClaims(connections);
      const judgement = judge(claims, this.owner.token);
      if (judgement.verdict === 'held' || judgement.verdict === 'contended') {
        closeAll(connections);
        this.#lose(lockedBy(judgement.owner, 'has taken the lock over'));
        return;
      }
      if (connections.size > 0) this.#heard();
      for (const [id, connection] of connections) this.#connections.set(id, connection);
      if (this.#released) closeAll(this.#connections);
    } catch (error) {
      if (!(error instanceof ForgeError)) this.#lose(error);
    }
  }
}

/** Whoever took the lock over meanwhile may have given it back: that nobody has it now proves nothing. */
function tooSilent(owner: LockOwner, silentMs: number): ForgeError {
  const seconds = Math.round(silentMs / SECOND_MS);
  return new ForgeError('locked', `This process reached no node for ${seconds} s: longer than its lock lasts.`, {
    next: 'Somebody else may have changed the cluster meanwhile. Look at it with forge cluster check.',
    details: { owner: { ...owner } },
  });
}

function noNode(): ForgeError {
  return new ForgeError('unreachable', 'No node answers: the lock of the cluster can be neither taken nor kept.', {
    next: 'Check the network between this host and the nodes.',
  });
}

function closeAll(connections: Map<string, NodeConnection>): void {
  for (const connection of connections.values()) connection.close();
  connections.clear();
}

async function ask(
  connections: Map<string, NodeConnection>,
  { owner, signal }: AcquireOptions,
): Promise<'taken' | ForgeError> {
  for (let look = 0; look < CONTEND_LOOKS_MAX; look++) {
    const claims = await listClaims(connections);
    if (connections.size === 0) throw noNode();
    const judgement = judge(claims, owner.token);
    if (judgement.verdict === 'free') return 'taken';
    if (judgement.verdict === 'held') return refusedBy(judgement.owner, claims);
    if (judgement.verdict === 'expired') {
      await pause(OBSERVE_MS, signal);
      const later = await listClaims(connections);
      if (!stayedSilent(claims, later, owner.token)) {
        const [first] = judgement.owners;
        return refusedBy(first as LockOwner, later);
      }
      const tokens = judgement.owners.map(({ token }) => token);
      await killOwners(connections, tokens);
      continue;
    }
    await pause(CONTEND_LOOK_MS, signal);
  }
  const again = judge(await listClaims(connections), owner.token);
  return again.verdict === 'free' ? 'taken' : lockedBy('owner' in again ? again.owner : owner);
}

function refusedBy(other: LockOwner, claims: Awaited<ReturnType<typeof listClaims>>): ForgeError {
  const holding = [...claims.values()]
    .flat()
    .some(({ owner, phase }) => owner.token === other.token && phase === 'holding');
  const error = lockedBy(other);
  return new ForgeError('locked', error.message, {
    next: error.next,
    details: { ...error.details, phase: holding ? 'holding' : 'asking' },
  });
}
