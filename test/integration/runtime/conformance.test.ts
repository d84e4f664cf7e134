import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { ProcessRuntime } from '../../../src/runtime/process/process-runtime.js';
import { readRecord } from '../../../src/runtime/process/record.js';
import { dockerSurroundings } from '../../support/docker-runtime.js';
import { sshSurroundings } from '../../support/docker-ssh.js';
import { describeRuntime, type Place } from './conformance.js';

describeRuntime('process', async () => ({ place: processPlace, end: async () => {} }));
describeRuntime('docker', dockerSurroundings);
describeRuntime('docker over ssh', sshSurroundings);

async function processPlace(): Promise<Place> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-runtime-'));
  return {
    runtime: new ProcessRuntime(),
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
    clean: () => rm(directory, { recursive: true }),
  };
}
