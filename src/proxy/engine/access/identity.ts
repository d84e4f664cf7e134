import type { Client } from '../core/client.js';

/** A user of Redis's, with the password that clients gave: whose rights commands run with. In memory only. */
export class Identity {
  /** Those who are logged in as this user with this password, and what is called when they leave. */
  readonly clients = new Map<Client, () => void>();
  /** Since when there are none. */
  idleSinceMs = 0;
  /** When it was checked last, and is checked again. */
  checkedMs = 0;
  nextCheckMs = 0;
  checking = false;
  /** Nothing goes out in this name any more. */
  closed = false;
  /** What Redis said of commands that the proxy serves itself, by their names. */
  readonly permissions = new Map<string, { readonly error: string; readonly untilMs: number }>();

  constructor(
    /** Given once: no later user has the number, or what one has left behind could run with another's rights. */
    readonly index: number,
    /** One character a byte, as the password is. */
    readonly user: string,
    readonly password: string,
  ) {}
}
