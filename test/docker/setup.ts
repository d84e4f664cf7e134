/** One engine for all tests of the project `docker`. */
import { dockerForTests, HOST_VARIABLE } from '../support/docker/engine.js';

export default async function setup(): Promise<() => Promise<void>> {
  const docker = await dockerForTests();
  const given = process.env[HOST_VARIABLE];
  // Test processes are started after this and inherit it; empty where there is no engine.
  process.env[HOST_VARIABLE] = docker?.host ?? '';
  return async () => {
    if (given === undefined) delete process.env[HOST_VARIABLE];
    else process.env[HOST_VARIABLE] = given;
    await docker?.stop();
  };
}
