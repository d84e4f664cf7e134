import { latin1 } from '../bytes.js';
import { REPLY_MALFORMED, ReplyFramer } from '../resp/reply-framer.js';

/** `Handshake.feed`: more bytes are needed. */
export const HANDSHAKE_INCOMPLETE = -1;
/** `Handshake.feed`: the upstream refused, or does not speak RESP; `error` says which. */
export const HANDSHAKE_FAILED = -2;

/** Redis does not accept the user or the password. */
const REFUSED = /^(WRONGPASS|NOAUTH|ERR invalid password|ERR AUTH )/;

/** An error is kept up to this length. */
const ERROR_BYTES_MAX = 512;

/** Takes the replies to what a new upstream connection says first. */
export class Handshake {
  error = '';
  private readonly framer = new ReplyFramer();
  /** It is the login that was refused; all replies have come, and the connection can be used for another one. */
  loginRefused = false;
  private inError = false;

  constructor(private replies: number) {}

  /** Reads `bytes[0, end)`; returns the offset behind the last reply, or one of the above. */
  feed(bytes: Uint8Array, end: number): number {
    let at = 0;
    while (this.replies > 0) {
      if (at >= end) return HANDSHAKE_INCOMPLETE;
      if (this.framer.idle) this.inError = bytes[at] === 45;
      const start = at;
      at = this.framer.feed(bytes, start, end);
      if (at === REPLY_MALFORMED) {
        this.error = 'it does not speak RESP';
        return HANDSHAKE_FAILED;
      }
      // What follows a refused login is refused as well; the first error says why.
      if (this.inError && !this.loginRefused) {
        this.error += latin1(bytes, start, at < 0 ? end : at);
        if (at >= 0 || this.error.length > ERROR_BYTES_MAX) {
          this.error = this.error.slice(1, ERROR_BYTES_MAX).trimEnd();
          this.loginRefused = at >= 0 && REFUSED.test(this.error);
          if (!this.loginRefused) return HANDSHAKE_FAILED;
        }
      }
      if (at < 0) return HANDSHAKE_INCOMPLETE;
      this.replies--;
    }
    return this.loginRefused ? HANDSHAKE_FAILED : at;
  }
}
