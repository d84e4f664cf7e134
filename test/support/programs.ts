/** Programs that a test starts and stops: their output is kept, their end is bounded. */
import { type ChildProcess, spawn } from 'node:child_process';
import { poll } from './redis.js';

const START_MS = 20_000;
const STOP_MS = 5_000;
const OUTPUT_CHARACTERS_MAX = 256 * 1024;

export interface RunningProgram {
  readonly pid: number;
  /** What it has written, the newest part of it. */
  output(): string;
  /** Ends it (SIGTERM, then SIGKILL). Safe to call twice. */
  stop(): Promise<void>;
}

/** Starts a program and waits until the address answers 200. Throws with what it wrote when it does not get there. */
export async function startProgram(program: string, args: readonly string[], ready: string): Promise<RunningProgram> {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      written = (written + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
  }
  let over = false;
  const ended = new Promise<void>((resolve) => {
    const end = (error?: Error | number | null) => {
      if (error instanceof Error) written += error.message;
      over = true;
      resolve();
    };
    child.once('error', end);
    child.once('close', end);
  });
  const running: RunningProgram = {
    pid: child.pid ?? -1,
    output: () => written,
    async stop() {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(late);
    },
  };
  try {
    await poll(`${program} is ready`, START_MS, async () => {
      if (over) throw new Error(`${program} ended`);
      const answer = await fetch(ready, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
      return answer?.status === 200;
    });
  } catch (error) {
    await running.stop();
    throw new Error(`${(error as Error).message}; it wrote:\n${written}`);
  }
  return running;
}
