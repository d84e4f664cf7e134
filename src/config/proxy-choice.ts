/** Flags that say which of the proxies of this host a command is for. */
import { Flags } from '@oclif/core';
import { pidFileFlag } from './proxy-flags.js';

/** `--pid-file`, or `--name` and `--home`; without any of them, the one that runs. */
export const proxyChoiceFlags = {
  ...pidFileFlag,
  name: Flags.string({ description: 'The proxy of this local cluster (forge up).', helpValue: 'NAME' }),
  home: Flags.directory({
    description: 'Folder of all local clusters; default ~/.local/state/redisforge.',
    env: 'FORGE_HOME',
    helpValue: 'DIR',
  }),
};

/** What the flags say, in the words of the services. */
export function proxyChoice(flags: { 'pid-file'?: string; name?: string; home?: string }): {
  pidFile?: string;
  name?: string;
  home?: string;
} {
  return { pidFile: flags['pid-file'], name: flags.name, home: flags.home };
}
