/**
 * Brings nodes that have their slots together: MEET, REPLICATE, and looking at every node until all of them agree.
 *
 * Gossip alone takes seconds: a node pings only one random other per second. Two things make it quick, both plain
 * commands: every node meets every other (bounded), and a node whose news another has not yet heard is told to MEET
 * it once more, which sends a packet with its role, master and slots at once. A node that is met twice stays one node.
 */
import { ForgeError } from '../../errors.js';
import { mapBounded, pause } from '../bounded.js';
import { replyErrorOf } from '../node-failure.js';
import { readView } from '../node-view.js';
import type { Member, Mutate } from './member.js';
import {
  type Gap,
  hasReached,
  type Stage,
  stalePairs,
  type TargetNode,
  unattached,
  unknownPairs,
  type Views,
} from './target.js';

/** Nodes that are looked at in parallel. */
const PARALLEL_MAX = 64;
/** How many others a node is told to meet in one round; in a larger cluster gossip does the rest. */
const MEETS_PER_ROUND_MAX = 16;
/** A pair is not introduced again before this; a handshake takes up to 200 ms (clusterCron runs ten times a second). */
const MEET_AGAIN_MS = 400;
const TELL_AGAIN_MS = 250;
/** Between two looks; grows with the time that a look takes, so that a large cluster is not kept busy by it. */
const LOOK_MIN_MS = 8;
const LOOK_MAX_MS = 500;

export interface ConvergeOptions {
  readonly members: readonly Member[];
  readonly target: readonly TargetNode[];
  readonly mutate: Mutate;
  readonly signal?: AbortSignal;
}

/** Says why a stage was not reached in time. */
export type Explain = (stage: Stage, boundMs: number, views: Views) => Promise<ForgeError>;

export class Convergence {
  /** What the nodes said last. */
  views: Views = new Map();
  readonly #options: ConvergeOptions;
  readonly #byId: ReadonlyMap<string, Member>;
  readonly #introduced = new Map<string, number>();
  readonly #told = new Map<string, number>();

  constructor(options: ConvergeOptions) {
    this.#options = options;
    this.#byId = new Map(options.members.map((member) => [member.id, member]));
  }

  /**
   * Works until the stage is reached.
   * @param explain makes the error when it is not reached within `boundMs`
   */
  async reach(stage: Stage, boundMs: number, explain: Explain): Promise<void> {
    const { target, signal } = this.#options;
    const end = performance.now() + boundMs;
    for (;;) {
      signal?.throwIfAborted();
      const looked = performance.now();
      await this.look();
      if (hasReached(stage, target, this.views)) return;
      if (performance.now() > end) throw await explain(stage, boundMs, this.views);
      await this.#introduce();
      await this.#attach();
      await this.#spreadNews();
      const lookMs = performance.now() - looked;
      await pause(Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, lookMs)), signal);
    }
  }

  /** Reads the view of every node. Throws when one does not answer. */
  async look(): Promise<Views> {
    const { members } = this.#options;
    const views = await mapBounded(members, PARALLEL_MAX, (member) => readView(member.connection));
    this.views = new Map(members.map((member, index) => [member.id, views[index] as NonNullable<(typeof views)[0]>]));
    return this.views;
  }

  async #introduce(): Promise<void> {
    // A node that is known and only not connected at the moment is connected to again by itself; meeting it once more
    // would only make the other side drop the connection that it just got.
    const strangers = unknownPairs(this.#options.target, this.views).filter(
      ({ viewer, subject }) => this.views.get(viewer.id)?.topology.node(subject.id) === undefined,
    );
    await this.#meet(strangers, this.#introduced, MEET_AGAIN_MS);
  }

  /** A replica needs to know its master by its id; that is so before all know all. */
  async #attach(): Promise<void> {
    const { target, mutate } = this.#options;
    const ready = unattached(target, this.views).filter(
      ({ id, masterId = '' }) => this.views.get(id)?.topology.node(masterId) !== undefined,
    );
    await mapBounded(ready, PARALLEL_MAX, async ({ id, masterId = '' }) => {
      try {
        await mutate(this.#member(id), 'CLUSTER', 'REPLICATE', masterId);
      } catch (error) {
        // The next look shows whether it must be tried again.
        if (!/unknown node/i.test(replyErrorOf(error) ?? '')) throw error;
      }
    });
  }

  /** Lets nodes that are as planned tell those who have not heard of it. */
  async #spreadNews(): Promise<void> {
    const { target } = this.#options;
    if (unattached(target, this.views).length > 0) return;
    const told = stalePairs(target, this.views)
      .filter(({ viewer, subject }) => viewer !== subject)
      .map(({ viewer, subject }) => ({ viewer: subject, subject: viewer }));
    await this.#meet(told, this.#told, TELL_AGAIN_MS);
  }

  /** Tells each viewer to meet its subjects, unless that was done a moment ago. */
  async #meet(gaps: readonly Gap[], last: Map<string, number>, againMs: number): Promise<void> {
    const { mutate } = this.#options;
    const now = performance.now();
    const subjects = new Map<string, Member[]>();
    for (const { viewer, subject } of gaps) {
      const pair = `${viewer.id} ${subject.id}`;
      const list = subjects.get(viewer.id) ?? [];
      if (viewer === subject || list.length >= MEETS_PER_ROUND_MAX) continue;
      if (now - (last.get(pair) ?? Number.NEGATIVE_INFINITY) < againMs) continue;
      last.set(pair, now);
      subjects.set(viewer.id, [...list, this.#member(subject.id)]);
    }
    await mapBounded([...subjects], PARALLEL_MAX, async ([viewerId, met]) => {
      const viewer = this.#member(viewerId);
      for (const { ip, address, busPort } of met) {
        // The bus port is named only where it is not the usual one: servers before 4.0 do not take it.
        const usual = busPort === address.port + 10_000;
        await mutate(viewer, 'CLUSTER', 'MEET', ip, address.port, ...(usual ? [] : [busPort]));
      }
    });
  }

  #member(id: string): Member {
    const member = this.#byId.get(id);
    if (member === undefined) throw new ForgeError('unexpected', `no node with the id ${id}`);
    return member;
  }
}
