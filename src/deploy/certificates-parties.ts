/** Everybody of a cluster who has certificates in a container, and what of it is to be changed. */
import type { Usage } from '../certs/facts.js';
import { type CertificateSet, certificateSet } from '../certs/install-set.js';
import { parseSubjectName, type SubjectName, uniqueNames } from '../certs/names.js';
import { usagesOf } from '../certs/plan.js';
import { formatAddress } from '../cluster/address.js';
import type { DeploySettings } from '../config/deploy-settings.js';
import { ownAddresses } from '../config/deploy-settings-load.js';
import type { ForgeError } from '../errors.js';
import { type CertificateFile, certificateFiles, observedCertificateFiles } from './certificates-plan.js';
import { proxyPorts, redisPorts, type ServedPort } from './certificates-ports.js';
import type { DesiredContainer } from './container.js';
import type { Deployment, DeployObserver } from './deployment.js';
import { monitoringDeployment } from './monitoring-deployment.js';
import { monitoringEffect } from './monitoring-effect.js';
import type { ObservedContainer } from './observed.js';
import type { EffectOf } from './plan.js';
import { proxyControl } from './proxy-container.js';
import { proxyDeployment } from './proxy-deployment.js';
import { proxyEffect } from './proxy-effect.js';
import { chooseDeployNodes, type NodeChoice, nodeOfContainer, redisDeployment } from './redis-deployment.js';
import { redisEffect } from './redis-files.js';

export type CertificateRole = 'redis' | 'proxy' | 'redis-exporter';

export interface CertificateParty {
  /** `10.0.0.1:6379`, or the name of the container with its host. */
  readonly name: string;
  readonly role: CertificateRole;
  readonly deployment: Deployment;
  readonly desired: DesiredContainer;
  /** Undefined: it has no container. */
  readonly observed?: ObservedContainer;
  /** It is to get what is new. */
  readonly chosen: boolean;
  /** What its certificate has to be good for; undefined: it is one that somebody else's configuration names. */
  readonly usages?: readonly Usage[];
  /** Its certificate has to be for these. */
  readonly names: readonly SubjectName[];
  /** Where it shows its certificate. */
  readonly ports: readonly ServedPort[];
  readonly effectOf: EffectOf;
}

export interface PartyOptions {
  readonly settings: DeploySettings;
  readonly choice: NodeChoice;
  readonly environment: NodeJS.ProcessEnv;
  /** The name that all nodes' certificates are for. */
  readonly serverName?: string | undefined;
  readonly signal?: AbortSignal;
}

export interface Parties {
  readonly parties: readonly CertificateParty[];
  /** Hosts that could not be looked at, and that nothing is to be changed on: with why. */
  readonly unseen: ReadonlyMap<string, ForgeError>;
  readonly deployments: readonly Deployment[];
}

/**
 * Looks at all nodes, proxies and exporters of forge.yaml, chosen or not: those that stay as they are must understand those
 * that change.
 * @throws ForgeError `configuration` for passwords and certificates that are not where they should be; what an engine says
 *   where something is to be changed
 */
export async function lookAtParties(options: PartyOptions): Promise<Parties> {
  const { settings, environment, signal } = options;
  const isChosen = choiceOf(options);
  const common = { settings, environment, ...(signal === undefined ? {} : { signal }) };
  const also = settings.proxy.hosts;
  const { deployment: redis } = await redisDeployment({ ...common, nodes: settings.nodes, also });
  const unseen = new Map<string, ForgeError>();
  await look(redis, unseen, (host) => isChosen({ host }));
  // What is not deployed needs neither its files nor its passwords.
  const [proxyHosts, exporterHosts] = ['proxy', 'redis-exporter'].map((role) => hostsOf(redis, role));
  const further = await Promise.all([
    ...((proxyHosts ?? []).length === 0
      ? []
      : [proxyDeployment({ ...common, hosts: also.filter((host) => proxyHosts?.includes(host)) })]),
    ...((exporterHosts ?? []).length === 0 ? [] : [exporters({ ...common, hosts: exporterHosts ?? [] })]),
  ]);
  await Promise.all(further.map((each) => each.look()));
  const deployments = [redis, ...further];
  const parties = deployments.flatMap((deployment) =>
    deployment.desired.flatMap((desired): CertificateParty[] => {
      const own = ownParts(desired, options);
      if (own === undefined) return [];
      const observed = deployment.seen(desired.host)?.containers.find(({ name }) => name === desired.options.name);
      const chosen = isChosen(desired);
      return [{ deployment, desired, chosen, ...(observed === undefined ? {} : { observed }), ...own }];
    }),
  );
  return { parties, unseen, deployments };
}

type IsChosen = (what: Pick<DesiredContainer, 'host'> & Partial<DesiredContainer>) => boolean;

/** Whether a container is meant; of a host alone, whether anything of it is. */
function choiceOf({ settings, choice }: PartyOptions): IsChosen {
  const isOwn = ownAddresses();
  const nodes = new Set(chooseDeployNodes(settings, choice, isOwn));
  const hosts = new Set([...nodes].map(({ dockerHost }) => dockerHost));
  const unnamed = choice.hosts.length + choice.nodes.length === 0;
  const isHere = (name: string) => {
    const host = settings.hosts.find((each) => each.name === name);
    return host !== undefined && (isOwn(host.address) || host.docker?.startsWith('unix://') === true);
  };
  return ({ host, role, options }) => {
    if (choice.all || choice.hosts.includes(host)) return true;
    if (role === undefined) return hosts.has(host);
    if (role !== 'redis' || options === undefined) return unnamed && isHere(host);
    return nodes.has(nodeOfContainer(settings, settings.nodes, { host, options }));
  };
}

async function look(
  deployment: Deployment,
  unseen: Map<string, ForgeError>,
  isNeeded: (host: string) => boolean,
): Promise<void> {
  await deployment.look((host, error) => {
    if (isNeeded(host)) throw error;
    unseen.set(host, error);
  });
}

/** Hosts that have a container of a role. */
function hostsOf(deployment: Deployment, role: string): string[] {
  return deployment.hosts.filter((host) => deployment.seen(host)?.containers.some((each) => each.role === role));
}

/** Exporters alone: where alerts go, and their secrets, are none of our business. */
async function exporters({
  settings,
  ...options
}: Omit<Parameters<typeof monitoringDeployment>[0], 'cluster'>): Promise<Deployment> {
  const { prometheus: _p, alertmanager: _a, grafana: _g, ...monitoring } = settings.monitoring;
  return monitoringDeployment({ ...options, settings: { ...settings, monitoring: { ...monitoring, receivers: {} } } });
}

function ownParts(
  desired: DesiredContainer,
  { settings, serverName }: PartyOptions,
): Pick<CertificateParty, 'name' | 'role' | 'usages' | 'names' | 'ports' | 'effectOf'> | undefined {
  const { host: hostName, role } = desired;
  const name = `${desired.options.name} on ${hostName}`;
  if (role === 'redis-exporter') {
    return { name, role, usages: usagesOf('client'), names: [], ports: [], effectOf: monitoringEffect };
  }
  if (role === 'proxy') {
    const host = settings.hosts.find((each) => each.name === hostName);
    if (host === undefined) throw new Error(`certificates: no host ${hostName}`);
    return {
      ...{ name, role, names: [], ports: proxyPorts(settings, host, desired) },
      ...(settings.proxy.configFile === undefined ? { usages: usagesOf('proxy') } : {}),
      effectOf: (_, changes) => proxyEffect(changes, proxyControl(settings)),
    };
  }
  if (role !== 'redis') return undefined;
  const node = nodeOfContainer(settings, settings.nodes, desired);
  const { ip, hostname } = node.announce;
  const names = [node.host, ip, hostname, serverName].flatMap((each) =>
    each === undefined ? [] : [parseSubjectName(each)],
  );
  return {
    ...{ name: formatAddress({ host: node.host, port: node.port }), role, usages: usagesOf('node') },
    ...{ names: uniqueNames(names), ports: redisPorts(node) },
    effectOf: (_, changes) => redisEffect(changes, settings.redis.version),
  };
}

/**
 * What runs that were ended halfway have left of those that are to be changed is put right first.
 * @returns whether there was anything: then all is to be looked at anew
 */
export async function recoverParties(
  { parties, deployments }: Parties,
  observer: Pick<DeployObserver, 'command'> & { readonly begun?: () => void },
): Promise<boolean> {
  const chosen = new Set(parties.flatMap((party) => (party.chosen ? [party.desired] : [])));
  let found = false;
  for (const deployment of deployments) {
    const leftovers = (await deployment.leftovers()).filter(({ desired }) => chosen.has(desired));
    if (leftovers.length === 0) continue;
    if (!found) observer.begun?.();
    found = true;
    await deployment.recover(leftovers, observer);
  }
  return found;
}

/** What a party has, and what it is to have. */
export function setsOf({ desired, observed, chosen }: CertificateParty): {
  before: CertificateSet;
  after: CertificateSet;
} {
  const before = setOf(observed === undefined ? [] : observedCertificateFiles(observed));
  return { before, after: chosen ? setOf(certificateFiles(desired)) : before };
}

const setOf = (files: readonly CertificateFile[]) =>
  certificateSet(files.map(({ path, text }) => [path, text] as const));
