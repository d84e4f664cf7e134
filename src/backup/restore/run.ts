/** The keys of the shards on their way into the cluster: several shards at once, each in rounds that overlap. */
import { settleBounded } from '../../cluster/bounded.js';
import { keySlot } from '../../cluster/key-slot.js';
import { ForgeError } from '../../errors.js';
import { UnsupportedRdb } from '../rdb/errors.js';
import type { BackupArchive } from './archive.js';
import type { Delivery, KeyOutcome, RoutedKey } from './delivery.js';
import type { RestoreJournal, ShardProgress } from './journal.js';
import type { KeyReader, StoredKey } from './key-reader.js';
import { openReader } from './open-reader.js';
import type { RestoreParts, ShardPart } from './parts.js';
import type { Selection } from './selection.js';

/**
 * One round goes out in one write to each master. Larger ones are slower: keys that wait outlive the youngest part of the
 * heap, and are copied (measured beside other work, not all at one time: 512 keys 216,000 a second, 1,024
 * keys 140,000, 2,048 in three rounds 107,000).
 */
const ROUND_KEYS = 512;
const ROUND_BYTES = 4 * 1024 * 1024;
/** Rounds of one shard on their way at once: while servers work on one, the next is read. */
const ROUNDS_MAX = 2;
const NAMED_MAX = 10;

export interface RestoreTally {
  restored: number;
  existing: number;
  expired: number;
  refused: number;
}

export interface RunOptions {
  readonly archive: BackupArchive;
  readonly parts: RestoreParts;
  readonly selection: Selection;
  readonly delivery: Delivery;
  readonly journal: RestoreJournal;
  /** Shards at once. */
  readonly parallel: number;
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onProgress?: (tally: Readonly<RestoreTally>) => void;
  /** Something that takes its time, or goes another way than it should. */
  readonly onRemark?: (text: string) => void;
}

export interface RunOutcome extends RestoreTally {
  /** Some of the keys that were there, and of those that no server took, with its words. */
  readonly existingNames: readonly string[];
  readonly refusals: readonly { readonly key: string; readonly reply: string }[];
}

/** A key for people: bytes that are no text are written as numbers. */
export function shownKey(key: Buffer): string {
  const text = key.subarray(0, 200).toString('latin1');
  return JSON.stringify(text.replace(/[\u007f-\u00ff]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`)).slice(
    1,
    -1,
  );
}

export class RestoreRun {
  readonly #options: RunOptions;
  readonly #controller = new AbortController();
  readonly #signal: AbortSignal;
  readonly #existing: string[] = [];
  readonly #refusals: { key: string; reply: string }[] = [];

  constructor(options: RunOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#controller.signal]);
  }

  /** @throws ForgeError of the first shard that fails; how far all have come is in the journal then */
  async run(): Promise<RunOutcome> {
    const { served, stray } = this.#options.parts;
    await this.#all(served);
    await this.#all(stray);
    return {
      ...this.tally(),
      existingNames: this.#existing,
      refusals: this.#refusals,
    };
  }

  async #all(parts: readonly ShardPart[]): Promise<void> {
    const { parallel, journal, signal } = this.#options;
    let failure: unknown;
    await settleBounded(parts, parallel, async (part) => {
      try {
        this.#signal.throwIfAborted();
        if (!journal.shards.get(part.name)?.done) await this.#part(part);
      } catch (error) {
        failure ??= error;
        this.#controller.abort(error);
      }
    });
    await journal.save();
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;
  }

  /** With what runs before this one have done. */
  tally(): RestoreTally {
    const sum = { restored: 0, existing: 0, expired: 0, refused: 0 };
    for (const { restored, existing, expired, refused } of this.#options.journal.shards.values()) {
      sum.restored += restored;
      sum.existing += existing;
      sum.expired += expired;
      sum.refused += refused;
    }
    return sum;
  }

  async #part(part: ShardPart): Promise<void> {
    const { onRemark } = this.#options;
    try {
      await this.#read(part, false);
    } catch (error) {
      if (!(error instanceof UnsupportedRdb)) throw error;
      onRemark?.(`${part.shard.object.name}: ${error.message} A server of this host loads it.`);
      await this.#read(part, true);
    }
    const progress = this.#options.journal.shard(part.name);
    progress.done = true;
    await this.#options.journal.save();
  }

  async #read(part: ShardPart, byServer: boolean): Promise<void> {
    const { archive, environment, journal } = this.#options;
    const { shard, name } = part;
    const reader = await openReader({ archive, shard, byServer, environment, signal: this.#signal });
    // Some of its keys may have been sent before it was found that they cannot all be read.
    if (byServer) journal.doubt(name);
    const progress = reader.ordered ? journal.shard(name) : journal.reset(name);
    // That it has begun is on the disk before its first key is on its way: the next run knows what to doubt.
    await journal.save();
    const told = { ...this.#options, onProgress: () => this.#options.onProgress?.(this.tally()) };
    const rounds = new Rounds(told, part, progress, (key, outcome) => this.#note(key, outcome));
    try {
      await this.#pump(reader, part, progress, rounds);
      for (const library of reader.functions) journal.libraries.add(library);
    } finally {
      await rounds.abandon();
      await reader.close();
    }
  }

  async #pump(reader: KeyReader, part: ShardPart, progress: ShardProgress, rounds: Rounds): Promise<void> {
    const { selection, journal } = this.#options;
    const { name, wanted, fills } = part;
    const start = progress.cursor;
    let index = 0;
    for await (const batch of reader.batches()) {
      this.#signal.throwIfAborted();
      const now = Date.now();
      for (const each of batch) {
        if (index++ < start) continue;
        const { key } = each;
        const slot = keySlot(key);
        if (wanted[slot] !== 1 || !selection.wants(key, slot)) continue;
        if (each.expireAtMs !== undefined && each.expireAtMs <= now) rounds.expired++;
        else rounds.add(routed(each, key, slot, fills, journal.isDoubtful(name, index - 1, reader.ordered)));
      }
      if (index <= start) continue;
      rounds.end = index;
      if (rounds.isFull) await rounds.flush();
    }
    await rounds.flush();
    await rounds.finish();
  }

  #note(key: Buffer, outcome: KeyOutcome): void {
    if (outcome.outcome === 'existing' && this.#existing.length < NAMED_MAX) this.#existing.push(shownKey(key));
    if (outcome.outcome === 'refused' && this.#refusals.length < NAMED_MAX) {
      this.#refusals.push({ key: shownKey(key), reply: outcome.reply });
    }
  }
}

function routed(each: StoredKey, key: Buffer, slot: number, fills: boolean, maybeThere: boolean): RoutedKey {
  const { database, expireAtMs } = each;
  return { slot, key, database, expireAtMs, value: each, fills, maybeThere };
}

/** What is on its way of one part of a shard; what has arrived counts in the order in which it was sent. */
class Rounds {
  readonly #options: RunOptions;
  readonly #part: ShardPart;
  readonly #progress: ShardProgress;
  readonly #note: (key: Buffer, outcome: KeyOutcome) => void;
  readonly #sent: { keys: RoutedKey[]; expired: number; end: number; sending: Promise<KeyOutcome[]> }[] = [];
  #keys: RoutedKey[] = [];
  #bytes = 0;
  /** Keys since the last round that need not be sent: their time has come. */
  expired = 0;
  /** How many keys of the shard have been looked at. */
  end = 0;

  constructor(
    options: RunOptions,
    part: ShardPart,
    progress: ShardProgress,
    note: (key: Buffer, outcome: KeyOutcome) => void,
  ) {
    this.#options = options;
    this.#part = part;
    this.#progress = progress;
    this.#note = note;
  }

  get isFull(): boolean {
    return this.#keys.length >= ROUND_KEYS || this.#bytes >= ROUND_BYTES;
  }

  add(key: RoutedKey): void {
    this.#keys.push(key);
    this.#bytes += key.value.payloadBytes;
  }

  async flush(): Promise<void> {
    const { delivery, journal } = this.#options;
    const keys = this.#keys;
    this.#keys = [];
    this.#bytes = 0;
    while (this.#sent.length >= ROUNDS_MAX) await this.#first();
    // What a kill leaves in doubt is bounded: no key goes out that the next run would not know to be doubtful.
    while (!journal.hasRoom(this.#part.name, this.end)) {
      if (this.#sent.length > 0) await this.#first();
      else {
        await journal.save();
        break;
      }
    }
    const sending = keys.length === 0 ? Promise.resolve([]) : delivery.send(keys);
    sending.catch(() => undefined);
    this.#sent.push({ keys, expired: this.expired, end: this.end, sending });
    this.expired = 0;
  }

  async finish(): Promise<void> {
    while (this.#sent.length > 0) await this.#first();
  }

  /** Nothing may be on its way any more when a failure is told. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#sent.map(({ sending }) => sending));
    this.#sent.length = 0;
  }

  async #first(): Promise<void> {
    const round = this.#sent[0];
    if (round === undefined) return;
    const outcomes = await round.sending;
    this.#sent.shift();
    const progress = this.#progress;
    for (const [index, outcome] of outcomes.entries()) {
      const { key, slot, expireAtMs } = round.keys[index] as RoutedKey;
      // The shard that served the slot has it: that is the one to be there.
      if (this.#part.fills && outcome.outcome === 'existing') continue;
      progress[outcome.outcome]++;
      if (outcome.outcome === 'restored') progress.counts.add(slot, expireAtMs);
      else this.#note(key, outcome);
    }
    progress.expired += round.expired;
    progress.cursor = round.end;
    await this.#options.journal.saveSoon();
    this.#options.onProgress?.(progress);
  }
}

/** What a failure in the middle says of itself. */
export function howFar(error: unknown, { restored }: RestoreTally): unknown {
  if (!(error instanceof ForgeError) || restored === 0) return error;
  return new ForgeError(error.kind, `${error.message} ${restored} keys are restored.`, {
    host: error.host,
    next: [...error.next, 'The same command goes on there.'],
    cause: error,
    details: { ...error.details, restored },
  });
}
