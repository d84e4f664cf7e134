/** `forge down`: stops what `forge up` started, and nothing else. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { withLock } from '../runtime/lock.js';
import type { StopOutcome } from '../runtime/runtime.js';
import { type ClusterPaths, clusterPaths } from './paths.js';
import { type LocalPlace, openPlace } from './place.js';
import { type ClusterState, loadState } from './state.js';
import type { RunSteps, Step } from './step.js';

/** Redis flushes its append-only file and lets replicas catch up (`shutdown-timeout`, 10 s) before it ends. */
export const NODE_GRACE_MS = 20_000;
/** The proxy drains for at most 5 s. */
export const PROXY_GRACE_MS = 8_000;

export interface DownRequest {
  home: string;
  name: string;
  /** Delete the data, passwords and logs as well. Whoever asks has confirmed it. */
  purge: boolean;
  runSteps: RunSteps;
}

export interface DownResult {
  name: string;
  directory: string;
  /** Where the nodes' data is, or was, in words. */
  data: string;
  /** False when there is no such cluster. */
  existed: boolean;
  /** What ran and was stopped: `proxy`, `node 7001`. */
  stopped: string[];
  /** Those of `stopped` that did not end by themselves in time. */
  killed: string[];
  purged: boolean;
}

/**
 * Stops the proxy, then the nodes; the data stays unless `purge` says otherwise. Doing it again is no error.
 * @throws ForgeError `locked` while another change is under way, `timeout` when a process does not end
 */
export async function bringDown(request: DownRequest): Promise<DownResult> {
  const paths = clusterPaths(request.home, request.name);
  const result: DownResult = {
    name: paths.name,
    directory: paths.directory,
    data: paths.directory,
    existed: false,
    stopped: [],
    killed: [],
    purged: false,
  };
  // The state is written before the first process: without it nothing can be running.
  if ((await loadState(paths)) === undefined) return result;
  await withLock(paths, 'forge down', async () => {
    const state = await loadState(paths);
    if (state === undefined) return;
    result.existed = true;
    const place = await openPlace({ paths, state });
    result.data = place.data;
    await request.runSteps(downSteps(request, paths, state, place, result));
  });
  return result;
}

function downSteps(
  request: DownRequest,
  paths: ClusterPaths,
  state: ClusterState,
  place: LocalPlace,
  result: DownResult,
): Step[] {
  const note = (what: string, outcome: StopOutcome) => {
    if (outcome !== 'absent') result.stopped.push(what);
    if (outcome === 'killed') result.killed.push(what);
  };
  const steps: Step[] = [
    {
      title: 'Stop the nodes',
      run: async (_, report) => {
        await stopAll(place, state, note);
        await place.close();
        const nodes = result.stopped.filter((what) => what !== 'proxy').length;
        report.title(nodes === 0 ? 'No node was running' : `Stopped ${nodes} nodes`);
      },
    },
  ];
  // The proxy first: it answers its clients while there are still nodes.
  if (state.proxy !== null) {
    steps.unshift({
      title: 'Stop the proxy',
      run: async (_, report) => {
        note('proxy', await place.proxy.stop(PROXY_GRACE_MS));
        report.title(result.stopped.includes('proxy') ? 'Stopped the proxy' : 'The proxy was not running');
      },
    });
  }
  if (request.purge) {
    steps.push({
      title: 'Delete the data',
      run: async () => {
        await place.clear();
        await purge(paths);
        result.purged = true;
      },
    });
  }
  return steps;
}

async function stopAll(
  place: LocalPlace,
  state: ClusterState,
  note: (what: string, outcome: StopOutcome) => void,
): Promise<void> {
  // All at once: the cluster is not to elect new masters while it is put to rest. Every one gets its chance, then the
  // first failure is told.
  const outcomes = await Promise.allSettled(
    state.nodePorts.map(async (port) =>
      note(`node ${port}`, await place.runtime.stop(place.node(port), { graceMs: NODE_GRACE_MS })),
    ),
  );
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

/** The state goes last, so that an interrupted deletion can be run again. */
async function purge(paths: ClusterPaths): Promise<void> {
  for (const part of [paths.proxy, path.join(paths.directory, 'nodes'), paths.secrets, paths.directory]) {
    await rm(part, { recursive: true, force: true });
  }
}
