import type { Bytes } from '../bytes.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { Hold } from '../core/hold.js';
import { TokenBucket } from '../core/token-bucket.js';
import { Counter } from '../stats.js';
import { hostOf } from './addresses.js';
import { Attempts } from './attempts.js';
import { WRONG_PASSWORD } from './authenticator.js';

/** A login waits for others of its kind to fail for at most this time. */
const WAIT_MAX_MS = 10_000;
/** Bytes of the passwords of logins that wait so, per worker: any number of passwords of people, few of 16 KiB. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** What a client may have said behind a login that is held because of failures; one that says more is let go. */
const BEHIND_BYTES_MAX = 64 * 1024;
const TOO_MANY = 'ERR too many logins wait for others that have failed; try again later';
/** Failed logins that are logged, per worker; all are counted. */
const LOGGED_PER_SECOND = 10;
const LOGGED_BURST = 50;
const SHOWN_CHARACTERS_MAX = 64;

/** Logins on their way: a client is held while its password is checked, and for a while when it is wrong. */
export class Logins {
  private readonly attempts = new Attempts();
  private readonly logged: TokenBucket;
  private waitingBytes = 0;

  constructor(private readonly core: Core) {
    this.logged = new TokenBucket(LOGGED_PER_SECOND, LOGGED_BURST, core.nowMs);
  }

  /**
   * Tries a login. `then` is called once, within the call or later, with `''` or the error to answer with; never when the
   * client has left. Nothing of the client's is read meanwhile.
   */
  begin(client: Client, username: string | null, given: Bytes, then: (error: string) => void): void {
    const { core } = this;
    // Forgotten as soon as it is known to be wrong: there may be thousands that wait to hear that.
    let password: Bytes | null = given;
    const key = this.keyOf(client, username);
    let finished = false;
    const finish = (error: string) => {
      finished = true;
      if (client.closed) return;
      then(error);
      client.liftHold(Hold.login);
    };
    const lastMs = core.nowMs + WAIT_MAX_MS;
    const attempt = () => {
      if (client.closed || password === null) return;
      const untilMs = Math.min(this.attempts.heldUntilMs(key), lastMs);
      if (untilMs > core.nowMs) {
        if (this.waitingBytes + password.length > WAITING_BYTES_MAX) {
          core.count(Counter.downstream_auth_failure);
          finish(TOO_MANY);
        } else this.later(client, untilMs, password.length, attempt);
      } else {
        core.access.authenticator.login(client, username, password, (error) => {
          if (error === WRONG_PASSWORD) {
            password = null;
            this.failed(client, username, key, finish);
          } else {
            if (error === '') this.attempts.succeeded(key);
            finish(error);
          }
        });
      }
    };
    attempt();
    if (!finished) client.setHold(Hold.login);
  }

  /** Of a client that leaves meanwhile nothing is kept: its password may be long, and there may be many of its kind. */
  private later(client: Client, dueMs: number, bytes: number, then: () => void): void {
    const { deadlines, runtime } = this.core;
    const due = () => {
      client.belongings.delete(forget);
      this.waitingBytes -= bytes;
      then();
    };
    const scheduled = { dueMs: Number.POSITIVE_INFINITY, due };
    const forget = () => {
      deadlines.remove(scheduled);
      this.waitingBytes -= bytes;
    };
    this.waitingBytes += bytes;
    client.belongings.add(forget);
    deadlines.add(scheduled, dueMs);
    // What came with the login is kept when this event is over.
    runtime.defer(() => this.letGo(client));
  }

  private letGo(client: Client): void {
    if (client.closed || (client.hold & Hold.login) === 0 || (client.carry?.length ?? 0) <= BEHIND_BYTES_MAX) return;
    client.transport.terminate();
    this.core.left(client);
  }

  private failed(client: Client, username: string | null, key: string, finish: (error: string) => void): void {
    const { core } = this;
    const { access } = core;
    core.count(Counter.downstream_auth_failure);
    if (this.logged.take(core.nowMs)) {
      const user = shown(username ?? access.settings.defaultUser);
      core.runtime.log('warn', 'a login failed', { client: client.address, user, id: client.id });
    }
    const untilMs = this.attempts.failed(key, access.settings.failureDelayMs, core.nowMs);
    if (untilMs <= core.nowMs) finish(WRONG_PASSWORD);
    else this.later(client, untilMs, 0, () => finish(WRONG_PASSWORD));
  }

  /** Users that do not exist are one: nobody fills the table with names. */
  private keyOf(client: Client, username: string | null): string {
    const { access } = this.core;
    const user = username ?? access.settings.defaultUser;
    return `${hostOf(client.address)} ${access.named(user) === undefined && !this.core.identities.knows(user) ? '' : user}`;
  }
}

/** A name as a client gave it, for a log. */
function shown(name: string): string {
  return name.replace(/[\p{Cc}\u2028\u2029]/gu, '?').slice(0, SHOWN_CHARACTERS_MAX);
}
