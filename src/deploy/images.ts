/** Images that are built on the hosts, from the Dockerfiles of templates/. */
import type { RedisDeploySettings } from '../config/deploy-settings.js';
import { archiveInput } from '../docker/archive.js';
import type { DockerCommand } from '../docker/command.js';
import { buildImage } from '../docker/commands/image.js';
import { readTemplate } from '../runtime/template.js';

/** The same archive for the same Dockerfile. */
const STABLE_TIME = new Date(0);

/** Builds an image of Redis or Valkey; the engine keeps what is the same as the last time. */
export async function buildRedisImage({ image, baseImage, version }: RedisDeploySettings): Promise<DockerCommand> {
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
