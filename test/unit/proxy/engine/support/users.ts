import { createHash } from 'node:crypto';
import type { AccessSettings, UserSettings } from '../../../../../src/proxy/engine/access/settings.js';

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** A user as a worker is told about it. */
export function user(name: string, passwords: string[], rules = '+@all ~* &*', more: Partial<UserSettings> = {}) {
  const settings: UserSettings = {
    name,
    enabled: true,
    passwords: passwords.map(sha256),
    rules,
    readOnly: false,
    sourceCidrs: [],
    ...more,
  };
  return settings;
}

/** Settings with these users; the first one is meant by AUTH with a password alone, as `downstream_auth_username` is. */
export function users(...all: UserSettings[]): { access: AccessSettings } {
  return { access: { users: all, defaultUser: all[0]?.name ?? 'default', failureDelayMs: 0 } };
}
