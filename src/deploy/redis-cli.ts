/** Redis commands given to a node inside its container, on standard input: so no secret is ever on a command line. Pure. */
import type { DockerCommand } from '../docker/command.js';
import { redisConfQuote } from '../runtime/template.js';

/** A socket that only the container has: the same for every port, and with TLS. */
export const REDIS_SOCKET = '/data/redis.sock';
const CLI = ['redis-cli', '-s', REDIS_SOCKET];
const CLI_TIMEOUT_MS = 20_000;

export interface RedisLogin {
  readonly username: string;
  readonly password: string;
}

/** Asks whether it serves; without a login, as the answer that one is needed is an answer. */
export const REDIS_PROBE: readonly string[] = [...CLI, 'PING'];

export type Ping = 'serving' | 'loading' | 'silent';

export function readPing(output: string): Ping {
  if (/^(?:PONG|NOAUTH|NOPERM)/m.test(output)) return 'serving';
  return /^(?:LOADING|MASTERDOWN|BUSY)/m.test(output) ? 'loading' : 'silent';
}

/**
 * Logs in and gives these commands, each of which answers with one line.
 * @param shown what is said of them to people
 */
export function tellRedis(
  container: string,
  login: RedisLogin,
  commands: readonly (readonly string[])[],
  shown: string,
): DockerCommand {
  const lines = [['AUTH', login.username, login.password], ...commands].map((words) =>
    words.map(redisConfQuote).join(' '),
  );
  return {
    args: ['exec', '-i', container, ...CLI],
    input: { bytes: Buffer.from(`${lines.join('\n')}\n`), description: `a login and: ${shown}` },
    timeoutMs: CLI_TIMEOUT_MS,
    effect: 'changes',
  };
}

/** Logs in and asks one thing, whose answer may have many lines. */
export function askRedis(container: string, login: RedisLogin, words: readonly string[]): DockerCommand {
  return { ...tellRedis(container, login, [words], words.join(' ')), effect: 'reads' };
}

/** The answer to `askRedis`, without that to the login. */
export function readAsked(output: string): string {
  return output.replace(/^OK\r?\n/, '');
}

/** What went wrong in the answers to `tellRedis`; undefined when each of them is OK. */
export function readTold(output: string, commands: number): string | undefined {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const fault = lines.find((line) => line !== 'OK');
  if (fault !== undefined) return fault;
  return lines.length < commands + 1 ? 'it did not answer every command' : undefined;
}
