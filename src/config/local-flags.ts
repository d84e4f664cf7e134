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

/** A TCP port, or `auto` for any free one. */
export const portFlag = Flags.custom<number | 'auto'>({
  helpValue: 'PORT|auto',
  parse: async (text) => {
    if (text === 'auto') return 'auto';
    const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (port >= 1 && port <= 65_535) return port;
    throw new ForgeError('usage', `"${text}" is no port.`, { next: 'Give a number from 1 to 65535, or auto.' });
  },
});
