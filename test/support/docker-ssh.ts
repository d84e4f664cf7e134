/** The engine of the tests, behind a real SSH server on loopback. */
import { parseEndpoint } from '../../src/docker/endpoint.js';
import { DockerEngine } from '../../src/docker/engine.js';
import type { Surroundings } from '../integration/runtime/conformance.js';
import { type DockerGround, dockerPlace } from './docker-runtime.js';
import { startSshHost } from './sshd.js';

/**
 * What a session finds, as on a host of its own, where the engine has its usual socket. With SHLVL, bash leaves out the
 * start-up files of whoever runs the tests.
 */
export function sessionSettings(host: string): string {
  return `SetEnv DOCKER_HOST=${host} SHLVL=2`;
}

/** @returns null where there is no sshd, and it may be so */
export async function sshSurroundings(ground: DockerGround): Promise<Surroundings | null> {
  try {
    const host = await startSshHost([sessionSettings(ground.docker.host)]);
    const engine = new DockerEngine(parseEndpoint(host.address, 'there'), { environment: host.environment });
    return {
      place: async () => dockerPlace(engine, ground),
      end: async () => {
        await engine.close();
        await host.stop();
      },
    };
  } catch (error) {
    if (process.env['CI']) throw error;
    console.warn(`Tests over SSH are skipped: ${(error as Error).message}`);
    return null;
  }
}
