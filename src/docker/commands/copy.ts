/** Files into containers and out of them, as tar archives on standard input and output. Pure. */
import { COPY_TIMEOUT_MS, changes, type DockerCommand, type DockerInput, reads } from '../command.js';

/**
 * Unpacks an archive into a directory of a container, running or not, with the modes and the owners of the archive. The
 * engine refuses where the root file system is read-only, except below a volume or a mounted directory.
 */
export function copyInto(name: string, directory: string, archive: DockerInput): DockerCommand {
  return { ...changes(['cp', '-', `${name}:${directory}`], COPY_TIMEOUT_MS), input: archive };
}

/** An archive of a file or directory of a container; its first entry has the last part of the path as its name. */
export function copyFrom(name: string, path: string): DockerCommand {
  return reads(['cp', `${name}:${path}`, '-'], COPY_TIMEOUT_MS);
}
