/** How images get to the hosts: built from the Dockerfiles of templates/, or from a registry. */
import type { RedisDeploySettings } from '../config/deploy-settings.js';
import { archiveInput } from '../docker/archive.js';
import type { DockerCommand } from '../docker/command.js';
import { buildImage, pullImage } from '../docker/commands/image.js';
import { readTemplate } from '../runtime/template.js';

/** The same archive for the same Dockerfile. */
const STABLE_TIME = new Date(0);

/** Builds an image of Redis or Valkey; the engine keeps what is the same as the last time. */
async function buildRedisImage({ image, baseImage, version }: RedisDeploySettings): Promise<DockerCommand> {
  const dockerfile = await readTemplate('redis.Dockerfile');
  return buildImage({
    tag: image,
    context: archiveInput([{ path: 'Dockerfile', content: dockerfile, mode: 0o644, uid: 0, gid: 0 }], STABLE_TIME),
    arguments: {
      BASE: baseImage,
      PROGRAM: `${version.product}-server`,
      VERSION: `${version.major}.${version.minor}`,
    },
  });
}

/**
 * How the image of the nodes gets to a host before anything else is done there; undefined when it is to be there.
 * @param wish `pull` goes before what forge.yaml says
 */
export async function redisImageCommand(
  redis: RedisDeploySettings,
  { build, pull }: { readonly build: boolean; readonly pull: boolean },
): Promise<{ readonly title: string; readonly command: DockerCommand } | undefined> {
  if (pull) return { title: `Pulling ${redis.image}`, command: pullImage(redis.image) };
  if (!build && !redis.build) return undefined;
  return { title: `Building ${redis.image}`, command: await buildRedisImage(redis) };
}
