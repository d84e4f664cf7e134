/** Commands on images. Pure. */
import {
  BUILD_TIMEOUT_MS,
  changes,
  type DockerCommand,
  type DockerInput,
  reads,
  TRANSFER_TIMEOUT_MS,
} from '../command.js';
import { labelArguments } from '../labels.js';

/** A JSON list; fails with `No such image` when one is not there. */
export function inspectImage(...images: string[]): DockerCommand {
  return reads(['image', 'inspect', ...images]);
}

export function pullImage(image: string): DockerCommand {
  return changes(['pull', '--quiet', image], TRANSFER_TIMEOUT_MS);
}

export interface BuildOptions {
  tag: string;
  /** The context: a tar with a Dockerfile at its top. */
  context: DockerInput;
  /** `--build-arg`; must hold no secret. */
  arguments?: Readonly<Record<string, string>>;
  labels?: Readonly<Record<string, string>>;
  /** The Dockerfile's name in the context. */
  file?: string;
  /** Look for a newer base image first. */
  pull?: boolean;
  /** The network of the build's steps, such as `host`. */
  network?: string;
}

/** `docker build -`: the context comes on standard input, so that a remote engine builds as this one does. */
export function buildImage(options: BuildOptions): DockerCommand {
  const args = [
    ...['build', '--tag', options.tag, ...(options.file === undefined ? [] : ['--file', options.file])],
    ...(options.pull === true ? ['--pull'] : []),
    ...(options.network === undefined ? [] : ['--network', options.network]),
    ...Object.entries(options.arguments ?? {}).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ...labelArguments(options.labels ?? {}),
    '-',
  ];
  return { ...changes(args, BUILD_TIMEOUT_MS), input: options.context };
}

export function tagImage(image: string, tag: string): DockerCommand {
  return changes(['tag', image, tag]);
}

export function removeImage(image: string): DockerCommand {
  return changes(['image', 'rm', image]);
}
