/**
 * A small process of its own that puts something back after a time, should forge be gone by then: killed, or its terminal
 * with it. It ends by itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { ForgeError } from '../../../errors.js';

const SECOND_MS = 1_000;
/** How much later than forge itself would do it. */
const GRACE_S = 3;

export interface Guard {
  /** It is not needed any more. */
  dismiss(): void;
}

/**
 * @param afterMs when forge itself puts it back
 * @param words the program that puts it back, with its arguments; no secrets
 * @param env all that it gets of the environment
 */
export async function startGuard(afterMs: number, words: readonly string[], env: NodeJS.ProcessEnv): Promise<Guard> {
  const seconds = Math.ceil(afterMs / SECOND_MS) + GRACE_S;
  const script = 'sleep "$1" && shift && exec "$@"';
  const child = spawn('/bin/sh', ['-c', script, 'forge-drill-guard', String(seconds), ...words], {
    env,
    // Of a session of its own: neither Ctrl-C nor a terminal that goes away reaches it.
    detached: true,
    stdio: 'ignore',
  });
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
  } catch (cause) {
    throw new ForgeError('missing', `/bin/sh cannot be run: ${(cause as Error).message}.`, { cause });
  }
  child.unref();
  return { dismiss: () => end(child) };
}

function end({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    // Its `sleep` as well.
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
