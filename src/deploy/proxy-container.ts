/** The proxy as a container. Pure. */
import type { DeployHost, DeploySettings } from '../config/deploy-settings.js';
import { controlPath } from '../proxy/config/control-path.js';
import { CONTAINER_USER, type DesiredContainer } from './container.js';
import { containerNetwork } from './network.js';
import { type NodeFile, ownedByRoot } from './redis-container.js';

export const PROXY_FILES_TARGET = '/etc/forge-proxy';
export const PROXY_CONFIG_FILE = 'proxy.yaml';
export const PROXY_PROGRAM = '/usr/local/bin/forge-proxy';
/** Told to end, it waits so long for its clients to come to a pause. */
const DRAIN_S = 10;
/** One that has handed over lets clients go for a minute that could not be passed on; then it ends. */
const STOP_TIMEOUT_S = 75;
/** Where it says that it is there, to itself and to the one that is to take over from it. */
const MEETING_TARGET = '/run/forge-proxy';
const PID_FILE = 'proxy.pid';
const LOG = { maxSizeMb: 10, maxFiles: 5 };
/** Each look starts three processes in the container: some 0.1 s of processor time. */
const HEALTH = { intervalMs: 10_000, timeoutMs: 3_000, startMs: 10_000, retries: 3 };
/** 10,000 clients, and connections to nodes of every worker. */
const NOFILE = 16_384;

/** Where the admin pages are, on a host's own network and inside a container of another one. */
export function proxyAdminAddress({ proxy }: DeploySettings, host: Pick<DeployHost, 'address'>): string {
  const everywhere = proxy.network.kind === 'bridge' || !/^[0-9.]+$/.test(host.address);
  return `${everywhere ? '0.0.0.0' : host.address}:${proxy.adminPort}`;
}

/** The file by which the proxy is found inside its container; its control socket is beside it. */
function pidFile({ proxy }: Pick<DeploySettings, 'proxy'>): string {
  return `${proxy.network.kind === 'host' ? MEETING_TARGET : '/tmp'}/${PID_FILE}`;
}

/** Where the proxy is told what to do, inside the container. */
export function proxyControl(settings: Pick<DeploySettings, 'proxy'>): string {
  return controlPath(pidFile(settings));
}

/** @param files what it reads; proxy.yaml among them */
export function proxyContainer(
  settings: DeploySettings,
  host: DeployHost,
  files: readonly NodeFile[],
): DesiredContainer {
  const { proxy, cluster } = settings;
  // On the host's own network two can listen on one port, and one take over from the other. The ports of another network
  // are the container's: with it, they and their connections end.
  const meeting = proxy.network.kind === 'host' ? { volume: `${cluster}-proxy-run` } : undefined;
  const probe = [PROXY_PROGRAM, '--health-check', proxyControl(settings)];
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
      args: [
        ...['--config', `${PROXY_FILES_TARGET}/${PROXY_CONFIG_FILE}`, '--pid-file', pidFile(settings)],
        ...['--drain-time', String(DRAIN_S), ...(meeting === undefined ? [] : ['--take-over'])],
      ],
      env: {},
      user: `${CONTAINER_USER.uid}:${CONTAINER_USER.gid}`,
      ...network,
      mounts: meeting === undefined ? [] : [{ ...meeting, target: MEETING_TARGET }],
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
    ...(meeting === undefined ? {} : { meeting }),
    probe,
  };
}
