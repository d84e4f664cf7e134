/** Flags that the commands for local clusters share. */
import { Flags } from '@oclif/core';
import { ForgeError } from '../errors.js';

/** `--name` and `--home`: which local cluster. */
export const localClusterFlags = {
  name: Flags.string({ description: 'Name of the local cluster.', default: 'local', helpValue: 'NAME' }),
  home: Flags.directory({
    description: 'Folder of all local clusters; default ~/.local/state/redisforge.',
    env: 'FORGE_HOME',
    helpValue: 'DIR',
  }),
};

/**
 * The value of a port flag: a TCP port, or `auto` for any free one.
 * @throws ForgeError `usage`
 */
export function portChoice(flag: string, text: string | undefined): number | 'auto' | undefined {
  if (text === undefined || text === 'auto') return text;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new ForgeError('usage', `${flag} ${text}: that is no port.`, {
    next: 'Give a number from 1 to 65535, or auto.',
  });
}
