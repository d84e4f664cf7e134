/** Images of templates/, built by a real engine on the base images of the tests. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { proxyExecutable } from '../proxy.js';
import { baseImage } from './base-images.js';
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
