/** Replies of RESP2 from the pieces in which they come. Pure. */

/** The server's answer is an error: told from failures of the connection by its name, as the client library's is. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** Bulk strings are Buffers that share the memory of the piece they came in. */
export type Reply = string | number | Buffer | null | ReplyError | Reply[];

const [PLUS, MINUS, COLON, DOLLAR, STAR, CR, LF] = [0x2b, 0x2d, 0x3a, 0x24, 0x2a, 0x0d, 0x0a];
const ZERO = 0x30;
const LINE_END = 2;
const OK = 'OK';
/** Of a line that is a status, an error or a number. */
export const LINE_MAX = 64 * 1024;
/** What a server sends at most (`proto-max-bulk-len`). */
export const BULK_MAX = 512 * 1024 * 1024;
/** Of one array; and of arrays within arrays. */
export const ELEMENTS_MAX = 1024 * 1024;
export const DEPTH_MAX = 16;

export class ReplyReader {
  #bytes: Buffer = Buffer.alloc(0);
  #pieces: Buffer[] = [];
  #length = 0;
  /** Bytes without which the next reply is not whole for certain. */
  #needed = 1;
  #at = 0;

  /**
   * The replies that are whole now.
   * @throws Error when it is not RESP2, or larger than the bounds: the connection is of no use any more
   */
  push(piece: Buffer): Reply[] {
    this.#pieces.push(piece);
    this.#length += piece.length;
    if (this.#length < this.#needed) return [];
    this.#bytes = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces, this.#length);
    const replies: Reply[] = [];
    let start = 0;
    this.#at = 0;
    this.#needed = 1;
    while (this.#at < this.#bytes.length) {
      const reply = this.#read(0);
      if (reply === undefined) break;
      replies.push(reply);
      start = this.#at;
    }
    const rest = this.#bytes.subarray(start);
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#length = rest.length;
    this.#needed = Math.max(rest.length + 1, this.#needed - start);
    return replies;
  }

  /** Undefined when it is not whole; then `#needed` may know how far its end is at least. */
  #read(depth: number): Reply | undefined {
    const type = this.#bytes[this.#at];
    switch (type) {
      case DOLLAR:
        return this.#readBulk();
      case STAR:
        return this.#readArray(depth);
      case COLON:
        return this.#readNumber();
      case PLUS:
      case MINUS: {
        const end = this.#lineEnd();
        if (end < 0) return undefined;
        const isOk = end - this.#at === 3 && this.#bytes[this.#at + 1] === 0x4f && this.#bytes[this.#at + 2] === 0x4b;
        const text = isOk ? OK : this.#bytes.toString('utf8', this.#at + 1, end);
        this.#at = end + LINE_END;
        return type === PLUS ? text : new ReplyError(text);
      }
      default:
        if (type === undefined) return undefined;
        throw new Error(`protocol error: a reply begins with byte ${type}`);
    }
  }

  #readBulk(): Buffer | null | undefined {
    const length = this.#readNumber();
    if (length === undefined) return undefined;
    if (length === -1) return null;
    if (length < 0 || length > BULK_MAX) throw new Error(`protocol error: a bulk string of ${length} bytes`);
    const start = this.#at;
    const end = start + length;
    if (end + LINE_END > this.#bytes.length) {
      this.#needed = end + LINE_END;
      return undefined;
    }
    this.#at = end + LINE_END;
    return this.#bytes.subarray(start, end);
  }

  #readArray(depth: number): Reply[] | null | undefined {
    const count = this.#readNumber();
    if (count === undefined) return undefined;
    if (count === -1) return null;
    if (count < 0 || count > ELEMENTS_MAX) throw new Error(`protocol error: an array of ${count} elements`);
    if (depth === DEPTH_MAX) throw new Error('protocol error: too many arrays within arrays');
    const elements: Reply[] = [];
    for (let i = 0; i < count; i++) {
      const element = this.#read(depth + 1);
      if (element === undefined) return undefined;
      elements.push(element);
    }
    return elements;
  }

  /** The number after the type, and past the end of its line. */
  #readNumber(): number | undefined {
    const end = this.#lineEnd();
    if (end < 0) return undefined;
    const bytes = this.#bytes;
    let at = this.#at + 1;
    const negative = bytes[at] === MINUS;
    if (negative) at++;
    if (at === end) throw new Error('protocol error: a number without digits');
    let value = 0;
    for (; at < end; at++) {
      const digit = (bytes[at] as number) - ZERO;
      if (digit < 0 || digit > 9) throw new Error('protocol error: a number that is none');
      value = value * 10 + digit;
    }
    this.#at = end + LINE_END;
    return negative ? -value : value;
  }

  /** Where the line that begins here ends; -1 when its end has not come. */
  #lineEnd(): number {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    while (at < bytes.length && bytes[at] !== CR) at++;
    if (at - this.#at > LINE_MAX) throw new Error('protocol error: a line without end');
    if (at + 1 >= bytes.length) return -1;
    if (bytes[at + 1] !== LF) throw new Error('protocol error: a line that ends with CR alone');
    return at;
  }
}
