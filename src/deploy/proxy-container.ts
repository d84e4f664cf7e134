/** The proxy as a container. Pure. */
import type { DeployHost, DeploySettings } from '../config/deploy-settings.js';
import { CONTAINER_USER, type DesiredContainer } from './container.js';
import { containerNetwork } from './network.js';
import { type NodeFile, ownedByRoot } from './redis-container.js';

export const PROXY_FILES_TARGET = '/etc/forge-proxy';
export const PROXY_CONFIG_FILE = 'proxy.yaml';
export const PROXY_PROGRAM = '/usr/local/bin/forge-proxy';
/** The proxy lets its clients finish for a minute; then it ends. */
const STOP_TIMEOUT_S = 75;
const LOG = { maxSizeMb: 10, maxFiles: 5 };
const HEALTH = { intervalMs: 5_000, timeoutMs: 3_000, startMs: 10_000, retries: 3 };
/** 10,000 clients, and connections to nodes of every worker. */
const NOFILE = 16_384;

/** Where the admin pages are, inside the container and on a host's own network. */
export function proxyAdminAddress({ proxy }: DeploySettings, host: Pick<DeployHost, 'address'>): string {
  const everywhere = proxy.network.kind === 'bridge' || !/^[0-9.]+$/.test(host.address);
  return `${everywhere ? '0.0.0.0' : host.address}:${proxy.adminPort}`;
}

/** The same, as the proxy itself reaches it. */
export function proxyAdminFromInside(settings: DeploySettings, host: Pick<DeployHost, 'address'>): string {
  return proxyAdminAddress(settings, host).replace(/^0\.0\.0\.0:/, '127.0.0.1:');
}

/** @param files what it reads; proxy.yaml among them */
export function proxyContainer(
  settings: DeploySettings,
  host: DeployHost,
  files: readonly NodeFile[],
): DesiredContainer {
  const { proxy, cluster } = settings;
  const probe = [PROXY_PROGRAM, '--health-check', proxyAdminFromInside(settings, host)];
  const { options: network, made } = containerNetwork(proxy.network, [proxy.port, proxy.adminPort]);
  return {
    cluster,
    host: host.name,
    role: 'proxy',
    instance: 'proxy',
    options: {
      name: `${cluster}-proxy`,
      image: proxy.image,
      entrypoint: PROXY_PROGRAM,
      args: ['--config', `${PROXY_FILES_TARGET}/${PROXY_CONFIG_FILE}`],
      env: {},
      user: `${CONTAINER_USER.uid}:${CONTAINER_USER.gid}`,
      ...network,
      mounts: [],
      tmpfs: ['/tmp'],
      restart: 'unless-stopped',
      ...proxy.limits,
      nofile: NOFILE,
      health: { command: probe, ...HEALTH },
      log: LOG,
      labels: {},
      stopTimeoutS: STOP_TIMEOUT_S,
      pull: 'never',
    },
    ...made,
    data: [],
    files: ownedByRoot(files),
    filesTarget: PROXY_FILES_TARGET,
    probe,
  };
}
