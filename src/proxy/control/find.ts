/** Which proxy of this host is meant when nobody gave its pid file. */
import { defaultPidFile } from '../../config/proxy-flags.js';
import { ForgeError } from '../../errors.js';
import { clusterPaths, forgeHome } from '../../local/paths.js';
import { listClusters, loadState } from '../../local/state.js';
import type { InstancePhase } from '../../runtime/runtime.js';
import { inspectProxy } from './instance.js';

/** A proxy that there may be on this host. */
export interface ProxyPlace {
  /** Absolute. */
  pidFile: string;
  /** The local cluster that it belongs to; null for the one that `forge proxy start` runs. */
  cluster: string | null;
}

export interface SeenProxy extends ProxyPlace {
  phase: InstancePhase;
  pid: number | null;
}

/** What was said of the proxy, and where to look for the ones that run. */
export interface WantedProxy {
  /** Of `--pid-file`; absolute. */
  pidFile?: string;
  /** Of `--name`: the proxy of this local cluster. */
  name?: string;
  /** Of `--home`: the folder of all local clusters, where it is not the usual one. */
  home?: string;
}

export interface FoundProxy extends ProxyPlace {
  /** True when it was found rather than said, and is there: whoever uses it says which. */
  found: boolean;
  /** What runs there; null where the pid file was said, and nobody has looked. */
  phase: InstancePhase | null;
  /** For people: which proxy it is. */
  words: string;
}

/**
 * The proxy that is meant: the one that was said; else the only one that runs here; else, where none runs, the only one
 * that has run, or the standard place.
 * @throws ForgeError `usage` when several run, with each of them, or when two were said; `unreachable` and `refused` when
 *   the local cluster that was said does not exist, or has no proxy
 */
export async function findProxy({ pidFile, name, home: asked }: WantedProxy): Promise<FoundProxy> {
  if (pidFile !== undefined && name !== undefined) {
    throw new ForgeError('usage', '--pid-file (or FORGE_PROXY_PID_FILE) and --name each say which proxy.', {
      next: 'Give one of them.',
    });
  }
  if (pidFile !== undefined) {
    return { pidFile, cluster: null, found: false, phase: null, words: `the proxy of ${pidFile}` };
  }
  const home = forgeHome(asked);
  if (name !== undefined) return await ofCluster(home, name);
  const names = await listClusters(home);
  const places: ProxyPlace[] = [
    { pidFile: defaultPidFile(home), cluster: null },
    ...names.map((cluster) => ({ pidFile: clusterPaths(home, cluster).proxyPid, cluster })),
  ];
  return chooseProxy(await Promise.all(places.map(look)));
}

async function ofCluster(home: string, name: string): Promise<FoundProxy> {
  const paths = clusterPaths(home, name);
  const state = await loadState(paths);
  if (state === undefined) {
    const others = await listClusters(home);
    throw new ForgeError('unreachable', `There is no local cluster "${name}" in ${home}.`, {
      next: others.length === 0 ? 'Start one: forge up' : `There are: ${others.join(', ')}`,
    });
  }
  if (state.proxy === null) {
    throw new ForgeError('refused', `The local cluster "${name}" has no proxy: it was made with --no-proxy.`);
  }
  const place = { pidFile: paths.proxyPid, cluster: name };
  return { ...place, found: false, phase: (await look(place)).phase, words: wordsFor(place) };
}

async function look(place: ProxyPlace): Promise<SeenProxy> {
  try {
    const { phase, pid } = await inspectProxy(place.pidFile);
    return { ...place, phase, pid: pid ?? null };
  } catch (error) {
    // A file that is no pid file names no proxy; whoever says this file is told.
    if (error instanceof ForgeError) return { ...place, phase: 'absent', pid: null };
    throw error;
  }
}

/** @param seen the standard place first. @throws ForgeError `usage` when several run. Pure */
export function chooseProxy(seen: readonly SeenProxy[]): FoundProxy {
  const [standard] = seen;
  if (standard === undefined) throw new Error('there is always the standard place');
  const running = seen.filter(({ phase }) => phase === 'running' || phase === 'waiting');
  if (running.length > 1) throw ambiguous(running);
  const known = seen.filter(({ phase }) => phase !== 'absent');
  const [only] = running.length === 1 ? running : known.length === 1 ? known : [standard];
  const { pidFile, cluster, phase, pid } = only as SeenProxy;
  const words = wordsFor({ pidFile, cluster });
  return {
    pidFile,
    cluster,
    phase,
    found: phase !== 'absent',
    words: pid === null ? words : `${words}, process ${pid}`,
  };
}

function wordsFor({ pidFile, cluster }: ProxyPlace): string {
  return cluster === null ? `the proxy of ${pidFile}` : `the proxy of the local cluster "${cluster}"`;
}

/** More are hardly read; `details` has them all. */
const NAMED_MAX = 10;

function ambiguous(running: readonly SeenProxy[]): ForgeError {
  const lines = running.slice(0, NAMED_MAX).map(({ pidFile, cluster, pid, phase }) => {
    const process = pid === null ? phase : `process ${pid}`;
    return cluster === null ? `--pid-file ${pidFile}   (${process})` : `--name ${cluster}   (${process}, ${pidFile})`;
  });
  const more = running.length > NAMED_MAX ? [`and ${running.length - NAMED_MAX} more: forge status --all`] : [];
  return new ForgeError('usage', `${running.length} proxies run here; say which one is meant.`, {
    next: [...lines, ...more],
    details: { candidates: running.map(({ pidFile, cluster, pid }) => ({ pidFile, cluster, pid })) },
  });
}
