/** The engine that tests talk to. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type DockerClient, dockerClient } from './client.js';
import { startDaemon } from './daemon.js';

/** Set by the set-up of the project `docker`, or by hand to use an engine that is there already. */
export const HOST_VARIABLE = 'FORGE_TEST_DOCKER_HOST';

/** Whether tests of the project `docker` have an engine; its set-up has failed already where they must. */
export function hasDocker(): boolean {
  return Boolean(process.env[HOST_VARIABLE]);
}

export interface TestDocker extends DockerClient {
  /** Ends the engine when this call started it; otherwise leaves it. */
  stop(): Promise<void>;
}

/**
 * The engine of FORGE_TEST_DOCKER_HOST, else one started for the caller.
 * @returns null where none can be started; throws in CI instead
 */
export async function dockerForTests(): Promise<TestDocker | null> {
  const host = process.env[HOST_VARIABLE];
  // The set-up has found that there can be none.
  if (host === '') return null;
  if (host !== undefined) {
    const configuration = mkdtempSync(path.join(os.tmpdir(), 'forge-docker-cli-'));
    return {
      ...dockerClient(host, configuration),
      stop: async () => rmSync(configuration, { recursive: true, force: true }),
    };
  }
  try {
    return await startDaemon();
  } catch (error) {
    if (process.env['CI']) throw error;
    console.warn(`Tests that need Docker are skipped: ${(error as Error).message}`);
    return null;
  }
}
