/**
 * One SSH connection for all commands to a host. `docker -H ssh://…` runs `ssh` anew for every command, which takes some
 * tenths of a second each and may ask for a password; here it finds an `ssh` (templates/ssh) that asks nothing and goes
 * over a connection that is open already (ControlPath, man 5 ssh_config). It ends with this process, however that ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageFile } from '../package-root.js';
import type { DockerEndpoint } from './endpoint.js';
import { sshTarget } from './endpoint.js';

/** How long a host may take to answer, and then to let us in, seconds. */
const CONNECT_TIMEOUT_S = 10;
export const LOGIN_TIMEOUT_MS = 15_000;
const POLL_MS = 15;
/** A connection over which nothing comes back for this long is given up: `INTERVAL` seconds, so many times. */
const ALIVE_INTERVAL_S = 5;
const ALIVE_COUNT_MAX = 3;
const ERROR_MAX_BYTES = 16 * 1024;
/** How ssh itself says that there is no connection. */
const NO_CONNECTION = 255;

export type SshOutcome =
  | { kind: 'open'; connection: SshConnection }
  /** The host, or the login, failed; in ssh's own words. */
  | { kind: 'failed'; stderr: string }
  | { kind: 'late' };

export interface SshConnection {
  readonly socket: string;
  /** False once it has ended: the host went down, the network, or `close`. */
  isOpen(): boolean;
  close(): void;
}

/** Each to be ended with this process. */
const openOnes = new Set<() => void>();

function closeAll(): void {
  for (const close of openOnes) close();
}

/** The environment in which docker finds our `ssh`; unchanged where there is none at all. @param socket `none`: no sharing */
export function sshEnvironment(environment: Readonly<Record<string, string>>, socket: string): Record<string, string> {
  const ssh = findSsh(environment['PATH']);
  if (ssh === undefined) return { ...environment };
  return {
    ...environment,
    PATH: `${packageFile('templates', 'ssh')}:${environment['PATH'] ?? ''}`,
    FORGE_SSH: ssh,
    FORGE_SSH_SOCKET: socket,
    FORGE_SSH_TIMEOUT: String(CONNECT_TIMEOUT_S),
  };
}

/**
 * Opens the connection to an `ssh://` engine, and waits until it is there.
 * @returns undefined where the endpoint is no SSH, or there is no `ssh`
 */
export async function openSsh(
  endpoint: DockerEndpoint,
  environment: Readonly<Record<string, string>>,
): Promise<SshOutcome | undefined> {
  const target = sshTarget(endpoint);
  const ssh = findSsh(environment['PATH']);
  if (target === undefined || ssh === undefined) return undefined;
  const directory = mkdtempSync(path.join(os.tmpdir(), `forge-shared-ssh-${process.pid}-`));
  const socket = path.join(directory, 's');
  const options = [
    ...['BatchMode=yes', `ConnectTimeout=${CONNECT_TIMEOUT_S}`, 'ControlMaster=yes', `ControlPath=${socket}`],
    ...['ControlPersist=no', `ServerAliveInterval=${ALIVE_INTERVAL_S}`, `ServerAliveCountMax=${ALIVE_COUNT_MAX}`],
  ].flatMap((option) => ['-o', option]);
  // It waits for the end of its input, which comes with the end of this process.
  const words = [...options, '-T', ...target.options, '--', target.target, 'cat >/dev/null'];
  const child = spawn(ssh, words, { env: { ...environment }, stdio: ['pipe', 'ignore', 'pipe'] });
  const stderr = collectErrors(child);
  const close = () => {
    child.stdin?.destroy();
    child.kill('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  };
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(NO_CONNECTION));
    child.once('close', (code) => resolve(code ?? NO_CONNECTION));
  });
  if (openOnes.size === 0) process.once('exit', closeAll);
  openOnes.add(close);
  void ended.then(() => {
    openOnes.delete(close);
    if (openOnes.size === 0) process.removeListener('exit', closeAll);
    rmSync(directory, { recursive: true, force: true });
  });
  const isOpen = () => child.exitCode === null && child.signalCode === null;
  const deadline = performance.now() + LOGIN_TIMEOUT_MS;
  while (isOpen() && !existsSync(socket)) {
    if (performance.now() > deadline) {
      close();
      return { kind: 'late' };
    }
    await sleep(POLL_MS);
  }
  if (!isOpen()) return (await ended) === NO_CONNECTION ? { kind: 'failed', stderr: stderr() } : undefined;
  // What waits for nothing else may end.
  child.unref();
  for (const stream of [child.stdin, child.stderr]) (stream as { unref?: () => void } | null)?.unref?.();
  return { kind: 'open', connection: { socket, isOpen, close } };
}

function collectErrors(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    if (text.length < ERROR_MAX_BYTES) text += chunk;
  });
  child.stdin?.on('error', () => undefined);
  return () => text;
}

function findSsh(searchPath = ''): string | undefined {
  return searchPath
    .split(path.delimiter)
    .map((folder) => path.join(folder || '.', 'ssh'))
    .find((candidate) => {
      try {
        accessSync(candidate, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
