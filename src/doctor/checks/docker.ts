/** Docker: its command line here, and the engine of every host of forge.yaml. */
import { settleBounded } from '../../cluster/bounded.js';
import { type DockerEndpoint, parseEndpoint } from '../../docker/endpoint.js';
import { DockerEngine } from '../../docker/engine.js';
import type { HostEntry } from '../../host/hosts-of.js';
import { type DoctorContext, PARALLEL_MAX } from '../context.js';
import { type DoctorFinding, fromError, pass } from '../finding.js';

const PROBE_MS = 6_000;

interface Asked {
  readonly name: string;
  readonly endpoint: () => DockerEndpoint;
  /** Somebody wrote it down: then it must be there. */
  readonly wanted: boolean;
}

function endpointOf(name: string, { docker, context }: HostEntry): DockerEndpoint {
  if (docker !== undefined) return parseEndpoint(docker, name);
  return { name, ...(context === undefined ? {} : { context }) };
}

/** Engines of `hosts`; without any, the one that `docker` talks to by itself. */
function engines({ settings }: DoctorContext): Asked[] {
  const hosts: Readonly<Record<string, HostEntry>> = settings?.cluster?.hosts ?? {};
  const listed = Object.entries(hosts).map(([name, entry]) => ({
    name,
    endpoint: () => endpointOf(name, entry),
    wanted: true,
  }));
  if (listed.length > 0) return listed;
  const wanted = settings?.cluster?.redis !== undefined;
  return [{ name: 'this machine', endpoint: () => ({ name: 'this machine' }), wanted }];
}

export async function checkDocker(context: DoctorContext): Promise<DoctorFinding[]> {
  const asked = engines(context);
  const settled = await settleBounded(asked, PARALLEL_MAX, async ({ name, endpoint }) => {
    const engine = new DockerEngine(endpoint(), { signal: context.signal, probeTimeoutMs: PROBE_MS });
    const { client, server } = await engine.version();
    return pass(
      'docker',
      name,
      client === server ? `Docker ${server}` : `Docker ${server}, its command line ${client}`,
    );
  });
  context.signal.throwIfAborted();
  return settled.map((result, index) => {
    if (result.status === 'fulfilled') return result.value;
    const { name = '', wanted = true } = asked[index] ?? {};
    return fromError('docker', name, result.reason, wanted ? 'FAIL' : 'UNKNOWN');
  });
}
