/** Places for addresses, and for users, that are counted at once. */
const ADDRESS_PLACES = 65_536;
const USER_PLACES = 4096;
/** Places in a row that are looked at for one name; who finds none free is not counted. */
const PROBES_MAX = 32;
/** Numbers before the workers' own: two hashes of the name, and the count over all workers. */
const ENTRY_HEAD = 3;
const ENTRY_TOTAL = 2;
/** Words at the beginning, before the workers' own. */
const HEAD_WORDS = 16;
const Word = { lock: 0, overload: 1, connections: 2 } as const;
/** In 64-bit numbers. */
const ACCEPT_BUCKET = 4;
/** The lock is held for a microsecond; who has held it for this long is gone. */
const LOCK_SPINS = 100;
const LOCK_WAITS_MAX = 200;

/** `Ledger.enter`: there are as many of the name as may be. */
export const FULL = -1;
/** `Ledger.enter`: the name finds no place and is not counted. */
export const UNCOUNTED = -2;

/** What the main thread says of the load. */
export const Overload = { none: 0, refuseConnections: 1, refuseCommands: 2 } as const;

const wordsOf = (places: number, workers: number) => places * (ENTRY_HEAD + workers);
const evenly = (words: number) => words + (words & 1);

/** Bytes of the memory that so many workers share. What is never written takes none. */
export function ledgerBytes(workers: number): number {
  const words = HEAD_WORDS + 2 * workers + wordsOf(ADDRESS_PLACES, workers) + wordsOf(USER_PLACES, workers);
  return evenly(words) * 4 + USER_PLACES * 2 * 8;
}

/**
 * What workers have to count together: connections in all, by address and by user, in memory that they share. Each worker
 * has a row of its own in every count, so that what a worker held that is gone can be taken out.
 */
export class Ledger {
  readonly addresses: Table;
  readonly users: Table;
  /** Of the accept rate, and two of each user's: `userBucketAt`. */
  readonly buckets: BigInt64Array;
  private readonly words: Int32Array;
  private readonly usersAt: number;

  /** @param memory `ledgerBytes(workers)` of it, zeroed when it is new */
  constructor(
    memory: SharedArrayBuffer,
    private readonly workers: number,
  ) {
    const words = new Int32Array(memory);
    this.words = words;
    const addressesAt = HEAD_WORDS + 2 * workers;
    const usersAt = addressesAt + wordsOf(ADDRESS_PLACES, workers);
    this.addresses = new Table(words, addressesAt, ADDRESS_PLACES, workers);
    this.users = new Table(words, usersAt, USER_PLACES, workers);
    this.buckets = new BigInt64Array(memory);
    this.usersAt = evenly(usersAt + wordsOf(USER_PLACES, workers)) / 2;
  }

  get acceptBucketAt(): number {
    return ACCEPT_BUCKET;
  }

  /** Where a user's bucket of commands is; that of bytes is behind it. */
  userBucketAt(place: number): number {
    return this.usersAt + place * 2;
  }

  // ---------------------------------------------------------------- connections in all

  /** Counts a connection. False when there are as many as may be: it is not counted then. */
  connect(worker: number, most: number): boolean {
    if (Atomics.add(this.words, Word.connections, 1) >= most) {
      Atomics.sub(this.words, Word.connections, 1);
      return false;
    }
    Atomics.add(this.words, HEAD_WORDS + worker, 1);
    return true;
  }

  disconnect(worker: number): void {
    Atomics.sub(this.words, HEAD_WORDS + worker, 1);
    Atomics.sub(this.words, Word.connections, 1);
  }

  get connections(): number {
    return Atomics.load(this.words, Word.connections);
  }

  /** Gives back what a worker held that is gone. */
  clear(worker: number): void {
    const held = Atomics.exchange(this.words, HEAD_WORDS + worker, 0);
    Atomics.sub(this.words, Word.connections, held);
    Atomics.store(this.words, HEAD_WORDS + this.workers + worker, 0);
    // It may have gone while it held the lock.
    Atomics.compareExchange(this.words, Word.lock, worker + 1, 0);
    this.addresses.clear(worker);
    this.users.clear(worker);
  }

  // ---------------------------------------------------------------- load

  /** One of `Overload`. */
  get overload(): number {
    return Atomics.load(this.words, Word.overload);
  }

  set overload(level: number) {
    Atomics.store(this.words, Word.overload, level);
  }

  /** How late a worker's timers are, milliseconds. */
  lagOf(worker: number): number {
    return Atomics.load(this.words, HEAD_WORDS + this.workers + worker);
  }

  late(worker: number, ms: number): void {
    Atomics.store(this.words, HEAD_WORDS + this.workers + worker, Math.round(ms));
  }
}

/**
 * Counts by name: an open-addressing table of hashes. 64 bits of hash stand for a name, so that two names that have the
 * same are not met. An entry whose count is 0 may become another name's.
 */
class Table {
  private readonly stride: number;

  constructor(
    private readonly words: Int32Array,
    private readonly start: number,
    /** A power of two. */
    private readonly places: number,
    private readonly workers: number,
  ) {
    this.stride = ENTRY_HEAD + workers;
  }

  /**
   * Counts one of a name, unless there are `most` already.
   * @param claimed called with the lock held when the place was another name's before
   * @returns the place, `FULL` or `UNCOUNTED`
   */
  enter(name: string, worker: number, most: number, claimed?: (place: number) => void): number {
    const { words } = this;
    const first = hash(name, 0x811c9dc5);
    const second = hash(name, 0x2f0b4c47) | 1;
    this.lock(worker);
    try {
      let place = -1;
      let free = -1;
      for (let i = 0; i < PROBES_MAX; i++) {
        const candidate = (first + i) & (this.places - 1);
        const at = this.at(candidate);
        if (words[at] === first && words[at + 1] === second) {
          place = candidate;
          break;
        }
        if (free < 0 && words[at + ENTRY_TOTAL] === 0) free = candidate;
        // Nobody was ever here, so the name is not further on.
        if (words[at + 1] === 0) break;
      }
      if (place < 0) {
        if (most <= 0) return FULL;
        if (free < 0) return UNCOUNTED;
        place = free;
        words[this.at(place)] = first;
        words[this.at(place) + 1] = second;
        claimed?.(place);
      }
      const at = this.at(place);
      if (words[at + ENTRY_TOTAL] >= most) return FULL;
      words[at + ENTRY_TOTAL]++;
      words[at + ENTRY_HEAD + worker]++;
      return place;
    } finally {
      this.unlock();
    }
  }

  leave(place: number, worker: number): void {
    const at = this.at(place);
    this.lock(worker);
    this.words[at + ENTRY_TOTAL]--;
    this.words[at + ENTRY_HEAD + worker]--;
    this.unlock();
  }

  /** How many there are of the name in a place. */
  count(place: number): number {
    return Atomics.load(this.words, this.at(place) + ENTRY_TOTAL);
  }

  clear(worker: number): void {
    this.lock(this.workers);
    for (let place = 0; place < this.places; place++) {
      const at = this.at(place);
      const held = this.words[at + ENTRY_HEAD + worker];
      if (held === 0) continue;
      this.words[at + ENTRY_HEAD + worker] = 0;
      this.words[at + ENTRY_TOTAL] -= held;
    }
    this.unlock();
  }

  private at(place: number): number {
    return this.start + place * this.stride;
  }

  /** Clients come and go a few thousand times a second: it is nearly always free. */
  private lock(owner: number): void {
    const { words } = this;
    for (let i = 0; i < LOCK_SPINS + LOCK_WAITS_MAX; i++) {
      const holder = Atomics.compareExchange(words, Word.lock, 0, owner + 1);
      if (holder === 0) return;
      if (i >= LOCK_SPINS) Atomics.wait(words, Word.lock, holder, 1);
    }
    Atomics.store(words, Word.lock, owner + 1);
  }

  private unlock(): void {
    Atomics.store(this.words, Word.lock, 0);
  }
}

/** FNV-1a with its bits mixed once more, 32 bits. */
function hash(text: string, seed: number): number {
  let value = seed;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return value ^ (value >>> 16);
}
