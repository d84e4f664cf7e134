import type { Bytes } from '../bytes.js';
import type { Runtime } from '../core/runtime.js';

/** Of one topic: what one node has said and another has not yet. */
const KEPT_MESSAGES_MAX = 4096;
const KEPT_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes at either end of a message by which it is found; nearly all are told apart by them. */
const HASHED_BYTES = 48;
/** So many places in the order may be empty before it is written anew. */
const EMPTY_MAX = 1024;

export interface Said {
  readonly message: Bytes;
  readonly atMs: number;
}

interface Hashed extends Said {
  readonly hash: number;
}

/** Messages that one of two nodes has said, and the other has not. */
export class Unmatched {
  /** In the order in which they were said; null where one was struck off. `order[0, first)` is gone. */
  private order: (Hashed | null)[] = [];
  private first = 0;
  /** Places in `order`, counted from the very first message. */
  private readonly places = new Map<number, number[]>();
  private passed = 0;
  private count = 0;
  private bytes = 0;

  constructor(
    private readonly messagesMax = KEPT_MESSAGES_MAX,
    private readonly bytesMax = KEPT_BYTES_MAX,
  ) {}

  get empty(): boolean {
    return this.count === 0;
  }

  get full(): boolean {
    return this.count > this.messagesMax || this.bytes > this.bytesMax;
  }

  /** @param atMs not before that of the message before */
  add(message: Bytes, atMs: number): void {
    const hash = hashOf(message, 0, message.length);
    const place = this.passed + this.order.push({ message, hash, atMs }) - 1;
    const places = this.places.get(hash);
    if (places === undefined) this.places.set(hash, [place]);
    else places.push(place);
    this.count++;
    this.bytes += message.length;
  }

  /** The oldest, if it was said before then: taken out. */
  shift(beforeMs: number): Said | null {
    this.skip();
    const oldest = this.order[this.first];
    if (oldest == null || oldest.atMs >= beforeMs) return null;
    // Of those with the same hash it is the first.
    this.remove(this.places.get(oldest.hash) as number[], 0, oldest);
    return oldest;
  }

  /** Takes out the first message that is the same, and was said then or later; false when there is none. */
  strike(bytes: Bytes, start: number, end: number, sinceMs: number): boolean {
    if (this.count === 0) return false;
    const places = this.places.get(hashOf(bytes, start, end));
    if (places === undefined) return false;
    for (let i = 0; i < places.length; i++) {
      const said = this.order[places[i] - this.passed] as Hashed;
      if (said.atMs < sinceMs || !isSame(said.message, bytes, start, end)) continue;
      this.remove(places, i, said);
      return true;
    }
    return false;
  }

  private remove(places: number[], index: number, { hash, message }: Hashed): void {
    this.order[places[index] - this.passed] = null;
    if (places.length === 1) this.places.delete(hash);
    else places.splice(index, 1);
    this.count--;
    this.bytes -= message.length;
    this.skip();
  }

  /** What is gone from the beginning of the order takes no room for long. */
  private skip(): void {
    const { order } = this;
    while (this.first < order.length && order[this.first] === null) this.first++;
    if (this.first < EMPTY_MAX && this.first < order.length) return;
    this.passed += this.first;
    this.order = order.slice(this.first);
    this.first = 0;
  }
}

/** FNV-1a of a message's ends and its length. */
function hashOf(bytes: Bytes, start: number, end: number): number {
  let hash = 0x811c9dc5 ^ (end - start);
  const head = Math.min(end, start + HASHED_BYTES);
  for (let i = start; i < head; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  for (let i = Math.max(head, end - HASHED_BYTES); i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash;
}

function isSame(message: Bytes, bytes: Bytes, start: number, end: number): boolean {
  const size = end - start;
  if (message.length !== size) return false;
  let at = 0;
  while (at < size && message[at] === bytes[start + at]) at++;
  return at === size;
}

/** The bytes `[start, end)` in memory of their own. */
export function copyOf(runtime: Pick<Runtime, 'allocate'>, bytes: Bytes, start: number, end: number): Bytes {
  const copy = runtime.allocate(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
