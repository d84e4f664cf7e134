/** Containers as a place where the runtimes' conformance is tested. */
import { randomBytes } from 'node:crypto';
import { unpackArchive } from '../../src/docker/archive.js';
import { copyFrom } from '../../src/docker/commands/copy.js';
import { parseEndpoint } from '../../src/docker/endpoint.js';
import { DockerEngine } from '../../src/docker/engine.js';
import { LABELS } from '../../src/docker/labels.js';
import { DockerRuntime } from '../../src/runtime/docker/docker-runtime.js';
import type { ContainerSettings } from '../../src/runtime/runtime.js';
import type { Place, Surroundings } from '../integration/runtime/conformance.js';
import { baseImage } from './docker/base-images.js';
import type { DockerClient } from './docker/client.js';
import { dockerForTests } from './docker/engine.js';

/** The least that a container of tests has. */
export function containerSettings(image: string, more: Partial<ContainerSettings> = {}): ContainerSettings {
  return {
    image,
    user: '10001:10001',
    network: 'none',
    publish: [],
    mounts: [],
    tmpfs: [],
    nofile: 1024,
    log: { maxSizeMb: 1, maxFiles: 2 },
    labels: { [LABELS.cluster]: 'test', [LABELS.role]: 'thing' },
    ...more,
  };
}

/** A name that no other test has. */
export function someName(): string {
  return `thing-${randomBytes(4).toString('hex')}`;
}

/** @returns null where there is no Docker, and it may be so */
export async function dockerSurroundings(): Promise<Surroundings | null> {
  const docker = await dockerForTests();
  if (docker === null) return null;
  const image = await baseImage(docker, 'installed');
  const engine = new DockerEngine(parseEndpoint(docker.host, 'here'));
  return { place: async () => dockerPlace(engine, docker, image), end: () => docker.stop() };
}

/** @param engine what the runtime uses @param docker the same engine, for a look from outside */
export function dockerPlace(engine: DockerEngine, docker: DockerClient, image: string): Place {
  const runtime = new DockerRuntime(engine);
  const ref = { name: someName(), directory: '/forge' };
  return {
    ...ref,
    runtime,
    container: containerSettings(image),
    async file(path) {
      const answer = await engine.execute(copyFrom(ref.name, path)).catch(() => undefined);
      const [file] = answer === undefined ? [] : await unpackArchive(answer.stdout);
      return file === undefined ? undefined : { text: file.content.toString('utf8'), mode: file.mode };
    },
    async killAll() {
      await docker.run(['kill', ref.name]);
    },
    async clean() {
      await docker.try(['rm', '-f', ref.name]);
      await runtime.remove(ref, { volumes: 'all' });
    },
  };
}
