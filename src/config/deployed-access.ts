/** How forge itself speaks to nodes that it deploys: what `redis.tls` and `redis.users` of forge.yaml come to for a client. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import type { FileCredentials } from './credentials.js';
import type { ForgeCluster } from './forge-file.js';

/** Names of files, absolute. */
export interface TlsFiles {
  readonly ca: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** What `forge gen-certs` makes where it is not told of other clients. */
const CLIENT = { certificate: 'clients/forge/client.crt', key: 'clients/forge/client.key' } as const;
/** Names that nothing in forge.yaml gives. */
const ADMIN = { name: 'admin', variable: 'REDIS_REQUIREPASS' } as const;

/**
 * The authority of `redis.tls`, and the certificate of the client `forge` where the folder has one.
 * @param folder what names of files are relative to
 * @returns undefined where nodes are not deployed with TLS
 */
export function deployedTls(cluster: Pick<ForgeCluster, 'redis'> | undefined, folder: string): TlsFiles | undefined {
  const tls = cluster?.redis?.tls;
  if (tls === undefined || tls === false) return undefined;
  const directory = path.resolve(folder, tls.directory);
  const [bundle, authority] = [path.join(directory, 'ca-bundle.crt'), path.join(directory, 'ca.crt')];
  const [certificate, key] = [path.join(directory, CLIENT.certificate), path.join(directory, CLIENT.key)];
  // Where neither is, the one that is missing is told by its name.
  const ca = isReadable(bundle) || !isReadable(authority) ? bundle : authority;
  const both = isReadable(certificate) && isReadable(key);
  return { ca, ...(both ? { certificate, key } : {}) };
}

/**
 * The administrator of `redis.users`, as who forge logs in where `credentials` says nothing. Without a word about one the
 * user `default` has the same password and the same rights, and no name is needed.
 */
export function deployedAdmin(
  cluster: Pick<ForgeCluster, 'redis'>,
): Pick<FileCredentials, 'username' | 'password'> | undefined {
  const { admin, default: plain } = cluster.redis?.users ?? {};
  if (admin === undefined && plain !== false) return undefined;
  return { username: admin?.name ?? ADMIN.name, password: admin?.password ?? { environment: ADMIN.variable } };
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
