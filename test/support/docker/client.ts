/** The docker command line, pointed at one engine, for tests. */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** An image is imported or built within this time, everything else far sooner. */
const COMMAND_MS = 180_000;
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

export interface DockerClient {
  /** `unix:///…`, as `docker -H` takes it. */
  readonly host: string;
  /** Runs `docker …` and resolves with what it prints; of `logs` with both streams. Rejects with its own words. */
  run(words: readonly string[], input?: Readable): Promise<string>;
  /** Like `run`, for a command that may fail: whether it did not. */
  try(words: readonly string[]): Promise<boolean>;
}

/** @param configuration a folder for the client's own files, so that the user's contexts and helpers stay out of it */
export function dockerClient(host: string, configuration: string): DockerClient {
  const run = (words: readonly string[], input?: Readable) => runDocker(host, configuration, words, input);
  return {
    host,
    run,
    try: async (words) =>
      await run(words).then(
        () => true,
        () => false,
      ),
  };
}

async function runDocker(host: string, configuration: string, words: readonly string[], input?: Readable) {
  // The engine's own builder: the newer one is a program that Debian does not install with Docker.
  const env = { ...process.env, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: configuration };
  const child = spawn('docker', ['-H', host, ...words], { env, stdio: ['pipe', 'pipe', 'pipe'], timeout: COMMAND_MS });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < OUTPUT_BYTES_MAX) output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (errors.length < OUTPUT_BYTES_MAX) errors += text;
  });
  // It may end before it has read everything; its exit code tells.
  child.stdin.on('error', () => undefined);
  if (input === undefined) child.stdin.end();
  else input.pipe(child.stdin);
  const code = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (status, signal) => resolve(status ?? `${signal}`));
  });
  if (code !== 0) throw new Error(`docker ${words.join(' ')} (${code}): ${output.slice(-2000)}${errors}`);
  return `${output}${words[0] === 'logs' ? errors : ''}`.trim();
}
