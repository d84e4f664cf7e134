/** The images of a local cluster: the one of Redis that is asked for, and one of the proxy, built of it. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { archiveInput } from '../../docker/archive.js';
import { buildImage, inspectImage, pullImage, removeImage } from '../../docker/commands/image.js';
import type { DockerEngine } from '../../docker/engine.js';
import { failureReason } from '../../docker/failure.js';
import { type ImageAnswer, imageAnswers } from '../../docker/inspect.js';
import { LABELS } from '../../docker/labels.js';
import { ForgeError } from '../../errors.js';
import { findProxyExecutable } from '../../proxy/control/executable.js';
import { readTemplate } from '../../runtime/template.js';
import type { ContainerNames } from './specs.js';

/** Has redis-server, redis-cli and a shell; any image that has them serves. */
const DEFAULT_IMAGE = 'redis:8.0';
/** What Docker calls the processors that Node.js runs on. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** FORGE_REDIS_IMAGE, else Redis 8. */
export function redisImageName(environment: NodeJS.ProcessEnv = process.env): string {
  return environment['FORGE_REDIS_IMAGE'] || DEFAULT_IMAGE;
}

/** Fetches the image when it is not there. @throws ForgeError as the engine, when it cannot be had */
export async function ensureRedisImage(engine: DockerEngine, image: string, note: (text: string) => void) {
  if ((await findImage(engine, image)) !== undefined) return;
  note(`fetching ${image}`);
  await engine.run(pullImage(image));
}

/**
 * Builds the image of the proxy from this package's executable, on the image of Redis, when it is not there as it would
 * be built now.
 * @throws ForgeError `missing` when the executable is not one for the engine's containers
 */
export async function ensureProxyImage(
  engine: DockerEngine,
  names: ContainerNames,
  { base, note }: { base: string; note: (text: string) => void },
): Promise<void> {
  const program = findProxyExecutable();
  const { architecture } = await engine.version();
  const own = ARCHITECTURES[process.arch];
  if (process.platform !== 'linux' || (architecture !== undefined && architecture !== own)) {
    throw new ForgeError('missing', `${program} is not made for containers of this engine.`, {
      host: engine.endpoint.name,
      next: 'Start the cluster without it: forge up --runtime docker --no-proxy',
    });
  }
  const [executable, dockerfile, image] = await Promise.all([
    readFile(program),
    readTemplate('proxy.Dockerfile'),
    findImage(engine, base),
  ]);
  const digest = createHash('sha256')
    .update(executable)
    .update(dockerfile)
    .update(image?.Id ?? '')
    .digest('hex');
  const there = await findImage(engine, names.proxyImage);
  if (there?.Config?.Labels?.[LABELS.spec] === digest) return;
  note('building the image of the proxy');
  const entries = [
    { path: 'Dockerfile', content: dockerfile, mode: 0o644, uid: 0, gid: 0 },
    { path: 'forge-proxy', content: executable, mode: 0o755, uid: 0, gid: 0 },
  ];
  await engine.run(
    buildImage({
      tag: names.proxyImage,
      context: archiveInput(entries, new Date(0)),
      arguments: { BASE: base },
      labels: { [LABELS.cluster]: names.cluster, [LABELS.spec]: digest },
    }),
  );
}

export async function removeProxyImage(engine: DockerEngine, { proxyImage }: ContainerNames): Promise<void> {
  try {
    await engine.run(removeImage(proxyImage));
  } catch (error) {
    if (failureReason(error) !== 'no-image') throw error;
  }
}

async function findImage(engine: DockerEngine, image: string): Promise<ImageAnswer | undefined> {
  try {
    return (await engine.json(inspectImage(image), imageAnswers))[0];
  } catch (error) {
    if (failureReason(error) === 'no-image') return undefined;
    throw error;
  }
}
