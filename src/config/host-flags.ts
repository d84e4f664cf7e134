/** Flags of the commands on hosts. */
import { Flags } from '@oclif/core';
import { settingsFlags } from './cluster-flags.js';

export const hostFlags = {
  host: Flags.string({
    description: 'A host: HOST, USER@HOST or ssh://USER@HOST:PORT, over SSH; local for this machine. May be repeated.',
    helpValue: 'HOST',
    multiple: true,
    multipleNonGreedy: true,
  }),
  all: Flags.boolean({
    description: 'Every host that a node of forge.yaml runs on.',
    default: false,
    exclusive: ['host'],
  }),
  sudo: Flags.boolean({ description: 'Work there as root, by sudo without a password.', default: false }),
  maxmemory: Flags.string({
    description: "What a node's data may take (1gb, 500mb); that of forge.yaml when not told.",
    helpValue: 'SIZE',
  }),
  port: Flags.integer({
    description: 'Port of a node on the host, where forge.yaml has none. May be repeated.',
    helpValue: 'PORT',
    min: 1,
    max: 65_535,
    multiple: true,
    multipleNonGreedy: true,
  }),
  ...settingsFlags,
};

export interface HostFlagValues {
  readonly host?: readonly string[];
  readonly all: boolean;
  readonly sudo: boolean;
  readonly maxmemory?: string;
  readonly port?: readonly number[];
  readonly data?: readonly string[];
  readonly config?: string;
  readonly 'env-file'?: string;
  readonly name?: string;
}
