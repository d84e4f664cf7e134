const STAR = 42;
const QUESTION = 63;
const OPEN = 91;
const CLOSE = 93;
const CARET = 94;
const BACKSLASH = 92;
const DASH = 45;

/** What `matchOne` found out about one place of the pattern. */
const one = { matches: false, next: 0 };

/**
 * True when the text matches Redis's glob-style pattern: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and `\` before any of them
 * (https://redis.io/docs/latest/commands/psubscribe/). Characters stand for bytes; case matters. Takes at most
 * text × pattern steps, whatever the pattern is.
 */
export function globMatches(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  // Where to go on when the text does not fit: the last star takes one character more. Earlier ones need not.
  let starAt = -1;
  let starText = 0;
  for (;;) {
    if (p < pattern.length && pattern.charCodeAt(p) === STAR) {
      starAt = ++p;
      starText = t;
      if (p === pattern.length) return true;
      continue;
    }
    if (t === text.length) return p === pattern.length;
    if (p < pattern.length) {
      matchOne(pattern, p, text.charCodeAt(t));
      if (one.matches) {
        p = one.next;
        t++;
        continue;
      }
    }
    if (starAt < 0) return false;
    p = starAt;
    t = ++starText;
  }
}

/** Compares one character with what stands at `p`; `one.next` is the place behind that. */
function matchOne(pattern: string, p: number, code: number): void {
  const token = pattern.charCodeAt(p);
  one.next = p + 1;
  if (token === QUESTION) one.matches = true;
  else if (token === OPEN) matchSet(pattern, p + 1, code);
  else if (token === BACKSLASH && p + 1 < pattern.length) {
    one.matches = pattern.charCodeAt(p + 1) === code;
    one.next = p + 2;
  } else one.matches = token === code;
}

/** A set, from behind its bracket. One that is not closed ends with the pattern. */
function matchSet(pattern: string, p: number, code: number): void {
  const { length } = pattern;
  const negated = pattern.charCodeAt(p) === CARET;
  if (negated) p++;
  let found = false;
  for (; p < length; p++) {
    const from = pattern.charCodeAt(p);
    if (from === BACKSLASH && p + 1 < length) {
      p++;
      if (pattern.charCodeAt(p) === code) found = true;
    } else if (from === CLOSE) break;
    else if (p + 2 < length && pattern.charCodeAt(p + 1) === DASH) {
      const to = pattern.charCodeAt(p + 2);
      if (code >= Math.min(from, to) && code <= Math.max(from, to)) found = true;
      p += 2;
    } else if (from === code) found = true;
  }
  one.matches = found !== negated;
  one.next = Math.min(p + 1, length);
}
