import { type Allocate, type Bytes, utf8Bytes } from '../bytes.js';
import type { Request } from '../core/request.js';
import { decodeReply } from '../resp/decode.js';
import { type KeptCommand, streamOptions } from './arguments.js';

/** The ID that a stream without entries has for its newest. */
const NO_ENTRY = '0-0';
const ID = /^\d+-\d+$/;

/**
 * What `$` stands for in an XREAD: the newest entry at the time of the call. When the wait has to go on at another node,
 * `$` would pass over what was added meanwhile; so the newest IDs are asked for along with the first XREAD.
 */
export class NewestIds {
  /** Argument number of each `$` → the ID. */
  readonly known = new Map<number, string>();

  private constructor(
    private readonly command: KeptCommand,
    /** Argument numbers of `$`, and of the keys that they belong to. */
    private readonly places: ReadonlyMap<number, number>,
  ) {}

  /** Null when the command does not say `$`. */
  static of(command: KeptCommand): NewestIds | null {
    const { streams } = streamOptions(command.bytes, command.starts, command.ends, command.count);
    if (streams === 0) return null;
    const keys = Math.floor((command.count - streams - 1) / 2);
    const places = new Map<number, number>();
    for (let i = 1; i <= keys; i++) {
      const at = streams + keys + i;
      if (command.is(at, '$')) places.set(at, streams + i);
    }
    return places.size === 0 ? null : new NewestIds(command, places);
  }

  /** How many there are. */
  get count(): number {
    return this.places.size;
  }

  /** Commands that ask for what is not known yet, each with the argument number of its `$`. */
  questions(allocate: Allocate): [number, Bytes][] {
    const questions: [number, Bytes][] = [];
    for (const [at, key] of this.places) {
      if (this.known.has(at)) continue;
      const { bytes, starts, ends } = this.command;
      const size = ends[key] - starts[key];
      const head = utf8Bytes(`*6\r\n$9\r\nXREVRANGE\r\n$${size}\r\n`, allocate);
      const tail = utf8Bytes('\r\n$1\r\n+\r\n$1\r\n-\r\n$5\r\nCOUNT\r\n$1\r\n1\r\n', allocate);
      const question = allocate(head.length + size + tail.length);
      head.copy(question, 0, 0, head.length);
      bytes.copy(question, head.length, starts[key], ends[key]);
      tail.copy(question, head.length + size, 0, tail.length);
      questions.push([at, question]);
    }
    return questions;
  }

  /** Takes the reply to a question. One that is no ID leaves `$` as it is. */
  answered(part: Request): void {
    const reply = decodeReply(part.reply as Bytes, part.replyStart, part.replyEnd);
    if (!Array.isArray(reply)) return;
    const [newest] = reply;
    if (newest === undefined) this.known.set(part.firstGroup, NO_ENTRY);
    else if (Array.isArray(newest) && typeof newest[0] === 'string' && ID.test(newest[0])) {
      this.known.set(part.firstGroup, newest[0]);
    }
  }
}
