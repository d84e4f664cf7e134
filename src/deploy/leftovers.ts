/** How what a run left that was ended between two commands is put right. Pure. */
import type { DockerCommand } from '../docker/command.js';
import { removeContainer, renameContainer, startContainer } from '../docker/commands/container.js';
import { removeVolume } from '../docker/commands/volume.js';
import { type DesiredContainer, filesVolume, nextName, previousName, trialName } from './container.js';
import type { ObservedHost } from './observed.js';

/** Containers, and files of revisions that no container is left of. */
export function leftoverCommands(
  { instance, options: { name } }: Pick<DesiredContainer, 'instance' | 'options'>,
  { containers, volumes }: Pick<ObservedHost, 'containers' | 'volumes'>,
): DockerCommand[] {
  const find = (wanted: string) => containers.find((each) => each.name === wanted);
  const [current, previous, next] = [find(name), find(previousName(name)), find(nextName(name))];
  const commands = recoveryCommands(name, {
    ...(current === undefined ? {} : { name: current.status }),
    ...(previous === undefined ? {} : { previous: previous.status }),
    ...(next === undefined ? {} : { next: next.status }),
  });
  const survivor = previous ?? current;
  const kept = survivor === undefined ? undefined : filesVolume(name, survivor.revision);
  const orphans = volumes.filter(
    (volume) =>
      volume.content === 'configuration' &&
      volume.instance === instance &&
      volume.name.startsWith(`${name}-config-`) &&
      volume.name !== kept,
  );
  const trial = find(trialName(name)) === undefined ? [] : [removeContainer(trialName(name))];
  return [...trial, ...commands, ...orphans.map((volume) => removeVolume(volume.name))];
}

/** @param statuses of those of its three names that are there */
export function recoveryCommands(
  name: string,
  statuses: { readonly name?: string; readonly previous?: string; readonly next?: string },
): DockerCommand[] {
  const commands: DockerCommand[] = [];
  // It was never started.
  if (statuses.next !== undefined) commands.push(removeContainer(nextName(name)));
  if (statuses.previous === undefined) return commands;
  // Whether the new one serves is not known: the one before is what is known to have served.
  if (statuses.name !== undefined) commands.push(removeContainer(name));
  return [...commands, renameContainer(previousName(name), name), startContainer(name)];
}
