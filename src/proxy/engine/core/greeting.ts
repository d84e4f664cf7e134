import type { Allocate, Bytes } from '../bytes.js';
import { encodeCommand } from '../resp/encode.js';
import type { ClusterSettings } from './settings.js';

/** What a new upstream connection says first, and how many replies that brings. */
export interface Greeting {
  readonly bytes: Bytes;
  readonly replies: number;
}

/**
 * Logs in and chooses the RESP version.
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
  const encoded = commands.map((command) => encodeCommand(command, allocate));
  const bytes = allocate(encoded.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of encoded) at += each.copy(bytes, at, 0, each.length);
  return { bytes, replies: commands.length };
}
