/** Runs the built command line as its users do: as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { isStale } from '../../scripts/build/parts.js';
import { ROOT } from './repository.js';

const LIMIT_MS = 60_000;

export interface ForgeResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ForgeOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Killed after this many milliseconds; 60,000 by default. */
  limitMs?: number;
}

export interface RunningForge {
  child: ChildProcess;
  ended: Promise<ForgeResult>;
  /** Resolves when standard error has shown the text; rejects when the process ends before. */
  said: (text: string) => Promise<void>;
}

/** Starts `forge` with these arguments and no terminal. */
export function startForge(args: string[], { env, cwd = ROOT, limitMs = LIMIT_MS }: ForgeOptions = {}): RunningForge {
  if (isStale('cli')) throw new Error('dist/ is older than src/. Run: npm run build');
  const child = spawn(process.execPath, [path.join(ROOT, 'bin/run.js'), ...args], {
    cwd,
    env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output.stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  const ended = new Promise<ForgeResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...output });
    });
  });
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => output.stderr.includes(text) && resolve();
      child.stderr.on('data', look);
      child.once('close', () => reject(new Error(`forge ended without saying "${text}": ${output.stderr}`)));
      look();
    });
  return { child, ended, said };
}

/** Runs `forge` to its end. */
export function forge(args: string[], options?: ForgeOptions): Promise<ForgeResult> {
  return startForge(args, options).ended;
}
