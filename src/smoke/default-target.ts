/** What is tested when no address is given: what forge.yaml names, the local cluster, or Redis's own port; and as whom. */
import type { ConnectionOptions } from 'node:tls';
import { parseAddressList } from '../cluster/address.js';
import { type Credentials, readCredentials } from '../config/credentials.js';
import { credentialSources, resolveTarget, type Settings, type TargetFlags } from '../config/resolve.js';
import { readTls } from '../config/tls.js';
import { LOOPBACK } from '../local/nodes.js';
import { clusterPaths, DEFAULT_NAME, forgeHome } from '../local/paths.js';
import { secretFile } from '../local/secrets.js';
import { loadState } from '../local/state.js';
import { localTarget } from '../local/target.js';
import type { SmokeOptions } from './types.js';

export const DEFAULT_PORT = 6379;

export interface ChosenTarget extends Pick<SmokeOptions, 'host' | 'port' | 'username' | 'password' | 'admin' | 'tls'> {
  /** Who named it; undefined for what was given, and for Redis's own port. */
  readonly words?: string;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * The target, and who logs in to it. An address that was given is taken as it is; without one it is the endpoint of the
 * cluster in forge.yaml, or else a node of it; then the local cluster's endpoint; then Redis's own port.
 * @param environment where FORGE_HOME is; all else is in the settings
 * @throws ForgeError `configuration` for a secret or a certificate that cannot be used, `usage` for a name that nobody has
 */
export async function chooseTarget(
  given: Address | undefined,
  flags: TargetFlags,
  settings: Settings,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<ChosenTarget> {
  const { cluster } = settings;
  const deployed = given === undefined ? await deployedTarget(flags, settings) : undefined;
  if (deployed !== undefined) return deployed;
  const endpoint = given ?? cluster?.proxy?.endpoint;
  if (endpoint !== undefined) {
    const words = given === undefined ? `the endpoint of ${cluster?.name} in forge.yaml` : undefined;
    const admin = given === undefined ? cluster?.proxy?.admin : undefined;
    const [credentials, tls] = await Promise.all([
      readCredentials(credentialSources(flags, settings)),
      tlsByFlags(flags),
    ]);
    return { host: endpoint.host, port: endpoint.port, ...credentials, ...tls, ...part({ admin, words }) };
  }
  if (cluster !== undefined && cluster.nodes.length > 0) {
    const { seeds, connect } = await resolveTarget(flags, settings);
    const [seed] = parseAddressList(seeds.text);
    if (seed !== undefined) {
      return { host: seed.host, port: seed.port, ...connect, words: `a node of ${cluster.name} (${seeds.source})` };
    }
  }
  return localEndpoint(flags, settings, environment);
}

/**
 * A proxy that forge.yaml deploys: where it is, and how an application gets in, need not be said twice.
 * @returns undefined where it deploys none
 */
async function deployedTarget(flags: TargetFlags, settings: Settings): Promise<ChosenTarget | undefined> {
  const { cluster } = settings;
  if (cluster?.proxy === undefined) return undefined;
  // Only for those who have one: what a deployment is to be takes more reading than all else here.
  const { deployedProxies, endpointAccess } = await import('../config/deployed-endpoint.js');
  const [proxy] = deployedProxies(settings);
  if (proxy === undefined) return undefined;
  const { endpoint = proxy.endpoint, admin = proxy.admin } = cluster.proxy;
  const asked = flags.username !== undefined || flags['password-file'] !== undefined;
  const access = await endpointAccess(settings);
  const credentials =
    asked || access === undefined
      ? await readCredentials(credentialSources(flags, settings))
      : { password: access.password };
  const tls = flags.cacert === undefined ? { ...flags, cacert: access?.ca } : flags;
  return {
    ...{ host: endpoint.host, port: endpoint.port, admin, ...credentials },
    ...(flags.tls === false ? {} : await tlsByFlags(tls)),
    words:
      cluster.proxy.endpoint === undefined
        ? `the proxy of ${cluster.name} on ${proxy.host} (forge.yaml)`
        : `the endpoint of ${cluster.name} in forge.yaml`,
  };
}

async function localEndpoint(
  flags: TargetFlags,
  settings: Settings,
  environment: NodeJS.ProcessEnv,
): Promise<ChosenTarget> {
  const { unknownName, forgeFile } = settings;
  const paths = clusterPaths(forgeHome(undefined, environment), unknownName ?? DEFAULT_NAME);
  const state = await loadState(paths);
  const [own, tls] = await Promise.all([readCredentials(credentialSources(flags, settings)), tlsByFlags(flags)]);
  if (state?.formed && state.proxy !== null) {
    // What the environment says is for another cluster than one that was named.
    const asked = flags.username !== undefined || flags['password-file'] !== undefined;
    const told = asked || (unknownName === undefined && own.password !== undefined);
    const secret = { passwordFile: secretFile(paths, 'endpoint'), environment: {} };
    const credentials: Credentials = told ? own : await readCredentials(secret);
    return {
      host: LOOPBACK,
      port: state.proxy.port,
      admin: { host: LOOPBACK, port: state.proxy.adminPort },
      ...credentials,
      ...tls,
      words: `the endpoint of the local cluster ${unknownName ?? DEFAULT_NAME}`,
    };
  }
  if (unknownName === undefined) return { host: LOOPBACK, port: DEFAULT_PORT, ...own, ...tls };
  const names = forgeFile?.content.clusters.map(({ name }) => name);
  const { addresses, username, passwordFile } = await localTarget(unknownName, names, environment);
  const [node = { host: LOOPBACK, port: DEFAULT_PORT }] = parseAddressList(addresses.join(','));
  const sources = { username: flags.username ?? username, passwordFile: flags['password-file'] ?? passwordFile };
  const credentials = await readCredentials({ ...sources, environment: {} });
  return {
    host: node.host,
    port: node.port,
    ...credentials,
    ...tls,
    words: `a node of the local cluster ${unknownName}`,
  };
}

/** TLS of forge.yaml and of the environment is that of the nodes: what a proxy speaks to its clients is another matter. */
async function tlsByFlags(flags: TargetFlags): Promise<{ tls?: ConnectionOptions }> {
  const { tls, cacert: caFile, cert: certificateFile, key: keyFile, sni: serverName } = flags;
  return part({ tls: await readTls({ tls, caFile, certificateFile, keyFile, serverName, environment: {} }) });
}

/** Without what is undefined. */
function part<Value extends object>(value: Value): { [Key in keyof Value]?: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as never;
}
