/** Commands on named volumes. Pure. */
import { changes, type DockerCommand, reads } from '../command.js';
import { labelArguments } from '../labels.js';

/** A volume in memory, which is empty whenever no container has it. */
export interface MemoryVolume {
  readonly uid: number;
  readonly gid: number;
  /** Of its folder. */
  readonly mode: number;
  readonly sizeMb: number;
}

/** Makes a volume in memory (tmpfs); one of this name that is there already stays as it is. */
export function createMemoryVolume(
  name: string,
  labels: Readonly<Record<string, string>>,
  { uid, gid, mode, sizeMb }: MemoryVolume,
): DockerCommand {
  const mount = `size=${sizeMb}m,mode=${mode.toString(8).padStart(4, '0')},uid=${uid},gid=${gid},noexec,nosuid,nodev`;
  const options = ['type=tmpfs', 'device=tmpfs', `o=${mount}`].flatMap((option) => ['--opt', option]);
  return changes(['volume', 'create', '--driver', 'local', ...options, ...labelArguments(labels), name]);
}

/** Names, one a line. */
export function listVolumes(...filters: string[]): DockerCommand {
  return reads(['volume', 'ls', ...filters.flatMap((filter) => ['--filter', filter]), '--format', '{{.Name}}']);
}

/** All volumes, one a line: the name and the values of these labels, divided by tabs. */
export function listAllVolumes(...labels: string[]): DockerCommand {
  const format = ['{{.Name}}', ...labels.map((label) => `{{.Label "${label}"}}`)].join('\t');
  return reads(['volume', 'ls', '--format', format]);
}

/** Removes a volume with everything in it; refused by the engine while a container has it. */
export function removeVolume(name: string): DockerCommand {
  return changes(['volume', 'rm', name]);
}
