/** A local cluster as supervised processes of this machine. */
import { tailLines } from '../runtime/files.js';
import { ProcessRuntime } from '../runtime/process/process-runtime.js';
import { findRedisServer, NODE_FILES, redisInstance } from '../runtime/redis-server.js';
import { LOOPBACK, nodeOptions } from './nodes.js';
import type { ClusterPaths } from './paths.js';
import type { LocalPlace, PlaceOptions } from './place.js';
import { refuseBusyPorts } from './port-plan.js';
import { inspectLocalProxy, localProxyRef, proxyLogFile, startLocalProxy } from './proxy.js';

export function processPlace({ paths, state }: PlaceOptions): LocalPlace {
  const runtime = new ProcessRuntime();
  return {
    runtime,
    // A process takes milliseconds to be started; one after the other they come in order.
    startsAtOnce: 1,
    data: paths.directory,
    proxy: {
      log: `Look into ${proxyLogFile(paths)}.`,
      inspect: async () => await inspectLocalProxy(paths),
      start: async (ports, signal) => void (await startLocalProxy(paths, state, ports, signal)),
      stop: async (graceMs) => await runtime.stop(localProxyRef(paths), { graceMs }),
    },
    check: async () => void (await findRedisServer()),
    open: async () => undefined,
    close: async () => undefined,
    // All of it is in the folder of the cluster.
    clear: async () => undefined,
    node: (port) => ({ name: 'redis', directory: paths.node(port) }),
    nodeSpec: async (port, secrets) => {
      const { program } = await findRedisServer();
      const directory = paths.node(port);
      return await redisInstance({ ...nodeOptions(state, secrets), program, port, host: LOOPBACK, directory });
    },
    refuseBusy: refuseBusyPorts,
    logOf: (port) => `Its whole log: ${logFile(paths, port)}`,
    nodeLog: async (port, lines) => await tailLines(logFile(paths, port), lines),
  };
}

function logFile(paths: ClusterPaths, port: number): string {
  return `${paths.node(port)}/${NODE_FILES.log}`;
}
