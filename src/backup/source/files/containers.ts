/** Where the data of deployed nodes is that run as containers on this host's own engine. Only looks. */
import { inspectContainer, listContainers } from '../../../docker/commands/container.js';
import { LOCAL_ENDPOINT } from '../../../docker/endpoint.js';
import { DockerEngine, type EngineOptions } from '../../../docker/engine.js';
import { containerAnswers } from '../../../docker/inspect.js';
import { LABELS, labelFilter } from '../../../docker/labels.js';

/** As `forge deploy redis` mounts it. */
const DATA_TARGET = '/data';
const CONTAINERS_MAX = 1_000;
const PROBE_TIMEOUT_MS = 5_000;
/** Docker's own places, where neither a variable nor a context leads to another host's engine. */
const ELSEWHERE = ['DOCKER_HOST', 'DOCKER_CONTEXT'];

/**
 * The folders of this host that hold the data of deployed nodes; none without an engine here, or without the right to ask
 * it. Whose each is its nodes.conf tells.
 */
export async function containerDirectories(options: EngineOptions = {}): Promise<string[]> {
  const { environment = process.env, signal } = options;
  const away = ELSEWHERE.some((name) => environment[name] && !environment[name]?.startsWith('unix://'));
  if (away) return [];
  const engine = new DockerEngine(LOCAL_ENDPOINT, { probeTimeoutMs: PROBE_TIMEOUT_MS, ...options });
  try {
    await engine.version();
    const listed = await engine.run(listContainers(labelFilter(LABELS.role, 'redis')));
    const ids = listed.split('\n').filter(Boolean).slice(0, CONTAINERS_MAX);
    if (ids.length === 0) return [];
    const containers = await engine.json(inspectContainer(...ids), containerAnswers);
    return containers.flatMap(({ Mounts }) =>
      Mounts.flatMap(({ Destination, Source }) =>
        Destination === DATA_TARGET && Source?.startsWith('/') ? [Source] : [],
      ),
    );
  } catch {
    signal?.throwIfAborted();
    // No engine, no right, or another container went away meanwhile: nothing is found here.
    return [];
  }
}
