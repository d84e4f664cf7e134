/** The proxies of forge.yaml as containers. */
import { readUserPasswords } from '../config/deploy-secrets.js';
import type { DeploySettings } from '../config/deploy-settings.js';
import { ForgeError } from '../errors.js';
import { withNext } from './carry-out.js';
import { Deployment, type DeployObserver } from './deployment.js';
import type { DeployAction } from './plan.js';
import { proxyContainer, proxyControl } from './proxy-container.js';
import { proxyEffect } from './proxy-effect.js';
import { proxyFiles } from './proxy-files.js';

export interface ProxyDeploymentOptions {
  readonly settings: DeploySettings;
  /** Names of hosts. */
  readonly hosts: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** False: the old proxy ends before the new one starts. */
  readonly handOver?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * @throws ForgeError `usage` for a host that forge.yaml does not have, `configuration` for files and passwords that are
 *   not where they should be
 */
export async function proxyDeployment(options: ProxyDeploymentOptions): Promise<Deployment> {
  const { settings, environment, signal } = options;
  if (options.hosts.length === 0) {
    throw new ForgeError('usage', 'There is no host for a proxy.', { next: 'Name it in forge.yaml: proxy.hosts.' });
  }
  const hosts = options.hosts.map((name) => {
    const host = settings.hosts.find((each) => each.name === name);
    if (host !== undefined) return host;
    throw new ForgeError('usage', `There is no host ${name}.`, {
      next: `Hosts: ${settings.hosts.map((each) => each.name).join(', ')}.`,
    });
  });
  const users = await readUserPasswords(settings, environment);
  const desired = await Promise.all(
    hosts.map(async (host) => proxyContainer(settings, host, await proxyFiles(settings, host, { users, environment }))),
  );
  return new Deployment({
    cluster: settings.cluster,
    hosts: settings.hosts,
    desired,
    effectOf: (_, changes) => proxyEffect(changes, proxyControl(settings)),
    ...(options.handOver === undefined ? {} : { handOver: options.handOver }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * Carries out what is planned: what serves is replaced one after the other, each when the one before it serves, so that
 * clients always have another one; all else side by side, and first.
 * @throws ForgeError the first failure: then no other one is replaced
 */
export async function deployProxies(
  deployment: Pick<Deployment, 'carryOut'>,
  actions: readonly DeployAction[],
  observer: DeployObserver = {},
): Promise<void> {
  await deployment.carryOut(
    actions.filter(({ kind }) => kind !== 'replace'),
    observer,
  );
  const replaced = actions.filter(({ kind }) => kind === 'replace');
  for (const [index, action] of replaced.entries()) {
    try {
      await deployment.carryOut([action], observer);
    } catch (error) {
      const left = replaced.slice(index + 1).map(({ desired }) => desired.host);
      throw left.length === 0
        ? error
        : withNext(error, `Not touched, as one after the other is replaced: ${left.join(', ')}.`);
    }
  }
}
