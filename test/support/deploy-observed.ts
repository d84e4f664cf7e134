/** What is on a host after a deployment, as tests of plans need it. */
import { type DesiredContainer, wantedOf } from '../../src/deploy/container.js';
import type { ObservedContainer, ObservedHost } from '../../src/deploy/observed.js';

/** The container that a deployment has made. */
export function observedContainer(
  desired: DesiredContainer,
  changes: Partial<ObservedContainer> = {},
): ObservedContainer {
  const files = desired.files.flatMap(({ path, content, mode, uid, gid }) =>
    content === undefined ? [] : [[path, { content: Buffer.from(content), mode, uid, gid }] as const],
  );
  return {
    name: desired.options.name,
    id: 'id',
    instance: desired.instance,
    role: 'redis',
    image: desired.options.image,
    startedAt: '2026-01-01T00:00:00Z',
    restarts: 0,
    outOfMemory: false,
    network: 'host',
    published: [],
    volumes: [],
    status: 'running',
    exitCode: 0,
    revision: 3,
    wanted: wantedOf(desired),
    imageId: 'sha256:image',
    files: new Map(files),
    ...changes,
  };
}

export function observedHost(
  containers: readonly ObservedContainer[],
  changes: Partial<ObservedHost> = {},
): ObservedHost {
  return {
    containers,
    foreign: new Map(),
    images: new Map([['redisforge/redis:7.0', 'sha256:image']]),
    networks: new Map(),
    locks: new Map(),
    volumes: [],
    ...changes,
  };
}
