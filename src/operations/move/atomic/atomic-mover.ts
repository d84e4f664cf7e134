/**
 * Moves slots by jobs that the servers carry out: the slots of a job change hands at one moment, or not at all. So
 * nothing is ever open; what there is to handle is a job that fails, hangs, was begun by somebody else, or of which the
 * two nodes do not know the same.
 */
import { pause } from '../../../cluster/bounded.js';
import { replyErrorOf } from '../../../cluster/node-failure.js';
import { countSlots, eachSlot, formatSlots, type SlotSet, slotsFrom, subtractSlots } from '../../../cluster/slots.js';
import { ForgeError } from '../../../errors.js';
import type { NodeRef, StepContext } from '../../step.js';
import { viewOf } from '../../steps/views.js';
import type { MoveReport, SlotMove, SlotMover } from '../mover.js';
import { type Batch, batchBounds, fitsIntoOneJob, nextBatch } from './batches.js';
import { clearWay } from './clear-way.js';
import { causeOf, mayHaveLostWrites, nodeAt } from './explain.js';
import { expected, FINISH_MS, follow, isLockLost, type JobEnd } from './follow.js';
import type { AtomicDriver, SlotJob } from './job.js';
import { Jobs } from './jobs.js';
import { type Owners, ownersOf, requirePair } from './owners.js';
import { countKeys, loadOf, spreadOver, sum } from './slot-keys.js';
import { CannotMoveAtomically } from './unavailable.js';

/** Attempts at one job, with a pause that doubles: what goes by itself has gone after that. */
const ATTEMPTS_MAX = 5;
const BACKOFF_MS = 200;
/** A job that was cancelled from here has most likely moved nothing. */
const CANCELLED_MS = 2_000;
/** So many of the slots that have moved are looked at, whether the source has freed them. */
const EMPTIED_MAX = 256;
const LOOK_MIN_MS = 10;
const LOOK_MAX_MS = 250;
const RANGES_SHOWN_MAX = 4;
const SECOND_MS = 1_000;

export function atomicMover(driver: AtomicDriver): SlotMover {
  return { name: driver.name, move: (context, move) => new AtomicMove(driver, context, move).run() };
}

class AtomicMove {
  readonly #driver: AtomicDriver;
  readonly #context: StepContext;
  readonly #move: SlotMove;
  readonly #jobs: Jobs;
  readonly #startedAt = performance.now();
  #slotsMoved = 0;
  #keysMoved = 0;
  #bytesMoved = 0;

  constructor(driver: AtomicDriver, context: StepContext, move: SlotMove) {
    this.#driver = driver;
    this.#context = context;
    this.#move = move;
    this.#jobs = new Jobs(driver, context, move);
  }

  async run(): Promise<MoveReport> {
    const { slots, source } = this.#move;
    await clearWay(this.#context, this.#jobs);
    let { left } = await this.#settled(slots);
    const connection = await this.#context.pool.get(source.id);
    const load = await loadOf(connection);
    // Counting thousands of slots costs more than moving them: only where there is something to divide.
    const together = fitsIntoOneJob(left, load.keys * load.bytesPerKey, this.#context.move.limits);
    const keys = together ? undefined : await countKeys(connection, left);
    const keysTotal = keys === undefined ? 0 : sum(keys.values());
    const all = [...eachSlot(left)];
    while (left.length > 0) {
      await this.#context.move.turn(this.#context.signal);
      const batch =
        keys === undefined
          ? { slots: left, keys: load.keys, bytes: Math.round(load.keys * load.bytesPerKey) }
          : nextBatch(left, (slot) => keys.get(slot) ?? 0, load.bytesPerKey, batchBounds(this.#context.move.limits));
      await this.#moveBatch(batch);
      const moved = keys === undefined ? await this.#difference(load.keys) : batch.keys;
      this.#context.move.spent(moved, moved * load.bytesPerKey);
      left = subtractSlots(left, batch.slots);
      this.#slotsMoved += countSlots(batch.slots);
      this.#keysMoved += moved;
      this.#bytesMoved += Math.round(moved * load.bytesPerKey);
      this.#progress(left, keysTotal);
    }
    await this.#emptied(spreadOver(keys === undefined ? all : all.filter((slot) => keys.get(slot) !== 0), EMPTIED_MAX));
    return {
      method: this.#driver.name,
      slots: this.#slotsMoved,
      keys: this.#keysMoved,
      bytes: this.#bytesMoved,
      elapsedMs: Math.round(performance.now() - this.#startedAt),
    };
  }

  async #moveBatch(batch: Batch): Promise<void> {
    let todo = batch.slots;
    for (let attempt = 1; ; attempt++) {
      const { words, gaveUp } = await this.#attempt(todo, batch.bytes);
      const owners = await this.#settled(todo, gaveUp === undefined ? undefined : CANCELLED_MS).catch((error) => {
        // The job was cancelled because a node is silent: that is what to tell.
        throw gaveUp === undefined ? error : this.#gaveUp(gaveUp, todo);
      });
      if (mayHaveLostWrites(words)) this.#warnOfWrites(words);
      todo = owners.left;
      if (todo.length === 0) {
        this.#context.signal.throwIfAborted();
        return;
      }
      if (gaveUp !== undefined) throw this.#gaveUp(gaveUp, todo);
      const cause = causeOf(words);
      if (!cause.again || attempt >= ATTEMPTS_MAX) throw this.#failure(todo, words);
      this.#context.report({ type: 'note', text: `${words || 'the job is gone'}; trying again` });
      await pause(BACKOFF_MS * 2 ** (attempt - 1), this.#context.signal);
      await clearWay(this.#context, this.#jobs);
    }
  }

  /** One job from its beginning to its end, however it ends; `words` are the server's. */
  async #attempt(slots: SlotSet, bytes: number): Promise<{ words: string; gaveUp?: unknown }> {
    const { commanded } = this.#jobs;
    let job: SlotJob | undefined;
    try {
      job = await this.#jobs.begin(slots);
    } catch (error) {
      const words = replyErrorOf(error);
      if (words !== undefined) return { words };
      const lost = error instanceof ForgeError && (error.kind === 'unreachable' || error.kind === 'timeout');
      if (!lost || this.#context.signal.aborted) throw error;
      // The answer was lost: the job may have begun, and then it is found.
      await this.#settled(slots);
      job = (await this.#jobs.running(commanded.id)).find((running) => this.#jobs.isOurs(running));
      if (job === undefined) return { words: error.message };
    }
    // It was over, and forgotten, before it could be looked at.
    if (job === undefined) return { words: '' };
    const end = await follow(this.#context, this.#jobs, commanded, job, bytes);
    if (end.job?.phase === 'done') return { words: '' };
    if (end.gaveUp !== undefined) return { words: end.job?.message ?? '', gaveUp: end.gaveUp };
    return { words: await this.#lastWords(end) };
  }

  /** The node at the other end often knows better why. */
  async #lastWords({ job }: JobEnd): Promise<string> {
    if (job === undefined) return `${this.#jobs.commanded.address} does not know the job any more: connection lost`;
    const there = await this.#jobs.find(this.#jobs.other.id, job.id).catch(expected);
    const theirs = there instanceof ForgeError ? '' : (there?.message ?? '');
    const vague = /^Connection lost/;
    return theirs !== '' && !vague.test(theirs) ? theirs : job.message || job.state;
  }

  /** Waits until both nodes say the same of whose the slots are. */
  async #settled(slots: SlotSet, boundMs = this.#context.waitMs): Promise<Owners> {
    const { context, move } = { context: this.#context, move: { ...this.#move, slots } };
    const started = performance.now();
    for (;;) {
      if (isLockLost(context.signal)) throw context.signal.reason;
      const owners = await ownersOf(context, move).catch(expected);
      const elapsed = performance.now() - started;
      if (!(owners instanceof ForgeError) && owners.unsettled.length === 0) {
        requirePair(move, owners);
        return owners;
      }
      if (elapsed > (context.signal.aborted ? Math.min(FINISH_MS, boundMs) : boundMs)) {
        if (owners instanceof ForgeError) throw this.#unknown(slots, owners);
        requirePair(move, owners);
        throw this.#disagreement(owners.unsettled);
      }
      await pause(Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, elapsed / 10)));
    }
  }

  /** How many keys the source has less than before: about those that have moved. For the report only. */
  async #difference(before: number): Promise<number> {
    const role = await this.#roleOfSource().catch(expected);
    // It has given everything away, and has its new master's keys.
    if (role === 'replica') return before;
    const after = await this.#context.pool.get(this.#move.source.id).then(loadOf).catch(expected);
    return after instanceof ForgeError ? before : Math.max(0, before - after.keys);
  }

  /** The source frees what it gave away on its own; that it has is part of being done. */
  async #emptied(given: readonly number[]): Promise<void> {
    const { context, move } = { context: this.#context, move: this.#move };
    const end = performance.now() + context.waitMs;
    let slots = [...given];
    for (let lookMs = LOOK_MIN_MS; slots.length > 0; lookMs = Math.min(LOOK_MAX_MS, lookMs * 2)) {
      // One that has given its last slot away may become a replica, and has keys of its master then.
      const role = await this.#roleOfSource().catch(expected);
      if (role === 'replica') return;
      const counts = await context.pool
        .get(move.source.id)
        .then((connection) => countKeys(connection, slotsFrom(slots)))
        .catch(expected);
      if (!(counts instanceof ForgeError)) slots = slots.filter((slot) => (counts.get(slot) ?? 0) > 0);
      if (slots.length === 0) return;
      if (performance.now() > end || context.signal.aborted) {
        const text = `${move.source.address} has not yet freed ${slots.length} of the slots that it gave away (of ${given.length} looked at)`;
        context.report({ type: 'warning', text });
        return;
      }
      await pause(lookMs);
    }
  }

  async #roleOfSource(): Promise<string | undefined> {
    return (await viewOf(this.#context, this.#move.source.id)).topology.myself?.role;
  }

  #progress(left: SlotSet, keysTotal: number): void {
    const elapsedMs = performance.now() - this.#startedAt;
    const slotsLeft = countSlots(left);
    const share =
      keysTotal > 0 ? this.#keysMoved / keysTotal : this.#slotsMoved / Math.max(1, this.#slotsMoved + slotsLeft);
    this.#context.report({
      type: 'progress',
      slotsDone: countSlots(this.#move.slots) - slotsLeft,
      slotsTotal: countSlots(this.#move.slots),
      keys: this.#keysMoved,
      bytes: this.#bytesMoved,
      ...(share > 0 ? { secondsLeft: (elapsedMs * (1 / share - 1)) / SECOND_MS } : {}),
    });
  }

  #warnOfWrites(words: string): void {
    this.#context.report({
      type: 'warning',
      text: `writes of a few seconds to the slots on their way may be lost; ${this.#move.source.address} says: ${words}`,
    });
  }

  /** `partial` once slots have moved: the same command again does the rest. */
  #failed(
    kind: ForgeError['kind'],
    message: string,
    left: SlotSet,
    options: { host: NodeRef | string; next: string[]; cause?: unknown; words?: string },
  ): ForgeError {
    const { host, next, cause, words } = options;
    return new ForgeError(this.#slotsMoved > 0 && kind !== 'denied' ? 'partial' : kind, message, {
      host: typeof host === 'string' ? host : host.address,
      next,
      cause,
      details: {
        method: this.#driver.name,
        slotsMoved: this.#slotsMoved,
        slotsLeft: formatSlots(left),
        ...(words === undefined ? {} : { server: words }),
      },
    });
  }

  #what(slots: SlotSet): string {
    return `${countSlots(slots)} slots (${formatSlots(slots, RANGES_SHOWN_MAX)}) from ${this.#move.source.address} to ${this.#move.target.address}`;
  }

  #failure(left: SlotSet, words: string): ForgeError {
    const cause = causeOf(words);
    const host = nodeAt(this.#move, cause);
    const said = words === '' ? '' : ` It says: ${words}`;
    const error = this.#failed(
      cause.kind,
      `${this.#driver.title} did not move ${this.#what(left)}: ${cause.why}.${said}`,
      left,
      {
        host,
        next: [cause.next, `The slots are ${this.#move.source.address}'s as before; none is open.`],
        words,
      },
    );
    return cause.elsewise ? new CannotMoveAtomically(error) : error;
  }

  #gaveUp(reason: unknown, left: SlotSet): unknown {
    if (!(reason instanceof ForgeError) || reason === this.#context.signal.reason) return reason;
    const server = reason.details?.['server'];
    if (typeof server === 'string') return this.#failure(left, server);
    return this.#failed(
      reason.kind,
      `${reason.message} The job was cancelled: ${this.#what(left)} have not moved.`,
      left,
      {
        host: reason.host ?? this.#move.source,
        next: reason.next,
      },
    );
  }

  #unknown(slots: SlotSet, cause: ForgeError): ForgeError {
    return this.#failed(
      'unreachable',
      `Whether ${this.#what(slots)} have moved is not known: ${cause.message}`,
      slots,
      {
        host: cause.host ?? this.#move.source,
        next: [
          'When the node is back, or its replica has taken over, run the same command again; none of the slots is open.',
        ],
        cause,
      },
    );
  }

  #disagreement(slots: SlotSet): ForgeError {
    return this.#failed(
      'timeout',
      `${this.#move.source.address} and ${this.#move.target.address} do not agree on whose ${countSlots(slots)} slots are (${formatSlots(slots, RANGES_SHOWN_MAX)}).`,
      slots,
      { host: this.#move.source, next: ['Look at forge cluster check; the bus ports between the two may be blocked.'] },
    );
  }
}
