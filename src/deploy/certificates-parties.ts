/** Everybody of a cluster who has certificates in a container, and what of it is to be changed. */
import { type CertificateSet, certificateSet } from '../certs/install-set.js';
import { parseSubjectName, type SubjectName, uniqueNames } from '../certs/names.js';
import { formatAddress } from '../cluster/address.js';
import type { DeploySettings } from '../config/deploy-settings.js';
import { ownAddresses } from '../config/deploy-settings-load.js';
import { ForgeError } from '../errors.js';
import { certificateFiles, observedCertificateFiles } from './certificates-plan.js';
import { proxyPorts, redisPorts, type ServedPort } from './certificates-ports.js';
import type { DesiredContainer } from './container.js';
import type { Deployment, DeployObserver } from './deployment.js';
import type { ObservedContainer } from './observed.js';
import type { EffectOf } from './plan.js';
import { proxyAdminFromInside } from './proxy-container.js';
import { proxyDeployment } from './proxy-deployment.js';
import { proxyEffect } from './proxy-effect.js';
import { nodeContainerName } from './redis-container.js';
import { chooseDeployNodes, type NodeChoice, redisDeployment } from './redis-deployment.js';
import { redisEffect } from './redis-files.js';

export interface CertificateParty {
  /** `10.0.0.1:6379`, or the name of the container. */
  readonly name: string;
  readonly role: 'redis' | 'proxy';
  readonly deployment: Deployment;
  readonly desired: DesiredContainer;
  /** Undefined: it has no container. */
  readonly observed?: ObservedContainer;
  /** It is to get what is new. */
  readonly chosen: boolean;
  /** Its certificate is of the folder, and not one that somebody else's configuration names. */
  readonly own: boolean;
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
  readonly serverName?: string;
  readonly signal?: AbortSignal;
}

export interface Parties {
  readonly parties: readonly CertificateParty[];
  /** Hosts that could not be looked at, and that nothing is to be changed on: with why. */
  readonly unseen: ReadonlyMap<string, ForgeError>;
  readonly deployments: readonly Deployment[];
}

/**
 * Looks at all nodes and proxies of forge.yaml, chosen or not: those that stay as they are must understand those that change.
 * @throws ForgeError `configuration` for passwords and certificates that are not where they should be; what an engine says
 *   where something is to be changed
 */
export async function lookAtParties(options: PartyOptions): Promise<Parties> {
  const { settings, choice, environment, signal } = options;
  const isOwn = ownAddresses();
  const chosenNodes = new Set(
    chooseDeployNodes(settings, choice, isOwn).map((node) => nodeContainerName(settings, node)),
  );
  const here = choice.hosts.length + choice.nodes.length === 0;
  const isChosen = ({ host, role, options: { name } }: DesiredContainer) => {
    if (choice.all || choice.hosts.includes(host)) return true;
    if (role === 'redis') return chosenNodes.has(name);
    const found = settings.hosts.find((each) => each.name === host);
    return here && found !== undefined && (isOwn(found.address) || found.docker?.startsWith('unix://') === true);
  };
  const more = signal === undefined ? {} : { signal };
  const { deployment: redis } = await redisDeployment({ settings, nodes: settings.nodes, environment, ...more });
  const { hosts } = settings.proxy;
  const proxies = hosts.length === 0 ? undefined : await proxyDeployment({ settings, hosts, environment, ...more });
  const deployments = proxies === undefined ? [redis] : [redis, proxies];
  const unseen = new Map<string, ForgeError>();
  await Promise.all(deployments.map((each) => lookAt(each, unseen, isChosen)));
  const parties = deployments.flatMap((deployment) =>
    deployment.desired.map((desired): CertificateParty => {
      const observed = deployment.seen(desired.host)?.containers.find(({ name }) => name === desired.options.name);
      const common = {
        deployment,
        desired,
        chosen: isChosen(desired),
        ...(observed === undefined ? {} : { observed }),
      };
      return deployment === redis
        ? { ...common, ...nodeParts(desired, options) }
        : { ...common, ...proxyParts(desired, settings) };
    }),
  );
  return { parties, unseen, deployments };
}

async function lookAt(
  deployment: Deployment,
  unseen: Map<string, ForgeError>,
  isChosen: (desired: DesiredContainer) => boolean,
): Promise<void> {
  const missed = (host: string, error: ForgeError) => {
    if (deployment.desired.some((each) => each.host === host && isChosen(each))) throw error;
    unseen.set(host, error);
  };
  try {
    await deployment.look(missed);
  } catch (error) {
    // No host of this deployment could be looked at.
    if (!(error instanceof ForgeError)) throw error;
    for (const host of deployment.hosts) missed(host, error);
  }
}

function nodeParts(desired: DesiredContainer, { settings, serverName }: PartyOptions) {
  const node = settings.nodes.find((each) => nodeContainerName(settings, each) === desired.options.name);
  if (node === undefined) throw new Error(`certificates: no node ${desired.options.name}`);
  const { ip, hostname } = node.announce;
  const names = [node.host, ip, hostname, serverName].flatMap((each) =>
    each === undefined ? [] : [parseSubjectName(each)],
  );
  const effectOf: EffectOf = (_, changes) => redisEffect(changes, settings.redis.version);
  return {
    name: formatAddress({ host: node.host, port: node.port }),
    role: 'redis' as const,
    own: true,
    names: uniqueNames(names),
    ports: redisPorts(node),
    effectOf,
  };
}

function proxyParts(desired: DesiredContainer, settings: DeploySettings) {
  const host = settings.hosts.find(({ name }) => name === desired.host);
  if (host === undefined) throw new Error(`certificates: no host ${desired.host}`);
  const effectOf: EffectOf = (_, changes) => proxyEffect(changes, proxyAdminFromInside(settings, host));
  return {
    name: desired.options.name,
    role: 'proxy' as const,
    own: settings.proxy.configFile === undefined,
    names: [],
    ports: proxyPorts(settings, host, desired),
    effectOf,
  };
}

/** What runs that were ended halfway have left of those that are to be changed is put right first. */
export async function recoverParties(
  { parties, deployments }: Parties,
  observer: Pick<DeployObserver, 'command'> & { begun?: () => void },
): Promise<boolean> {
  const chosen = new Set(parties.flatMap(({ chosen, desired }) => (chosen ? [desired] : [])));
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
  const before = certificateSet(pairsOf(observed === undefined ? [] : observedCertificateFiles(observed)));
  return { before, after: chosen ? certificateSet(pairsOf(certificateFiles(desired))) : before };
}

const pairsOf = (files: readonly { path: string; text: string }[]) =>
  files.map(({ path, text }) => [path, text] as const);
