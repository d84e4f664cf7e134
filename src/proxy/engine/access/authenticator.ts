import type { Bytes } from '../bytes.js';
import type { Client } from '../core/client.js';

/** Who checks a client's user and password. */
export interface Authenticator {
  /**
   * Checks them and, when they are right, lets the client in (`Access.admit`). Then `done` is called, once, within the
   * call or later, and also when the client has left meanwhile: with `''`, or with the error that Redis has for it,
   * without `-` and CRLF. The client is held until then: it gives no other command.
   * @param username null in `AUTH password`, which is about the default user
   * @param password bytes of its own, as the client gave them
   */
  login(client: Client, username: string | null, password: Bytes, done: (error: string) => void): void;
}

/** Redis's error for a login that fails, whatever the reason is. */
export const WRONG_PASSWORD = 'WRONGPASS invalid username-password pair or user is disabled.';
