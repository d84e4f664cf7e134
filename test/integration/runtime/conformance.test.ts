import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { ProcessRuntime } from '../../../src/runtime/process/process-runtime.js';
import { readRecord } from '../../../src/runtime/process/record.js';
import { baseImage } from '../../support/docker/base-images.js';
import { dockerForTests, type TestDocker } from '../../support/docker/engine.js';
import { type DockerGround, dockerSurroundings } from '../../support/docker-runtime.js';
import { sshSurroundings } from '../../support/docker-ssh.js';
import { FULL } from '../../support/servers.js';
import { describeRuntime, type Place } from './conformance.js';

describeRuntime('process', async () => ({ place: processPlace, end: async () => {} }));
describeRuntime('docker', async () => (ground === null ? null : dockerSurroundings(ground)));
// The same commands over another transport: without FORGE_TORTURE=full, each of them once.
describeRuntime('docker over ssh', async () => (ground === null ? null : sshSurroundings(ground)), FULL);

/** One engine for both; null where there is none, and it may be so. */
let ground: DockerGround | null = null;
let docker: TestDocker | null = null;
beforeAll(async () => {
  docker = await dockerForTests();
  if (docker !== null) ground = { docker, image: await baseImage(docker, 'installed') };
});
afterAll(() => docker?.stop());

async function processPlace(): Promise<Place> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-runtime-'));
  const runtime = new ProcessRuntime();
  return {
    runtime,
    directory,
    name: 'thing',
    async file(file) {
      try {
        return { text: await readFile(file, 'utf8'), mode: (await stat(file)).mode & 0o7777 };
      } catch {
        return undefined;
      }
    },
    async killAll({ pid }) {
      const record = await readRecord(path.join(directory, 'thing.run'));
      process.kill(record?.supervisor?.pid ?? 0, 'SIGKILL');
      process.kill(pid ?? 0, 'SIGKILL');
    },
    lookMs: 0,
    async clean() {
      await runtime.stop({ name: 'thing', directory }, { graceMs: 1_000 });
      await rm(directory, { recursive: true });
    },
  };
}
