/** How far a restore has come, on the disk of the operator's machine, so that the next run goes on there. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod/mini';
import { forgeHome } from '../../local/paths.js';
import { writeFileAtomic } from '../../runtime/files.js';
import { SlotCounts } from './counts.js';

const VERSION = 1;
const FILE_MODE = 0o600;
/** Keys of a shard that may be on their way beyond what the journal has: more are sent when it has been written. */
export const WINDOW_KEYS = 200_000;
const SAVE_MS = 3_000;

const whole = z.int().check(z.nonnegative());
const countsSchema = z.object({ beganMs: whole, slots: z.array(z.array(whole)) });
const shardSchema = z.object({
  /** Keys from its beginning on, in the reader's order, that are there; only where that order is always the same. */
  cursor: whole,
  done: z.boolean(),
  /** Keys that were put there, that were there, whose time had come, and that no server takes. */
  restored: whole,
  existing: whole,
  expired: whole,
  refused: whole,
  counts: countsSchema,
  /** Any of its keys may be there from a run before: what it had done was lost in part. */
  doubtful: z.optional(z.boolean()),
});
const journalSchema = z.object({
  version: z.literal(VERSION),
  backup: z.string(),
  /** All nodes of the cluster when it was begun. */
  nodes: z.array(z.string()),
  beganMs: whole,
  /** Nothing was in the cluster when it was begun. */
  wasEmpty: z.boolean(),
  /** The sums of all objects were right. */
  proven: z.boolean(),
  /** Sources of the libraries of functions of shards that are done. */
  libraries: z.array(z.string()),
  shards: z.record(z.string(), shardSchema),
});

type Content = z.infer<typeof journalSchema>;

export interface ShardProgress {
  cursor: number;
  done: boolean;
  restored: number;
  existing: number;
  expired: number;
  refused: number;
  counts: SlotCounts;
  doubtful?: boolean;
}

export interface RestoreIdentity {
  /** `orders/20261122T054900Z-3fa2c1`. */
  readonly backup: string;
  readonly nodes: readonly string[];
  /** Whatever else makes it another restore: which keys, and what happens to those that are there. */
  readonly options: string;
}

/** Below forge's home; one file a restore, which is gone when that is finished. */
export function restoreFile({ backup, nodes, options }: RestoreIdentity, home = forgeHome()): string {
  const [first = ''] = [...nodes].sort();
  const name = createHash('sha256').update(`${backup}\n${first}\n${options}`).digest('hex').slice(0, 24);
  return path.join(home, 'restores', `${name}.json`);
}

export class RestoreJournal {
  readonly file: string;
  /** A run before this one was ended in the middle. */
  readonly resumed: boolean;
  readonly wasEmpty: boolean;
  readonly beganMs: number;
  proven: boolean;
  readonly libraries: Set<string>;
  readonly #identity: RestoreIdentity;
  readonly #shards: Map<string, ShardProgress>;
  /** Shards that an earlier run had begun, with the keys that may be there already. */
  readonly #doubtful: Map<string, number>;
  #savedCursors = new Map<string, number>();
  #saving: Promise<void> | undefined;
  #savedAt = 0;

  private constructor(file: string, identity: RestoreIdentity, content: Content | undefined, wasEmpty: boolean) {
    this.file = file;
    this.#identity = identity;
    this.resumed = content !== undefined;
    this.wasEmpty = content?.wasEmpty ?? wasEmpty;
    this.beganMs = content?.beganMs ?? Date.now();
    this.proven = content?.proven ?? false;
    this.libraries = new Set(content?.libraries);
    const known = Object.entries(content?.shards ?? {});
    this.#shards = new Map(known.map(([name, shard]) => [name, { ...shard, counts: SlotCounts.from(shard.counts) }]));
    this.#doubtful = new Map(
      known
        .filter(([, { done }]) => !done)
        .map(([name, { cursor, doubtful }]) => [name, doubtful ? Number.POSITIVE_INFINITY : cursor + WINDOW_KEYS]),
    );
    for (const [name, { cursor }] of known) this.#savedCursors.set(name, cursor);
  }

  /** One that goes on with nothing, and takes the place of what is there when it is written. */
  static anew(identity: RestoreIdentity, wasEmpty: boolean, home?: string): RestoreJournal {
    return new RestoreJournal(restoreFile(identity, home), identity, undefined, wasEmpty);
  }

  /**
   * One that begins again, with what an earlier run had done lost in part: what is there of the keys that it may have sent
   * is taken for its own.
   */
  static again(identity: RestoreIdentity, before: RestoreJournal): RestoreJournal {
    const journal = new RestoreJournal(before.file, identity, before.#content(), before.wasEmpty);
    journal.#shards.clear();
    journal.#savedCursors.clear();
    for (const name of before.#shards.keys()) {
      journal.doubt(name);
      journal.shard(name);
    }
    return journal;
  }

  /** What an earlier run of the same restore left, or a new one, which is not written down yet. */
  static async open(identity: RestoreIdentity, wasEmpty: boolean, home?: string): Promise<RestoreJournal> {
    const file = restoreFile(identity, home);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const parsed = text === undefined ? undefined : journalSchema.safeParse(parseJson(text));
    const content = parsed?.success ? parsed.data : undefined;
    const same = content?.nodes.some((id) => identity.nodes.includes(id));
    return new RestoreJournal(file, identity, same ? content : undefined, wasEmpty);
  }

  /** Of all shards together. */
  counts(): SlotCounts {
    const sum = new SlotCounts(this.beganMs);
    for (const { counts } of this.#shards.values()) sum.merge(counts);
    return sum;
  }

  /** Begun when it is not there. */
  shard(name: string): ShardProgress {
    const known = this.#shards.get(name);
    if (known !== undefined) return known;
    const counts = new SlotCounts(this.beganMs);
    const doubtful = this.#doubtful.get(name) === Number.POSITIVE_INFINITY;
    const begun = { cursor: 0, done: false, restored: 0, existing: 0, expired: 0, refused: 0, counts, doubtful };
    this.#shards.set(name, begun);
    return begun;
  }

  /** Begins it anew, in a round of its own: for a reader that gives the keys in another order every time. */
  reset(name: string): ShardProgress {
    this.#shards.delete(name);
    this.#savedCursors.delete(name);
    return this.shard(name);
  }

  /** Any of its keys may be there already, from an attempt that was given up. */
  doubt(name: string): void {
    this.#doubtful.set(name, Number.POSITIVE_INFINITY);
  }

  get shards(): ReadonlyMap<string, ShardProgress> {
    return this.#shards;
  }

  /** Whether the key of this number may have been put there by an earlier run. */
  isDoubtful(name: string, index: number, ordered: boolean): boolean {
    const end = this.#doubtful.get(name);
    return end !== undefined && (!ordered || index < end);
  }

  /** Whether the key of this number may be sent before the journal is written again. */
  hasRoom(name: string, index: number): boolean {
    return index < (this.#savedCursors.get(name) ?? 0) + WINDOW_KEYS;
  }

  /** Written once in a while. */
  async saveSoon(): Promise<void> {
    if (this.#saving === undefined && performance.now() - this.#savedAt >= SAVE_MS) await this.save();
  }

  async save(): Promise<void> {
    await this.#saving;
    this.#saving ??= this.#write().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #write(): Promise<void> {
    const cursors = new Map([...this.#shards].map(([name, { cursor }]) => [name, cursor]));
    await mkdir(path.dirname(this.file), { recursive: true, mode: 0o700 });
    await writeFileAtomic(this.file, `${JSON.stringify(this.#content())}\n`, FILE_MODE);
    this.#savedCursors = cursors;
    this.#savedAt = performance.now();
  }

  #content(): Content {
    return {
      version: VERSION,
      backup: this.#identity.backup,
      nodes: [...this.#identity.nodes],
      beganMs: this.beganMs,
      wasEmpty: this.wasEmpty,
      proven: this.proven,
      libraries: [...this.libraries],
      shards: Object.fromEntries(
        [...this.#shards].map(([name, shard]) => [name, { ...shard, counts: shard.counts.toJSON() }]),
      ),
    };
  }

  /** The restore is finished. */
  async remove(): Promise<void> {
    await this.#saving;
    await rm(this.file, { force: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
