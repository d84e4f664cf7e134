/** Flags of all commands that talk to a cluster, and what they lead to. */
import { Flags } from '@oclif/core';
import { type Credentials, readCredentials } from './credentials.js';
import { readTls } from './tls.js';

/** `--seed`, credentials and TLS. */
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
};

export interface ClusterFlagValues {
  readonly seed?: string;
  readonly username?: string;
  readonly 'password-file'?: string;
  readonly tls?: boolean;
  readonly cacert?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly sni?: string;
}

/** Who to log in as, and how, by flags and environment. */
export async function readConnect(
  flags: ClusterFlagValues,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Credentials & { tls?: Awaited<ReturnType<typeof readTls>> }> {
  const [credentials, tls] = await Promise.all([
    readCredentials({ username: flags.username, passwordFile: flags['password-file'], environment }),
    readTls({
      tls: flags.tls,
      caFile: flags.cacert,
      certificateFile: flags.cert,
      keyFile: flags.key,
      serverName: flags.sni,
      environment,
    }),
  ]);
  return { ...credentials, ...(tls === undefined ? {} : { tls }) };
}
