/** Flags of `forge backup` itself: what is read, and how. `forge backup schedule` takes the same. */
import path from 'node:path';
import { Flags } from '@oclif/core';
import { ForgeError } from '../errors.js';
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
  source: Flags.option({
    options: ['auto', 'network', 'files'] as const,
    description:
      'Where data comes from: the network, or the files of nodes that are on this host; auto takes files where the network is refused.',
    default: 'auto',
  })(),
  'data-dir': Flags.string({
    description: 'Where the files of a node are on this host. May be repeated.',
    helpValue: 'NODE=DIR',
    multiple: true,
    multipleNonGreedy: true,
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
  prune: Flags.boolean({
    description:
      'Remove old backups afterwards, by the rules of forge.yaml or BACKUP_RETENTION_DAYS, where there are any (default).',
    allowNo: true,
    default: true,
  }),
  log: Flags.string({ description: 'Append what is done to this file, as JSON lines.', helpValue: 'FILE' }),
  textfile: Flags.string({
    description: 'Tell the node exporter how it went: its folder, or a file NAME.prom.',
    helpValue: 'PATH',
  }),
};

/**
 * Data directories by node, as `--data-dir` says them; absolute.
 * @throws ForgeError `usage` for what is no NODE=DIR
 */
export function dataDirectories(words: readonly string[] = []): Map<string, string> {
  return new Map(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at > 0 && at < word.length - 1) return [word.slice(0, at), path.resolve(word.slice(at + 1))];
      throw new ForgeError('usage', `--data-dir ${word}: this is no NODE=DIR.`, {
        next: 'Write for example --data-dir 10.0.0.1:6379=/var/lib/redis.',
      });
    }),
  );
}
