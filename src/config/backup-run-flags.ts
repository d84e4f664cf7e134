/** Flags of `forge backup` itself: what is read, and how. `forge backup schedule` takes the same. */
import { Flags } from '@oclif/core';
import { encryptionFlags, toFlags } from './backup-flags.js';

export const WAIT_DEFAULT = '5m';
export const PARALLEL_DEFAULT = 2;
const PARALLEL_MAX = 64;

export const backupRunFlags = {
  ...toFlags,
  ...encryptionFlags,
  node: Flags.string({
    description: 'Back up the data of this node only, and read it from there: its address or id.',
    helpValue: 'NODE',
  }),
  partial: Flags.boolean({
    description: 'Go on without masters that cannot be read; the backup says so, and the exit code is 8.',
    default: false,
  }),
  wait: Flags.string({
    description: 'Wait for slots that are on their way so long at most, for example 30m; 0s not at all.',
    default: WAIT_DEFAULT,
    helpValue: 'DURATION',
  }),
  parallel: Flags.integer({
    description: 'Shards that are read at once.',
    default: PARALLEL_DEFAULT,
    min: 1,
    max: PARALLEL_MAX,
    helpValue: 'N',
  }),
  compression: Flags.option({
    options: ['gzip', 'zstd', 'none'] as const,
    description: 'How objects are compressed; zstd needs Node.js 22.15 or newer, to restore as well.',
    default: 'gzip',
  })(),
  log: Flags.string({ description: 'Append what is done to this file, as JSON lines.', helpValue: 'FILE' }),
  textfile: Flags.string({
    description: 'Tell the node exporter how it went: its folder, or a file NAME.prom.',
    helpValue: 'PATH',
  }),
};
