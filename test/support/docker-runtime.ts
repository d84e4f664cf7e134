/** Containers as a place where the runtimes' conformance is tested. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { unpackArchive } from '../../src/docker/archive.js';
import { copyFrom } from '../../src/docker/commands/copy.js';
import { parseEndpoint } from '../../src/docker/endpoint.js';
import { DockerEngine } from '../../src/docker/engine.js';
import { LABELS } from '../../src/docker/labels.js';
import { DockerRuntime } from '../../src/runtime/docker/docker-runtime.js';
import type { ContainerSettings } from '../../src/runtime/runtime.js';
import type { Place, Surroundings } from '../integration/runtime/conformance.js';
import type { DockerClient } from './docker/client.js';
import { poll } from './redis.js';

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

/** An engine with the image that instances of the conformance test are made of. */
export interface DockerGround {
  readonly docker: DockerClient;
  readonly image: string;
}

export function dockerSurroundings({ docker, image }: DockerGround): Surroundings {
  const engine = new DockerEngine(parseEndpoint(docker.host, 'here'));
  return { place: async () => dockerPlace(engine, { docker, image }), end: async () => {} };
}

/** Each look is some processes of the command line: looking all the time would take more than what is looked for. */
const LOOK_MS = 150;

/** As `poll`, with a pause after each look. @param lookMs milliseconds */
export function pollSlowly<T>(
  what: string,
  boundMs: number,
  probe: () => Promise<T | undefined | false>,
  lookMs = LOOK_MS,
): Promise<T> {
  return poll(what, boundMs, async () => {
    const result = await probe();
    if (result === undefined || result === false) await sleep(lookMs);
    return result;
  });
}

/** @param engine what the runtime uses @param ground the same engine, for a look from outside */
export function dockerPlace(engine: DockerEngine, { docker, image }: DockerGround): Place {
  const runtime = new DockerRuntime(engine);
  const outside = new DockerEngine(parseEndpoint(docker.host, 'outside'));
  const ref = { name: someName(), directory: '/forge' };
  return {
    ...ref,
    runtime,
    container: containerSettings(image),
    lookMs: LOOK_MS,
    async file(path) {
      const answer = await outside.execute(copyFrom(ref.name, path)).catch(() => undefined);
      const [file] = answer === undefined ? [] : await unpackArchive(answer.stdout);
      return file === undefined ? undefined : { text: file.content.toString('utf8'), mode: file.mode };
    },
    async killAll() {
      await docker.run(['kill', ref.name]);
    },
    async clean() {
      await docker.try(['rm', '-f', ref.name]);
      await docker.try(['volume', 'rm', `${ref.name}-config`]);
    },
  };
}
