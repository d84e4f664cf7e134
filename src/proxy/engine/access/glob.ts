const STAR = -1;
const ANY = -2;
/** A token at or below it stands for a set: number `SET - token` of the pattern's sets. */
const SET = -3;

const code = (text: string) => text.charCodeAt(0);
const [QUESTION, OPEN, CLOSE, CARET, BACKSLASH, DASH, ASTERISK] = ['?', '[', ']', '^', '\\', '-', '*'].map(code);

/** How a pattern is compared: most are a text with a star behind it. */
const Kind = { all: 0, exact: 1, prefix: 2, any: 3 } as const;

/**
 * A pattern of Redis's glob style, compiled: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and `\` before any of them
 * (https://redis.io/docs/latest/commands/keys/). It is compared with bytes; case matters. Takes at most
 * text × pattern steps, whatever the pattern is.
 */
export class Glob {
  private readonly kind: number;
  /** Literal bytes and the values above; of a prefix and an exact text, only bytes. */
  private readonly tokens: Int16Array;
  private readonly sets: Uint8Array[] = [];

  /** @param pattern its bytes */
  constructor(pattern: Uint8Array) {
    const tokens: number[] = [];
    for (let at = 0; at < pattern.length; ) at = this.read(pattern, at, tokens);
    const last = tokens.length - 1;
    const first = tokens.findIndex((token) => token < 0);
    if (first < 0) this.kind = Kind.exact;
    else if (first === last && tokens[first] === STAR) this.kind = last === 0 ? Kind.all : Kind.prefix;
    else this.kind = Kind.any;
    this.tokens = Int16Array.from(this.kind === Kind.prefix ? tokens.slice(0, last) : tokens);
  }

  /** Everything matches. */
  get all(): boolean {
    return this.kind === Kind.all;
  }

  /** True when the pattern matches `bytes[start, end)` as a whole. */
  matches(bytes: Uint8Array, start: number, end: number): boolean {
    const { kind, tokens } = this;
    if (kind === Kind.any) return this.search(bytes, start, end);
    if (kind === Kind.all) return true;
    const { length } = tokens;
    if (kind === Kind.exact ? end - start !== length : end - start < length) return false;
    for (let i = 0; i < length; i++) if (tokens[i] !== bytes[start + i]) return false;
    return true;
  }

  private search(bytes: Uint8Array, start: number, end: number): boolean {
    const { tokens } = this;
    let p = 0;
    let t = start;
    // Where to go on when the text does not fit: the last star takes one byte more. Earlier ones need not.
    let starAt = -1;
    let starText = 0;
    for (;;) {
      const token = p < tokens.length ? tokens[p] : 0;
      if (p < tokens.length && token === STAR) {
        starAt = ++p;
        starText = t;
        if (p === tokens.length) return true;
        continue;
      }
      if (t === end) return p === tokens.length;
      if (p < tokens.length && this.fits(token, bytes[t])) {
        p++;
        t++;
        continue;
      }
      if (starAt < 0) return false;
      p = starAt;
      t = ++starText;
    }
  }

  private fits(token: number, byte: number): boolean {
    if (token >= 0) return token === byte;
    return token === ANY || this.sets[SET - token][byte] === 1;
  }

  /** Reads what stands at `at`; returns the place behind it. */
  private read(pattern: Uint8Array, at: number, tokens: number[]): number {
    const byte = pattern[at];
    if (byte === ASTERISK) {
      // Several stars say what one says.
      if (tokens.at(-1) !== STAR) tokens.push(STAR);
      return at + 1;
    }
    if (byte === QUESTION) tokens.push(ANY);
    else if (byte === OPEN) return this.readSet(pattern, at + 1, tokens);
    else if (byte === BACKSLASH && at + 1 < pattern.length) {
      tokens.push(pattern[at + 1]);
      return at + 2;
    } else tokens.push(byte);
    return at + 1;
  }

  /** A set, from behind its bracket. One that is not closed ends with the pattern. */
  private readSet(pattern: Uint8Array, at: number, tokens: number[]): number {
    const negated = pattern[at] === CARET;
    if (negated) at++;
    const set = new Uint8Array(256).fill(negated ? 1 : 0);
    const found = negated ? 0 : 1;
    for (; at < pattern.length && pattern[at] !== CLOSE; at++) {
      if (pattern[at] === BACKSLASH && at + 1 < pattern.length) set[pattern[++at]] = found;
      else if (at + 2 < pattern.length && pattern[at + 1] === DASH) {
        const [from, to] = [pattern[at], pattern[at + 2]];
        set.fill(found, Math.min(from, to), Math.max(from, to) + 1);
        at += 2;
      } else set[pattern[at]] = found;
    }
    tokens.push(SET - this.sets.length);
    this.sets.push(set);
    return Math.min(at + 1, pattern.length);
  }
}
