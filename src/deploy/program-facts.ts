/** What proxies and monitoring say of themselves, asked inside their containers: their version, and their memory. */
import { execInContainer, topContainer } from '../docker/commands/container.js';
import type { DockerEngine } from '../docker/engine.js';
import { parseTop } from '../docker/inspect.js';
import { ForgeError } from '../errors.js';
import type { ObservedContainer } from './observed.js';
import { PROXY_PROGRAM } from './proxy-container.js';

const ASK_TIMEOUT_MS = 10_000;
/**
 * Programs that print their version and end: of Debian, of their authors, and of templates/monitoring.Dockerfile. What another
 * image starts may be a script that takes no notice of the flag, and starts a second one.
 */
const ASKED: ReadonlySet<string> = new Set([
  ...['monitor', 'prometheus', 'alertmanager', 'redis_exporter', 'node_exporter'],
  ...['prometheus-alertmanager', 'prometheus-redis-exporter', 'prometheus-node-exporter'],
]);

export interface ProgramFacts {
  /** Null when it does not say, or is not asked. */
  readonly version: string | null;
  /** Resident memory of all its processes, bytes; null when the host cannot tell. */
  readonly memoryBytes: number | null;
}

/** Asks a running container; what does not answer is null. Changes nothing. */
export async function programFacts(
  engine: DockerEngine,
  container: Pick<ObservedContainer, 'name' | 'role' | 'program'>,
): Promise<ProgramFacts> {
  const words = versionWords(container);
  const [version, processes] = await Promise.all([
    words === undefined ? undefined : askVersion(engine, container.name, words),
    orNothing(engine.run(topContainer(container.name))),
  ]);
  return { version: version ?? null, memoryBytes: residentBytes(processes ?? '') };
}

/** The version of the proxy in a running container; undefined when it does not say. */
export async function runningProxyVersion(engine: DockerEngine, name: string): Promise<string | undefined> {
  return await askVersion(engine, name, [PROXY_PROGRAM, '--version']);
}

async function askVersion(engine: DockerEngine, name: string, words: readonly string[]): Promise<string | undefined> {
  const output = await orNothing(engine.execute(execInContainer(name, words, ASK_TIMEOUT_MS)));
  return output === undefined ? undefined : versionIn(`${output.stdout.toString('utf8')}\n${output.stderr}`);
}

/** How the program of a container is asked for its version; undefined: it is not. Pure. */
export function versionWords({ role, program }: Pick<ObservedContainer, 'role' | 'program'>): string[] | undefined {
  if (role === 'proxy') return [PROXY_PROGRAM, '--version'];
  if (program === undefined || !ASKED.has(program.slice(program.lastIndexOf('/') + 1))) return undefined;
  return [program, '--version'];
}

/** `forge-proxy/0.1.0 …`, `prometheus, version 2.42.0+ds (…)`, `Redis Metrics Exporter v1.66.0 …`. Pure. */
export function versionIn(text: string): string | undefined {
  return /(?:forge-proxy\/|\bversion |\bExporter )v?(\d+(?:\.\d+)+[^\s",]*)/.exec(text)?.[1];
}

/** Pure. @param top lines of `docker top`; null when there are none */
export function residentBytes(top: string): number | null {
  const processes = parseTop(top);
  return processes.length === 0 ? null : processes.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
}

async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  return await answer.catch((error: unknown) => {
    if (error instanceof ForgeError) return undefined;
    throw error;
  });
}
