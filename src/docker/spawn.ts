/** Runs one program to its end, with a bound on its time and on what it may print. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface SpawnOptions {
  env: NodeJS.ProcessEnv;
  input?: Uint8Array;
  timeoutMs: number;
  outputMaxBytes: number;
  signal?: AbortSignal;
  /** Called with every line of either stream as it comes; nothing is kept then. */
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

export interface SpawnResult {
  /** `exited`, or why it was ended before. */
  end: 'exited' | 'timeout' | 'too-much' | 'aborted';
  /** Above 128 when it ended by a signal. */
  exitCode: number;
  stdout: Buffer;
  stderr: string;
}

/** How long a program may take to end after SIGTERM before it is killed, milliseconds. */
const TERM_GRACE_MS = 1_000;
/** What is kept of a line that has no end. */
const LINE_MAX_BYTES = 64 * 1024;
const SIGNALLED = 128;

/** @throws what `spawn` gives when the program cannot be started (`ENOENT`, `EACCES`) */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<SpawnResult> {
  const child = spawn(program, args, { env: options.env, stdio: ['pipe', 'pipe', 'pipe'] });
  let end: SpawnResult['end'] = 'exited';
  let size = 0;
  const stop = (why: SpawnResult['end']) => {
    if (end !== 'exited') return;
    end = why;
    endProgram(child);
  };
  const collect = (stream: 'stdout' | 'stderr', parts: Buffer[]) => {
    const lines = options.onLine === undefined ? undefined : lineReader(stream, options.onLine);
    child[stream]?.on('data', (chunk: Buffer) => {
      if (lines !== undefined) return lines(chunk);
      size += chunk.length;
      if (size > options.outputMaxBytes) stop('too-much');
      else parts.push(chunk);
    });
  };
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  collect('stdout', stdout);
  collect('stderr', stderr);
  // A program that ends before it has read everything says why itself; the broken pipe adds nothing.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  const timer = setTimeout(stop, options.timeoutMs, 'timeout');
  const onAbort = () => stop('aborted');
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(code ?? (signal === null ? 1 : SIGNALLED)));
    });
    return { end, exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8') };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** `docker` passes SIGTERM on to the `ssh` that it started; killed, it leaves that one behind for a while. */
function endProgram(child: ChildProcess): void {
  child.kill('SIGTERM');
  const killer = setTimeout(() => {
    child.kill('SIGKILL');
    // What the program started may hold the pipes open.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, TERM_GRACE_MS);
  child.once('close', () => clearTimeout(killer));
}

function lineReader(stream: 'stdout' | 'stderr', onLine: NonNullable<SpawnOptions['onLine']>) {
  let rest = '';
  const decoder = new TextDecoder();
  return (chunk: Buffer) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = (lines.pop() ?? '').slice(0, LINE_MAX_BYTES);
    for (const line of lines) onLine(line, stream);
  };
}
