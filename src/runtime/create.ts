import { type DockerEndpoint, LOCAL_ENDPOINT } from '../docker/endpoint.js';
import { DockerEngine } from '../docker/engine.js';
import { DockerRuntime } from './docker/docker-runtime.js';
import { ProcessRuntime } from './process/process-runtime.js';
import type { Runtime, RuntimeKind } from './runtime.js';

export interface RuntimeOptions {
  /** The engine of the runtime `docker`; what the docker command of this host takes by itself when not given. */
  endpoint?: DockerEndpoint;
  signal?: AbortSignal;
}

/** The runtime of this kind. Nothing is asked of an engine before it is used. */
export function createRuntime(kind: RuntimeKind, options: RuntimeOptions = {}): Runtime {
  if (kind === 'process') return new ProcessRuntime();
  return new DockerRuntime(new DockerEngine(options.endpoint ?? LOCAL_ENDPOINT, { signal: options.signal }));
}
