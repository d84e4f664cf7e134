/** Questions to the engine itself. Pure. */
import { type DockerCommand, reads } from '../command.js';

/** `docker version` as JSON: also the way to find out whether the engine can be reached at all. */
export function engineVersion(timeoutMs?: number): DockerCommand {
  return reads(['version', '--format', '{{json .}}'], timeoutMs);
}

/** `docker info` as JSON. */
export function engineInfo(): DockerCommand {
  return reads(['info', '--format', '{{json .}}']);
}
