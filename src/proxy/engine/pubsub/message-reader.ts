import { type Allocate, type Bytes, LF } from '../bytes.js';

const STAR = 42;
const DOLLAR = 36;
const COLON = 58;
const PLUS = 43;
const MINUS = 45;

/** Elements of the longest thing that a subscribed connection receives: `pmessage`, pattern, channel, payload. */
const ELEMENTS_MAX = 4;
const DIGITS_MAX = 10;
/** A status or error line. */
const LINE_BYTES_MAX = 64 * 1024;
/** What is unfinished at the end of a chunk is joined with the next chunk, when it is no more than this. */
const JOIN_BYTES_MAX = 64 * 1024;
/** Of one item: a channel and a payload of the largest size that Redis takes (`proto-max-bulk-len`). Offsets are 32 bits. */
const ITEM_BYTES_MAX = 1024 * 1024 * 1024;
/** A length is only a promise: beyond this, memory is taken as bytes come. */
const PROMISED_BYTES_MAX = 16 * 1024 * 1024;

/** `parse`: more bytes are needed; `bytesAtLeast` says how many the item has. */
const INCOMPLETE = -1;
const MALFORMED = -2;

/** Who hears of what the reader finds. Offsets are into `bytes`, which may be kept. */
export interface MessageSink {
  /** A message, a confirmation or the answer to PING: `count` elements at `starts[i]` to `ends[i]`. */
  item(bytes: Bytes, start: number, end: number, reader: MessageReader): void;
  /** A status (`+`) or an error (`-`) line, without CRLF. */
  line(bytes: Bytes, start: number, end: number): void;
  /** All of this chunk has been read. */
  read(): void;
}

/**
 * Cuts what a connection with subscriptions receives, in RESP2, into messages and confirmations. Nothing is copied
 * but what a chunk's end cuts in two.
 */
export class MessageReader {
  /** Of the item in hand: elements, and where each is; of a null or an integer, both are the same. */
  count = 0;
  readonly starts = new Int32Array(ELEMENTS_MAX);
  readonly ends = new Int32Array(ELEMENTS_MAX);

  private bytesAtLeast = 0;
  /** The beginning of an item: `carry[0, carried)`. */
  private carry: Bytes | null = null;
  private carried = 0;

  constructor(
    private readonly allocate: Allocate,
    private readonly sink: MessageSink,
  ) {}

  reset(): void {
    this.carry = null;
    this.carried = 0;
  }

  /** Reads a chunk. False when it is not what a subscribed connection may receive. */
  read(chunk: Bytes, at: number, end: number): boolean {
    let bytes = chunk;
    if (this.carry !== null) {
      if (this.carried + this.bytesAtLeast > 2 * JOIN_BYTES_MAX || end - at + this.carried < this.bytesAtLeast) {
        at = this.collect(chunk, at, end);
        if (at < 0) return at === INCOMPLETE;
      } else {
        bytes = this.allocate(this.carried + end - at);
        this.carry.copy(bytes, 0, 0, this.carried);
        chunk.copy(bytes, this.carried, at, end);
        at = 0;
        end = bytes.length;
        this.reset();
      }
    }
    const next = this.readAll(bytes, at, end);
    if (next === MALFORMED) return false;
    if (next < end) this.keep(bytes, next, end);
    this.sink.read();
    return true;
  }

  /** Hands over what is whole; returns where the rest begins, or MALFORMED. */
  private readAll(bytes: Bytes, at: number, end: number): number {
    while (at < end) {
      const next = this.parse(bytes, at, end);
      if (next < 0) return next === INCOMPLETE ? at : MALFORMED;
      if (bytes[at] === STAR) this.sink.item(bytes, at, next, this);
      else this.sink.line(bytes, at, next - 2);
      at = next;
    }
    return at;
  }

  private keep(bytes: Bytes, at: number, end: number): void {
    this.carried = end - at;
    this.carry = this.allocate(Math.max(Math.min(this.bytesAtLeast, PROMISED_BYTES_MAX), this.carried));
    bytes.copy(this.carry, 0, at, end);
  }

  /**
   * Adds to a large item; its buffer has its size as soon as that is known, or grows to it. Returns where the next item begins in the
   * chunk, INCOMPLETE when it goes on in the next one, or MALFORMED.
   */
  private collect(chunk: Bytes, at: number, end: number): number {
    let carry = this.carry as Bytes;
    while (at < end) {
      // Until its header is whole, the size is a guess.
      const size = Math.max(this.bytesAtLeast, this.carried + 1);
      if (carry.length < Math.min(size, PROMISED_BYTES_MAX) || carry.length === this.carried) {
        const grown = this.allocate(this.roomFor(size));
        carry.copy(grown, 0, 0, this.carried);
        this.carry = carry = grown;
      }
      const taken = Math.min(size - this.carried, carry.length - this.carried, end - at);
      chunk.copy(carry, this.carried, at, at + taken);
      this.carried += taken;
      at += taken;
      const next = this.parse(carry, 0, this.carried);
      if (next === MALFORMED) return MALFORMED;
      if (next === INCOMPLETE) continue;
      if (carry[0] === STAR) this.sink.item(carry, 0, next, this);
      else this.sink.line(carry, 0, next - 2);
      // Another buffer follows: what was found in this one is complete.
      this.sink.read();
      this.reset();
      return at;
    }
    return INCOMPLETE;
  }

  private roomFor(size: number): number {
    const double = this.carried * 2;
    return size <= PROMISED_BYTES_MAX ? Math.max(size, double) : Math.min(size, Math.max(PROMISED_BYTES_MAX, double));
  }

  /** Offset behind the item at `at`, INCOMPLETE or MALFORMED. */
  private parse(bytes: Bytes, at: number, end: number): number {
    const from = at;
    const type = bytes[at];
    if (type === PLUS || type === MINUS) {
      const newline = bytes.indexOf(LF, at);
      if (newline >= 0 && newline < end) return newline + 1;
      this.bytesAtLeast = end - from + 1;
      return end - from > LINE_BYTES_MAX ? MALFORMED : INCOMPLETE;
    }
    if (type !== STAR) return MALFORMED;
    at = this.number(bytes, at + 1, end, from);
    if (at < 0) return at;
    const count = this.value;
    if (count < 1 || count > ELEMENTS_MAX) return MALFORMED;
    for (let i = 0; i < count; i++) {
      if (at >= end) return this.incomplete(at - from + 1);
      const kind = bytes[at];
      if (kind !== DOLLAR && kind !== COLON) return MALFORMED;
      const lineStart = at + 1;
      at = this.number(bytes, lineStart, end, from);
      if (at < 0) return at;
      if (kind === COLON || this.value < 0) {
        this.starts[i] = this.ends[i] = lineStart;
        continue;
      }
      this.starts[i] = at;
      this.ends[i] = at + this.value;
      at += this.value + 2;
      if (at - from > ITEM_BYTES_MAX) return MALFORMED;
      if (at > end) return this.incomplete(at - from);
      if (bytes[at - 1] !== LF) return MALFORMED;
    }
    this.count = count;
    return at;
  }

  private incomplete(bytesAtLeast: number): number {
    this.bytesAtLeast = bytesAtLeast;
    return INCOMPLETE;
  }

  private value = 0;

  /** Reads a decimal and its CRLF into `value`. */
  private number(bytes: Bytes, at: number, end: number, from: number): number {
    const first = at;
    let value = 0;
    let negative = false;
    for (; at < end; at++) {
      const byte = bytes[at];
      if (byte >= 48 && byte <= 57) value = value * 10 + byte - 48;
      else if (byte === LF) {
        this.value = negative ? -value : value;
        return at + 1;
      } else if (byte === MINUS && at === first) negative = true;
      else if (byte !== 13) return MALFORMED;
      if (at - first > DIGITS_MAX) return MALFORMED;
    }
    return this.incomplete(at - from + 1);
  }
}
