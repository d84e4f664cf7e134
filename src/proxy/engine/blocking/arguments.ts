import type { Allocate } from '../bytes.js';
import { type Bytes, equalsIgnoreCase, latin1, writeAscii } from '../bytes.js';
import type { RequestFrame } from '../resp/request-framer.js';

/** A command kept for later, with the places of its arguments. */
export class KeptCommand {
  readonly bytes: Bytes;
  readonly starts: Int32Array;
  readonly ends: Int32Array;

  /** Copies `bytes[start, frame.end)`: what it was received in may be much larger, and it may be kept for long. */
  constructor(
    private readonly allocate: Allocate,
    bytes: Bytes,
    start: number,
    frame: RequestFrame,
  ) {
    this.bytes = allocate(frame.end - start);
    bytes.copy(this.bytes, 0, start, frame.end);
    this.starts = frame.starts.slice(0, frame.count).map((at) => at - start);
    this.ends = frame.ends.slice(0, frame.count).map((at) => at - start);
  }

  get count(): number {
    return this.starts.length;
  }

  /** An argument as Latin-1 text. */
  text(index: number): string {
    return latin1(this.bytes, this.starts[index], this.ends[index]);
  }

  is(index: number, word: string): boolean {
    return equalsIgnoreCase(this.bytes, this.starts[index], this.ends[index], word);
  }

  /** The command with other ASCII texts in the place of some arguments (not of its name). */
  with(arguments_: ReadonlyMap<number, string>): Bytes {
    let size = this.bytes.length;
    const texts: [at: number, text: string][] = [];
    for (const [index, value] of [...arguments_].sort(([a], [b]) => a - b)) {
      const text = `$${value.length}\r\n${value}\r\n`;
      texts.push([index, text]);
      size += text.length - (this.ends[index] + 2 - this.lineOf(index));
    }
    const out = this.allocate(size);
    let from = 0;
    let at = 0;
    for (const [index, text] of texts) {
      at += this.bytes.copy(out, at, from, this.lineOf(index));
      at = writeAscii(text, out, at);
      from = this.ends[index] + 2;
    }
    this.bytes.copy(out, at, from, this.bytes.length);
    return out;
  }

  /** Where an argument's `$<length>` line begins: behind the CRLF of the one before. */
  private lineOf(index: number): number {
    return this.ends[index - 1] + 2;
  }
}

/** What XREAD and XREADGROUP say before their keys. */
export interface StreamOptions {
  /** Argument number of the milliseconds after BLOCK; 0: it does not block. */
  readonly block: number;
  /** Argument number of STREAMS; 0: it is missing. */
  readonly streams: number;
}

/** Reads the options of XREAD and XREADGROUP: they stand before STREAMS. */
export function streamOptions(bytes: Bytes, starts: Int32Array, ends: Int32Array, count: number): StreamOptions {
  let block = 0;
  for (let i = 1; i < count; i++) {
    const is = (word: string) => equalsIgnoreCase(bytes, starts[i], ends[i], word);
    if (is('streams')) return { block, streams: i };
    // What an option takes is passed over: a group may be named 'streams'.
    if (is('block')) block = ++i < count ? i : 0;
    else if (is('count')) i += 1;
    else if (is('group')) i += 2;
  }
  return { block, streams: 0 };
}

/** Where a blocking command says how long it waits. */
export interface TimeoutPlace {
  /** Argument number; 0: it is not known. */
  readonly at: number;
  /** Milliseconds in one of its units. */
  readonly unitMs: number;
}

const FIRST = new Set(['blmpop', 'bzmpop']);
const LAST = new Set(['blpop', 'brpop', 'bzpopmin', 'bzpopmax', 'blmove', 'brpoplpush']);

/** Finds the timeout of a blocking command by its name. */
export function timeoutPlace(name: string, command: KeptCommand): TimeoutPlace {
  if (FIRST.has(name)) return { at: 1, unitMs: 1000 };
  if (LAST.has(name)) return { at: command.count - 1, unitMs: 1000 };
  if (name === 'xread' || name === 'xreadgroup') {
    const { block } = streamOptions(command.bytes, command.starts, command.ends, command.count);
    return { at: block, unitMs: 1 };
  }
  return { at: 0, unitMs: 1 };
}

const NUMBER = /^\d*\.?\d*(e[+-]?\d+)?$/i;

/**
 * How long a command waits, in milliseconds; `Infinity` when it waits for ever, and when it says something that only
 * the server can refuse.
 */
export function waitMs(command: KeptCommand, { at, unitMs }: TimeoutPlace): number {
  if (at === 0 || at >= command.count) return Number.POSITIVE_INFINITY;
  const text = command.text(at);
  const value = NUMBER.test(text) && text !== '' ? Number(text) : Number.NaN;
  return value > 0 ? value * unitMs : Number.POSITIVE_INFINITY;
}

/** The time that is left, as the command says it; never 0, which would be for ever. */
export function timeoutText(leftMs: number, { unitMs }: TimeoutPlace): string {
  const left = Math.max(1, Math.ceil(leftMs));
  return unitMs === 1 ? String(left) : (left / 1000).toFixed(3);
}
