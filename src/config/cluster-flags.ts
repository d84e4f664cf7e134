/** Flags of all commands that talk to a cluster, and what they lead to. */
import { Flags } from '@oclif/core';
import { loadSettings, type Settings, type TargetFlags } from './resolve.js';

/** `--config --env-file --name`: where settings come from. */
export const settingsFlags = {
  config: Flags.string({
    description: 'Settings instead of ./forge.yaml (FORGE_CONFIG); /dev/null for none.',
    helpValue: 'FILE',
  }),
  'env-file': Flags.string({
    description: 'Variables instead of those in ./.env; /dev/null for none.',
    helpValue: 'FILE',
  }),
  name: Flags.string({
    description: 'A cluster of forge.yaml (FORGE_CLUSTER), or a local one of forge up.',
    helpValue: 'NAME',
  }),
};

export interface SettingsFlagValues {
  readonly config?: string;
  readonly 'env-file'?: string;
  readonly name?: string;
}

/** `--seed`, credentials, TLS, and where else settings come from. */
export const clusterFlags = {
  seed: Flags.string({
    description:
      'Nodes to begin at, separated by commas; any live one does. Else CLUSTER_SEED, CLUSTER_NODES, forge.yaml, 127.0.0.1:$REDIS_PORT.',
    helpValue: 'HOST:PORT',
  }),
  username: Flags.string({ description: 'ACL user to log in as (REDIS_USERNAME).', helpValue: 'NAME' }),
  'password-file': Flags.string({ description: 'File that holds the password.', helpValue: 'FILE' }),
  tls: Flags.boolean({ description: 'Speak TLS to the nodes (REDIS_TLS).' }),
  cacert: Flags.string({ description: 'Authority of the nodes’ certificates (REDIS_TLS_CA).', helpValue: 'FILE' }),
  cert: Flags.string({ description: 'Client certificate (REDIS_TLS_CERT).', helpValue: 'FILE' }),
  key: Flags.string({ description: 'Key of the client certificate (REDIS_TLS_KEY).', helpValue: 'FILE' }),
  sni: Flags.string({ description: 'Name that all nodes’ certificates are for (REDIS_TLS_SNI).', helpValue: 'NAME' }),
  ...settingsFlags,
};

export interface ClusterFlagValues extends SettingsFlagValues, TargetFlags {}

/** forge.yaml and `.env`, by flags and environment. */
export function readSettings(
  flags: SettingsFlagValues,
  environment: NodeJS.ProcessEnv = process.env,
  options: { unchosen?: boolean } = {},
): Promise<Settings> {
  return loadSettings({ config: flags.config, envFile: flags['env-file'], name: flags.name, environment, ...options });
}
