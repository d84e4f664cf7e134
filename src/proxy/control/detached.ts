/** The proxy in the background, under the supervision that Redis nodes have. */
import { open, stat } from 'node:fs/promises';
import { ForgeError } from '../../errors.js';
import { ProcessRuntime } from '../../runtime/process/process-runtime.js';
import type { InstanceState, RestartPolicy } from '../../runtime/runtime.js';
import { waitFor } from '../../runtime/wait.js';
import { exitKind, exitWords, findProxyExecutable, type ProxyOptions, proxyArguments } from './executable.js';
import { DRAIN_MS, refuseSecond } from './instance.js';
import { proxyInstance } from './pid-file.js';

/** Until the proxy listens, milliseconds. Whether it has found its cluster is another question (`/ready`). */
export const LISTEN_TIMEOUT_MS = 10_000;
/** What it prints when it listens. */
const LISTENING = /^.*\blistening on (\S+)\s*$/m;
const POLL_MS = 20;
/** What is read of the log while waiting. */
const LOG_BYTES_MAX = 64 * 1024;
export const RESTART: RestartPolicy = { delayS: 1, delayMaxS: 30, budget: 5, windowS: 60 };

export interface DetachedOptions extends ProxyOptions {
  pidFile: string;
  /** Its log; appended to. Absolute. */
  logFile: string;
  /** The whole environment of the proxy. */
  env: Readonly<Record<string, string>>;
}

export interface DetachedProxy {
  pid: number;
  /** The first `host:port` that it listens on. */
  listening: string;
  pidFile: string;
  logFile: string;
}

/**
 * Starts the proxy and waits until it listens.
 * @throws ForgeError `refused` when one runs already with this pid file; when it does not come up, of the kind that its
 *   exit code means, with what it said; `timeout` after 10 s. Then nothing is left running.
 */
export async function startDetached(options: DetachedOptions, signal?: AbortSignal): Promise<DetachedProxy> {
  const { pidFile, logFile } = options;
  await refuseSecond(pidFile);
  const program = findProxyExecutable();
  const args = proxyArguments(options);
  const runtime = new ProcessRuntime();
  const ref = proxyInstance(pidFile);
  const logStart = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  await runtime.start({ ...ref, program, args, env: options.env, files: [], restart: RESTART, outputFile: logFile });
  try {
    const seen = await waitFor(
      async () => {
        const state = await runtime.inspect(ref);
        const log = await readFrom(logFile, logStart);
        // For a moment after a crash the record does not tell the exit code yet.
        if (state.phase === 'waiting' && state.lastExit === undefined) return undefined;
        if (state.phase !== 'running') throw startFailure(state, log, logFile);
        const listening = LISTENING.exec(log)?.[1];
        return listening === undefined || state.pid === undefined ? undefined : { listening, pid: state.pid };
      },
      { timeoutMs: LISTEN_TIMEOUT_MS, intervalMs: POLL_MS, signal },
    );
    if (seen !== undefined) return { ...seen, pidFile, logFile };
    throw new ForgeError('timeout', `The proxy does not listen after ${LISTEN_TIMEOUT_MS / 1000} s.`, {
      next: `Look into ${logFile}.`,
    });
  } catch (error) {
    await runtime.stop(ref, { graceMs: DRAIN_MS });
    throw error;
  }
}

function startFailure(state: InstanceState, log: string, logFile: string): ForgeError {
  const code = state.lastExit ?? 1;
  const said = log
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('supervise: '))
    .slice(-5);
  const words = `The proxy did not start: ${exitWords(code)}.`;
  return new ForgeError(exitKind(code) ?? 'unexpected', [words, ...said].join('\n'), { next: `Its log: ${logFile}` });
}

/** What was appended to the log since it had `start` bytes; at most its last 64 KiB. */
async function readFrom(file: string, start: number): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const { size } = await handle.stat();
    const from = Math.max(start, size - LOG_BYTES_MAX);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
