/** The engine of the tests, behind a real SSH server on loopback. */
import { parseEndpoint } from '../../src/docker/endpoint.js';
import { DockerEngine } from '../../src/docker/engine.js';
import type { Surroundings } from '../integration/runtime/conformance.js';
import { baseImage } from './docker/base-images.js';
import { dockerForTests } from './docker/engine.js';
import { dockerPlace } from './docker-runtime.js';
import { startSshHost } from './sshd.js';

/**
 * What a session finds, as on a host of its own, where the engine has its usual socket. With SHLVL, bash leaves out the
 * start-up files of whoever runs the tests.
 */
export function sessionSettings(host: string): string {
  return `SetEnv DOCKER_HOST=${host} SHLVL=2`;
}

/** @returns null where there is no Docker or no sshd, and it may be so */
export async function sshSurroundings(): Promise<Surroundings | null> {
  const docker = await dockerForTests();
  if (docker === null) return null;
  try {
    const host = await startSshHost([sessionSettings(docker.host)]);
    const image = await baseImage(docker, 'installed');
    const engine = new DockerEngine(parseEndpoint(host.address, 'there'), { environment: host.environment });
    return {
      place: async () => dockerPlace(engine, docker, image),
      end: async () => {
        await engine.close();
        await host.stop();
        await docker.stop();
      },
    };
  } catch (error) {
    await docker.stop();
    if (process.env['CI']) throw error;
    console.warn(`Tests over SSH are skipped: ${(error as Error).message}`);
    return null;
  }
}
