/** The proxy in front of a local cluster. */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { readiness } from '../proxy/control/admin.js';
import { type DetachedProxy, startDetached } from '../proxy/control/detached.js';
import { inspectProxy } from '../proxy/control/instance.js';
import { proxyInstance } from '../proxy/control/pid-file.js';
import { makePrivateDirectory, writeFileAtomic } from '../runtime/files.js';
import { plainEnvironment } from '../runtime/redis-server.js';
import type { InstanceRef, InstanceState } from '../runtime/runtime.js';
import { readTemplate, renderTemplate } from '../runtime/template.js';
import { waitFor } from '../runtime/wait.js';
import { LOOPBACK } from './nodes.js';
import type { ClusterPaths } from './paths.js';
import type { ProxyPorts } from './place.js';
import { secretFile } from './secrets.js';
import type { ClusterState } from './state.js';

/** Until the proxy, which listens already, has learned the cluster, milliseconds. */
export const PROXY_READY_MS = 15_000;
const POLL_MS = 50;
/** More threads than this serve nobody on a developer's machine, where the nodes want cores too. */
const WORKERS_MAX = 4;

type LocalNodes = Pick<ClusterState, 'nodePorts' | 'sharded'>;

export function localProxyRef(paths: ClusterPaths): InstanceRef {
  return proxyInstance(paths.proxyPid);
}

export function proxyLogFile(paths: ClusterPaths): string {
  return path.join(paths.proxy, 'proxy.log');
}

export async function inspectLocalProxy(paths: ClusterPaths): Promise<InstanceState> {
  return await inspectProxy(paths.proxyPid);
}

export interface ProxyConfigPlaces {
  /** Where it listens. */
  host: string;
  /** The file of a password, as the proxy sees it. */
  secretFile(name: 'endpoint' | 'app'): string;
}

/** The proxy's configuration: every node as an endpoint, passwords by the files that hold them. */
export async function renderProxyConfig(
  { host, secretFile: fileOf }: ProxyConfigPlaces,
  state: LocalNodes,
  ports: ProxyPorts,
): Promise<string> {
  // A JSON text is a YAML text: whatever a path holds is quoted right.
  return renderTemplate(await readTemplate('proxy.yaml'), {
    adminAddress: JSON.stringify(`${host}:${ports.adminPort}`),
    address: JSON.stringify(`${host}:${ports.port}`),
    endpointPasswordFile: JSON.stringify(fileOf('endpoint')),
    type: state.sharded ? 'sharded' : 'redis_cluster',
    endpoints: JSON.stringify(state.nodePorts.map((port) => `${LOOPBACK}:${port}`)),
    user: 'app',
    userPasswordFile: JSON.stringify(fileOf('app')),
    workers: Math.min(WORKERS_MAX, availableParallelism()),
  });
}

/** Renders the configuration and starts the proxy. @throws ForgeError as `startDetached` */
export async function startLocalProxy(
  paths: ClusterPaths,
  state: LocalNodes,
  ports: ProxyPorts,
  signal?: AbortSignal,
): Promise<DetachedProxy> {
  await makePrivateDirectory(paths.proxy);
  const places: ProxyConfigPlaces = { host: LOOPBACK, secretFile: (name) => secretFile(paths, name) };
  await writeFileAtomic(paths.proxyConfig, await renderProxyConfig(places, state, ports), 0o600);
  return await startDetached(
    { config: paths.proxyConfig, pidFile: paths.proxyPid, logFile: proxyLogFile(paths), env: plainEnvironment() },
    signal,
  );
}

/**
 * Waits until `/ready` says so.
 * @param log how to see what it says: a sentence
 * @throws ForgeError `timeout` with what it says instead
 */
export async function waitUntilProxyReady(log: string, ports: ProxyPorts, signal?: AbortSignal): Promise<void> {
  let last = 'it does not answer';
  const ready = await waitFor(
    async () => {
      try {
        const answer = await readiness({ host: LOOPBACK, port: ports.adminPort }, signal);
        last = `it says ${answer.state}`;
        return answer.ready ? true : undefined;
      } catch (error) {
        if (!(error instanceof ForgeError)) throw error;
        last = error.message;
        return undefined;
      }
    },
    { timeoutMs: PROXY_READY_MS, intervalMs: POLL_MS, signal },
  );
  if (ready !== undefined) return;
  throw new ForgeError('timeout', `The proxy is not ready after ${PROXY_READY_MS / 1000} s: ${last}.`, {
    host: `${LOOPBACK}:${ports.adminPort}`,
    next: log,
  });
}
