/** Where the proxies are that forge.yaml has deployed, and as whom an application comes in at their door. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import type { NodeAddress } from '../cluster/address.js';
import { readSecret } from './deploy-secrets.js';
import type { DeployUser } from './deploy-settings.js';
import { resolved } from './deploy-settings-load.js';
import { deployedTls } from './deployed-access.js';
import type { ForgeCluster } from './forge-file.js';
import { folderOf, type Settings } from './resolve.js';

export interface DeployedProxy {
  /** A name of `hosts`. */
  readonly host: string;
  readonly endpoint: NodeAddress;
  readonly admin: NodeAddress;
}

/** What an application needs besides the address. */
export interface EndpointAccess {
  readonly password: string;
  /** The file of the authority, where the proxy speaks TLS to its clients. */
  readonly ca?: string;
}

/** Whether forge.yaml says that proxies are deployed, more than where one is that somebody else runs. */
export function deploysProxies({ proxy = {} }: Pick<ForgeCluster, 'proxy'>): boolean {
  const { config: _config, endpoint: _endpoint, admin: _admin, ...deployed } = proxy;
  return Object.keys(deployed).length > 0;
}

/** The proxies of forge.yaml, each at the address of its host; none where it deploys none. */
export function deployedProxies(settings: Settings): DeployedProxy[] {
  const { cluster } = settings;
  if (cluster === undefined || !deploysProxies(cluster)) return [];
  const { proxy, hosts } = resolved(settings).settings;
  return proxy.hosts.map((name): DeployedProxy => {
    const host = hosts.find((each) => each.name === name)?.address ?? name;
    return { host: name, endpoint: { host, port: proxy.port }, admin: { host, port: proxy.adminPort } };
  });
}

/**
 * The user whose password opens the door of a proxy that has no configuration of its own: that of applications, or the
 * administrator where theirs is made for the inside and known to nobody.
 */
export function doorUser<User extends Pick<DeployUser, 'role' | 'password'>>(users: readonly User[]): User | undefined {
  const app = users.find(({ role }) => role === 'app');
  return app === undefined || 'derived' in app.password ? users.find(({ role }) => role === 'admin') : app;
}

/**
 * How an application gets in.
 * @returns undefined where the proxy has a configuration of its own: only that knows
 * @throws ForgeError `configuration` for a password that is not where it should be
 */
export async function endpointAccess(settings: Settings): Promise<EndpointAccess | undefined> {
  const { cluster, environment } = settings;
  if (cluster === undefined || cluster.proxy?.config !== undefined) return undefined;
  const { redis, folder } = resolved(settings).settings;
  const place = doorUser(redis.users)?.password;
  if (place === undefined || 'derived' in place) return undefined;
  const directory = redis.tls?.directory;
  const own =
    directory !== undefined &&
    ['server.crt', 'server.key'].every((file) => isThere(path.join(directory, 'proxy', file)));
  const ca = own ? deployedTls(cluster, folderOf(settings))?.ca : undefined;
  return { password: await readSecret(place, folder, environment), ...(ca === undefined ? {} : { ca }) };
}

function isThere(file: string): boolean {
  try {
    accessSync(file, constants.F_OK);
    return true;
  } catch {
    return false;
  }
}
