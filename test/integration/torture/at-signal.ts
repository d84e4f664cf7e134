/** Somebody who waits for SIGTERM: so a command that is watched by a test says when something else happens. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface AtSignal {
  readonly pid: number;
  /** Resolves with its exit code when it has done it, or was ended. */
  readonly done: Promise<number | null>;
  /** Ends it without doing anything. */
  end(): void;
}

/** @param program JavaScript that sets `code`, the exit code, when something else than 0 */
export async function atSignal(program: string): Promise<AtSignal> {
  const source = `let code = 0; setInterval(() => {}, 1000); process.on('SIGTERM', () => { ${program}; process.exit(code); });
    console.log('ready');`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const done = once(child, 'exit').then(([code]) => code as number | null);
  await once(child.stdout, 'data');
  return { pid: child.pid as number, done, end: () => child.kill('SIGKILL') };
}
