/** Images of templates/, built by a real engine on the base images of the tests. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { proxyExecutable } from '../proxy.js';
import { type BaseName, baseImage } from './base-images.js';
import type { DockerClient } from './client.js';

const template = (name: string) => fileURLToPath(new URL(`../../../templates/${name}`, import.meta.url));

/** Builds templates/proxy.Dockerfile. @returns the tag */
export async function proxyImage(docker: DockerClient, tag = 'forge-test/proxy'): Promise<string> {
  const files = await mkdtemp(path.join(os.tmpdir(), 'forge-context-'));
  try {
    await cp(proxyExecutable(), path.join(files, 'forge-proxy'));
    return await build(docker, 'proxy.Dockerfile', { BASE: await baseImage(docker, 'installed') }, tag, files);
  } finally {
    await rm(files, { recursive: true, force: true });
  }
}

/** What a Redis image for tests can be of; the version is what the base image has. */
export const REDIS_IMAGES = {
  'redis-7': { base: 'installed', PROGRAM: 'redis-server' },
  'redis-8': { base: 'newer', PROGRAM: 'redis-server' },
  'valkey-9': { base: 'newer', PROGRAM: 'valkey-server' },
} as const satisfies Record<string, { base: BaseName; PROGRAM: string }>;

/** Builds templates/redis.Dockerfile. @param version makes the build fail when the server is another @returns the tag */
export async function redisImage(
  docker: DockerClient,
  kind: keyof typeof REDIS_IMAGES,
  { tag = `forge-test/redis:${kind}`, version = '' } = {},
): Promise<string> {
  const { base, PROGRAM } = REDIS_IMAGES[kind];
  const settings = { BASE: await baseImage(docker, base), PROGRAM, VERSION: version };
  return await buildAlone(docker, 'redis.Dockerfile', settings, tag);
}

/** The programs of templates/monitoring.Dockerfile, by the names of their images. */
export const MONITORING_PROGRAMS = {
  prometheus: 'prometheus',
  alertmanager: 'prometheus-alertmanager',
  'redis-exporter': 'prometheus-redis-exporter',
  'node-exporter': 'prometheus-node-exporter',
} as const;

/** Builds templates/monitoring.Dockerfile. @returns the tag */
export async function monitoringImage(
  docker: DockerClient,
  kind: keyof typeof MONITORING_PROGRAMS,
  tag = `forge-test/${kind}`,
): Promise<string> {
  const settings = { BASE: await baseImage(docker, kind), PROGRAM: MONITORING_PROGRAMS[kind] };
  return await buildAlone(docker, 'monitoring.Dockerfile', settings, tag);
}

/** Builds with a context of nothing: all that the image has is in its base. */
async function buildAlone(
  docker: DockerClient,
  dockerfile: string,
  settings: Readonly<Record<string, string>>,
  tag: string,
): Promise<string> {
  const files = await mkdtemp(path.join(os.tmpdir(), 'forge-context-'));
  try {
    return await build(docker, dockerfile, settings, tag, files);
  } finally {
    await rm(files, { recursive: true, force: true });
  }
}

async function build(
  docker: DockerClient,
  dockerfile: string,
  settings: Readonly<Record<string, string>>,
  tag: string,
  files: string,
): Promise<string> {
  const values = Object.entries(settings).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  await docker.run(['build', '-q', '-f', template(dockerfile), ...values, '-t', tag, files]);
  return tag;
}
