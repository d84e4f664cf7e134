import type { Client } from '../core/client.js';
import { Counter } from '../stats.js';
import type { Arguments } from './local.js';

const NO_PASSWORD_SET =
  '-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n';
const WRONG_PASSWORD = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';

/** Compares in a time that depends on the lengths only. */
function equalInConstantTime(given: string, expected: string): boolean {
  let difference = given.length ^ expected.length;
  for (let i = 0; i < given.length; i++) {
    difference |= given.charCodeAt(i) ^ (expected.charCodeAt(i % Math.max(1, expected.length)) | 0);
  }
  return difference === 0;
}

/** Logs a client in; returns the error to send, or '' when it is in. */
export function login(client: Client, username: string | null, password: string): string {
  const { authRequired, authUsername, authPasswords } = client.core.settings;
  if (!authRequired) {
    // As Redis: the default user without a password takes any.
    if (username === null) return NO_PASSWORD_SET;
    if (username === 'default') return '';
    client.core.count(Counter.downstream_auth_failure);
    return WRONG_PASSWORD;
  }
  let matches = false;
  // All are compared, so that the time does not tell which one was nearly right.
  for (const expected of authPasswords) if (equalInConstantTime(password, expected)) matches = true;
  if (!matches || (username !== null && username !== authUsername)) {
    client.core.count(Counter.downstream_auth_failure);
    return WRONG_PASSWORD;
  }
  client.authenticated = true;
  client.user = authUsername;
  return '';
}

/** AUTH [username] password */
export function auth(client: Client, args: Arguments): void {
  const core = client.core;
  if (args.count > 3) {
    client.reply(core.text('-ERR syntax error\r\n'));
    return;
  }
  const error = args.count === 3 ? login(client, args.text(1), args.text(2)) : login(client, null, args.text(1));
  client.reply(error === '' ? core.texts.ok : core.text(error));
}
