import { createHash } from 'node:crypto';
import { RawClient } from '../../support/raw-client.js';

/** Rules of every kind; each user exists in the proxy's configuration and in a Redis beside it. */
export const RULES: Readonly<Record<string, string>> = {
  everything: '+@all ~* &*',
  nothing: '-@all',
  reader: '+@read ~* &*',
  writer: '+@write -@dangerous ~* &*',
  careful: '+@all -@dangerous -@scripting ~* &*',
  app: '+@all ~app:* &app:*',
  mixed: '+@all ~app:* %R~shared:* %W~log:* &news',
  some: '+get +set +config|get +client|id +select|0 -object +object|encoding ~*',
  selectors: '+get ~a* (+set ~b* &b) (+@hash +publish ~c* &c*)',
  odd: '+@all ~[ab]:? ~x\\* ~[^a-y]* resetchannels &n?ws',
  channels: '+@pubsub +ping &news.* &app:[12]',
  later: '+@all -set +set -get ~* resetkeys ~k allchannels',
};
export const USERS = Object.keys(RULES);

/** The same users for the proxy's configuration. */
export const CONFIGURED = Object.entries(RULES).map(([name, rules]) => ({
  name,
  rules,
  passwords: [{ sha256: hashOf(name) }],
}));

/** SHA-256 of the user's password. */
export function hashOf(user: string): string {
  return createHash('sha256').update(`${user}-secret`).digest('hex');
}

export async function login(port: number, user: string, password = `${user}-secret`): Promise<RawClient> {
  const client = await RawClient.connect({ port });
  await client.call('AUTH', user, password);
  return client;
}
