/** A node as a container: of `forge up --runtime docker`, or of `forge deploy`. */
import { changes, type DockerCommand } from '../../../docker/command.js';
import { killContainer, startContainer } from '../../../docker/commands/container.js';
import { endpointArguments } from '../../../docker/endpoint.js';
import { type DockerEngine, dockerEnvironment } from '../../../docker/engine.js';
import { type Guard, startGuard } from './guard.js';
import type { Reach } from './reach.js';

/** An engine does not start again what was killed by its own command: so it stays away until it is told to. */
const AWAY_MS = 60_000;

/** All processes of the container stand still, as its memory does. */
export const pauseContainer = (name: string): DockerCommand => changes(['pause', name]);
export const unpauseContainer = (name: string): DockerCommand => changes(['unpause', name]);

/** @param host whose engine it is, in words */
export function containerReach(engine: DockerEngine, name: string, host: string): Reach {
  let guard: Guard | undefined;
  const guarded = async (afterMs: number, { args }: DockerCommand) => {
    const words = ['docker', ...endpointArguments(engine.endpoint), ...args];
    guard = await startGuard(afterMs, words, dockerEnvironment(process.env));
  };
  return {
    words: `the container ${name} on ${host}`,
    kill: async () => {
      await guarded(AWAY_MS, startContainer(name));
      await engine.run(killContainer(name, 'KILL'));
    },
    revive: async () => {
      await engine.run(startContainer(name));
      guard?.dismiss();
    },
    hang: async (forMs) => {
      await guarded(forMs, unpauseContainer(name));
      await engine.run(pauseContainer(name));
    },
    wake: async () => {
      // The guard may have been quicker: docker calls that an error.
      await engine.run(unpauseContainer(name)).catch(() => undefined);
      guard?.dismiss();
      return true;
    },
  };
}
