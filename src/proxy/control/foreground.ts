/** The proxy in the foreground: its output is ours, our signals are its signals, its end is our end. */
import { spawn } from 'node:child_process';
import { ForgeError } from '../../errors.js';
import { exitKind, exitWords, findProxyExecutable, type ProxyOptions, proxyArguments } from './executable.js';
import { DRAIN_MS, refuseSecond } from './instance.js';

/**
 * Runs the proxy until it ends. The abort of `signal` (Ctrl-C, SIGTERM) has it drain and end. It inherits the
 * environment: the passwords are there.
 * @throws ForgeError of the kind that its exit code means; what was wrong it has said on standard error itself
 */
export async function runProxy(options: ProxyOptions, signal: AbortSignal): Promise<void> {
  const program = findProxyExecutable();
  const args = proxyArguments(options);
  if (options.pidFile !== undefined) await refuseSecond(options.pidFile);
  signal.throwIfAborted();
  const child = spawn(program, args, { stdio: 'inherit' });
  let killer: NodeJS.Timeout | undefined;
  const drain = () => {
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS);
  };
  signal.addEventListener('abort', drain, { once: true });
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (exitCode, exitSignal) => resolve(exitCode ?? (exitSignal === null ? 1 : 255)));
    });
    if (signal.aborted) return;
    const kind = exitKind(code);
    if (kind !== undefined) throw new ForgeError(kind, `The proxy is not running: ${exitWords(code)} (see above).`);
  } finally {
    clearTimeout(killer);
    signal.removeEventListener('abort', drain);
  }
}
