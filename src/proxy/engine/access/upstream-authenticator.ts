import { type Bytes, latin1, utf8Bytes } from '../bytes.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { encodeWords } from '../pubsub/encode.js';
import { Counter } from '../stats.js';
import type { Authenticator } from './authenticator.js';

const NOT_CHECKED = 'ERR the login could not be checked: no upstream host answered';
const TOO_MANY = 'ERR max number of upstream users reached';

/**
 * Has Redis check logins, where the listener is set to; the client's commands run with the user's own rights then.
 * Elsewhere the configuration's users are looked at.
 */
export class UpstreamAuthenticator implements Authenticator {
  constructor(
    private readonly core: Core,
    private readonly others: Authenticator,
  ) {}

  login(client: Client, username: string | null, password: Bytes, done: (error: string) => void): void {
    const { core } = this;
    if (core.settings.upstreamAuth == null) {
      this.others.login(client, username, password, (error) => {
        // A reload may have ended what the client was before.
        if (error === '' && client.identity !== null) core.identities.assign(client, null);
        done(error);
      });
      return;
    }
    const name = username ?? 'default';
    const user = latin1(utf8Bytes(name, core.runtime.allocate));
    const secret = latin1(password);
    // Redis's words depend on the form.
    const auth = encodeWords(username === null ? ['AUTH', secret] : ['AUTH', user, secret], core.runtime.allocate);
    const deadlineMs = core.nowMs + core.router.settings.opTimeoutMs;
    core.identities.check.anywhere(core.router, auth, deadlineMs, (verdict) => {
      if (verdict === null) core.count(Counter.upstream_auth_check_failure);
      if (verdict !== '' || client.closed) {
        done(verdict ?? NOT_CHECKED);
        return;
      }
      const identity = core.identities.obtain(user, secret);
      if (identity === null) {
        done(TOO_MANY);
        return;
      }
      core.access.admit(client, name, null, (error) => {
        if (error === '') core.identities.assign(client, identity);
        done(error);
      });
    });
  }
}
