/**
 * A call of the `docker` command line as data: built by pure functions, shown by `--dry-run`, carried out by the engine.
 * What is shown is what is run.
 */
import { type DockerEndpoint, endpointArguments } from './endpoint.js';

/** What a command reads from its standard input. */
export interface DockerInput {
  readonly bytes: Uint8Array;
  /** Says to people what it is, without any of its content: `a tar of redis.conf (0600), users.acl (0600)`. */
  readonly description: string;
}

export interface DockerCommand {
  /** What follows `docker` and its global options. Must hold no secret: every user of the machine can read it. */
  readonly args: readonly string[];
  readonly input?: DockerInput;
  /** The bound of the whole call, milliseconds. */
  readonly timeoutMs: number;
  /** `changes` is left out by a dry run. */
  readonly effect: 'reads' | 'changes';
  /** What it may print, bytes; OUTPUT_MAX_BYTES when not given. */
  readonly outputMaxBytes?: number;
}

/** A question to the engine, over a slow SSH connection too. */
export const READ_TIMEOUT_MS = 20_000;
/** A change that the engine makes at once: create, start, remove. */
export const CHANGE_TIMEOUT_MS = 60_000;
/** Files into a container and out of it. */
export const COPY_TIMEOUT_MS = 120_000;
/** An image from a registry or to a host. */
export const TRANSFER_TIMEOUT_MS = 15 * 60_000;
/** An image from a Dockerfile. */
export const BUILD_TIMEOUT_MS = 30 * 60_000;
/** Far more than any of our questions is answered with. */
export const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;

export function reads(args: readonly string[], timeoutMs = READ_TIMEOUT_MS): DockerCommand {
  return { args, timeoutMs, effect: 'reads' };
}

export function changes(args: readonly string[], timeoutMs = CHANGE_TIMEOUT_MS): DockerCommand {
  return { args, timeoutMs, effect: 'changes' };
}

/** The line that a person can paste into a POSIX shell. What comes on standard input is said in a comment. */
export function renderCommand(command: DockerCommand, endpoint: DockerEndpoint): string {
  const line = ['docker', ...endpointArguments(endpoint), ...command.args].map(quoteWord).join(' ');
  return command.input === undefined ? line : `${line}  # reads ${command.input.description.replace(/\s+/g, ' ')}`;
}

/** A word as a POSIX shell reads it back. */
export function quoteWord(word: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
