/** How what a run left that was ended between two commands is put right. Pure. */
import type { DockerCommand } from '../docker/command.js';
import { removeContainer, renameContainer, startContainer } from '../docker/commands/container.js';
import { removeVolume } from '../docker/commands/volume.js';
import { type DesiredContainer, filesVolume, nextName, previousName, trialName } from './container.js';
import { endCommands } from './hand-over.js';
import type { ObservedContainer, ObservedHost } from './observed.js';

/** Containers, and files of revisions that no container is left of. */
export function leftoverCommands(
  { instance, options, meeting }: Pick<DesiredContainer, 'instance' | 'options' | 'meeting'>,
  { containers, volumes }: Pick<ObservedHost, 'containers' | 'volumes'>,
): DockerCommand[] {
  const { name } = options;
  const find = (wanted: string) => containers.find((each) => each.name === wanted);
  const [current, previous, next] = [find(name), find(previousName(name)), find(nextName(name))];
  const successor = meeting !== undefined && previous === undefined && hasTakenOver(next, current) ? next : undefined;
  const commands =
    successor !== undefined
      ? endCommands({ options }, current?.status)
      : recoveryCommands(name, {
          ...(current === undefined ? {} : { name: current.status }),
          ...(previous === undefined ? {} : { previous: previous.status }),
          ...(next === undefined ? {} : { next: next.status }),
        });
  const survivor = successor ?? previous ?? current;
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

/** Whether the one that is to take over serves, as far as its health tells; or else nobody does who could go on. */
function hasTakenOver(next: ObservedContainer | undefined, current: ObservedContainer | undefined): boolean {
  if (next === undefined || next.status === 'created') return false;
  if (current === undefined) return true;
  return next.status === 'running' && (next.health === 'healthy' || current.status !== 'running');
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
