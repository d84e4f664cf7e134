import { type Bytes, latin1 } from '../bytes.js';
import { type Redirect, readRedirect } from '../core/redirect.js';

const ABORT = '-EXECABORT Transaction discarded because of: ';
const MINUS = 45;
const PLUS = 43;
const LF = 10;

/** What MULTI, the commands and EXEC have brought. */
export interface BlockReply {
  /** Offset of EXEC's reply, which ends where all of it does. */
  readonly at: number;
  /** Nothing was executed, because the block belongs elsewhere or must come later. */
  readonly redirect: Redirect | null;
  /** Why the server refused a command, without `-` and CRLF; `''` when it refused none. */
  readonly refusal: string;
}

const OK_BYTES = '+OK\r\n'.length;
const QUEUED_BYTES = '+QUEUED\r\n'.length;

/** Reads the replies in `bytes[start, end)` to a transaction of `count` commands. */
export function readBlock(bytes: Bytes, start: number, end: number, count: number): BlockReply {
  let at = start + OK_BYTES;
  for (let left = count; left > 0 && bytes[at] === PLUS && bytes[at + QUEUED_BYTES - 1] === LF; left--) {
    at += QUEUED_BYTES;
  }
  const straight = at === start + OK_BYTES + count * QUEUED_BYTES && bytes[start] === PLUS;
  if (straight && bytes[at] !== MINUS) return { at, redirect: null, refusal: '' };
  return readRefused(bytes, start, end, count);
}

function readRefused(bytes: Bytes, start: number, end: number, count: number): BlockReply {
  let at = start;
  let refusal = '';
  let redirect: Redirect | null = null;
  for (let i = 0; i <= count; i++) {
    // Each of these replies is one line.
    let next = at;
    while (next < end && bytes[next] !== LF) next++;
    next++;
    if (bytes[at] === MINUS) {
      redirect ??= readRedirect(bytes, at, next);
      if (refusal === '') refusal = latin1(bytes, at + 1, next - 2);
    }
    at = next;
  }
  if (bytes[at] === MINUS && redirect === null) {
    // EXEC itself may say it, also as the reason why it discards the transaction.
    const reason = latin1(bytes, at, Math.min(end, at + ABORT.length)) === ABORT ? at + ABORT.length - 1 : at;
    redirect = readRedirect(bytes, reason, end);
  }
  // Whatever was turned away before: what EXEC has done is done.
  return { at, redirect: bytes[at] === MINUS ? redirect : null, refusal };
}

/** EXEC's error, with the reason that Redis would have given when the command was queued. */
export function abortText(refusal: string): string {
  return `${ABORT}${refusal}\r\n`;
}
