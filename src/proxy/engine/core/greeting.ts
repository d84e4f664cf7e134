import type { Allocate, Bytes } from '../bytes.js';
import { encodeWords } from '../pubsub/encode.js';
import { encodeCommand } from '../resp/encode.js';
import type { ClusterSettings } from './settings.js';

/** What a new upstream connection says first, and how many replies that brings. */
export interface Greeting {
  readonly bytes: Bytes;
  readonly replies: number;
}

/**
 * Logs in as the proxy's own user and chooses the RESP version.
 * @param readonly the connection is for reads from a replica of a Redis Cluster, which has to be asked for them
 */
export function makeGreeting(
  { upstreamUsername: user, upstreamPassword: password }: ClusterSettings,
  proto: number,
  readonly: boolean,
  allocate: Allocate,
): Greeting {
  const login = password === '' ? [] : ['AUTH', user === '' ? 'default' : user, password];
  const commands: string[][] = [];
  if (proto === 3) commands.push(['HELLO', '3', ...login]);
  else if (password !== '') commands.push(user === '' ? ['AUTH', password] : login);
  if (readonly) commands.push(['READONLY']);
  return joined(
    commands.map((command) => encodeCommand(command, allocate)),
    allocate,
  );
}

/** The same for a user that a client is logged in as. */
export function makeUserGreeting(
  { user, password }: { readonly user: string; readonly password: string },
  proto: number,
  readonly: boolean,
  allocate: Allocate,
): Greeting {
  const login = ['AUTH', user, password];
  const commands = [proto === 3 ? ['HELLO', '3', ...login] : login];
  if (readonly) commands.push(['READONLY']);
  return joined(
    commands.map((command) => encodeWords(command, allocate)),
    allocate,
  );
}

function joined(encoded: readonly Bytes[], allocate: Allocate): Greeting {
  const bytes = allocate(encoded.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of encoded) at += each.copy(bytes, at, 0, each.length);
  return { bytes, replies: encoded.length };
}
