/**
 * Finds the snapshot in what a master sends to a replica that synchronises fully (redis: replication.c,
 * `syncWithMaster`, `readSyncBulkPayload`): empty lines while it prepares, `+FULLRESYNC id offset`, then `$length` and
 * so many bytes, or `$EOF:mark` and bytes up to the mark of forty characters. Pure.
 */

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const EOF = '$EOF:';
const MARK_BYTES = 40;
/** No line of the protocol here is longer; an error's text is. */
const LINE_MAX_BYTES = 4_096;

export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export interface FrameStart {
  readonly replicationId: string;
  readonly offset: number;
  /** As the server told; a snapshot that is made while it is sent has none. */
  readonly bytes?: number;
}

export class RdbFrame {
  #line: Buffer = Buffer.alloc(0);
  #resync: { replicationId: string; offset: number } | undefined;
  #start: FrameStart | undefined;
  #left = 0;
  #mark: Buffer | undefined;
  /** The last bytes, which may be the mark. */
  #held: Buffer = Buffer.alloc(0);
  #ended = false;

  /** Undefined until the snapshot begins. */
  get start(): FrameStart | undefined {
    return this.#start;
  }

  /** All of the snapshot was given out. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * What of this piece belongs to the snapshot, in order; none while it is being prepared. What comes after it is
   * dropped.
   * @throws FrameError with the server's text when it refuses, or when it speaks another protocol
   */
  push(piece: Buffer): Buffer[] {
    let rest = piece;
    while (this.#start === undefined && rest.length > 0) rest = this.#readLine(rest);
    if (this.#start === undefined || this.#ended || rest.length === 0) return [];
    return this.#mark === undefined ? this.#counted(rest) : this.#marked(rest, this.#mark);
  }

  #readLine(piece: Buffer): Buffer {
    const end = piece.indexOf(NEWLINE);
    if (this.#line.length + (end < 0 ? piece.length : end) > LINE_MAX_BYTES) throw new FrameError('an endless line');
    if (end < 0) {
      this.#line = Buffer.concat([this.#line, piece]);
      return Buffer.alloc(0);
    }
    const whole = Buffer.concat([this.#line, piece.subarray(0, end)]);
    this.#line = Buffer.alloc(0);
    const text =
      whole.at(-1) === CARRIAGE_RETURN ? whole.toString('latin1', 0, whole.length - 1) : whole.toString('latin1');
    if (text !== '') this.#takeLine(text);
    return piece.subarray(end + 1);
  }

  #takeLine(text: string): void {
    if (text.startsWith('-')) throw new FrameError(text.slice(1));
    if (this.#resync === undefined) {
      // What REPLCONF answers.
      if (text === '+OK') return;
      const [, replicationId, offset] = /^\+FULLRESYNC ([0-9a-f]{40}) ([0-9]{1,16})$/.exec(text) ?? [];
      if (replicationId === undefined) throw new FrameError(`an unexpected answer: ${text.slice(0, 80)}`);
      this.#resync = { replicationId, offset: Number(offset) };
      return;
    }
    if (text.startsWith(EOF) && text.length === EOF.length + MARK_BYTES) {
      this.#mark = Buffer.from(text.slice(EOF.length), 'latin1');
      this.#start = this.#resync;
      return;
    }
    const [, length] = /^\$([0-9]{1,16})$/.exec(text) ?? [];
    if (length === undefined) throw new FrameError(`an unexpected answer: ${text.slice(0, 80)}`);
    this.#left = Number(length);
    this.#start = { ...this.#resync, bytes: this.#left };
    this.#ended = this.#left === 0;
  }

  #counted(piece: Buffer): Buffer[] {
    const mine = piece.subarray(0, this.#left);
    this.#left -= mine.length;
    this.#ended = this.#left === 0;
    return [mine];
  }

  #marked(piece: Buffer, mark: Buffer): Buffer[] {
    // The mark is random: it is not in the snapshot itself, and the server sends nothing after it but writes.
    const all = Buffer.concat([this.#held, piece]);
    const at = all.indexOf(mark, Math.max(0, this.#held.length - MARK_BYTES));
    if (at >= 0) {
      this.#ended = true;
      return at === 0 ? [] : [all.subarray(0, at)];
    }
    const safe = Math.max(0, all.length - (MARK_BYTES - 1));
    this.#held = Buffer.from(all.subarray(safe));
    return safe === 0 ? [] : [all.subarray(0, safe)];
  }
}
