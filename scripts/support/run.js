// @ts-check
// Child processes with a time limit, which end when we are told to end.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { EXIT, SetupFailure } from './failure.js';

/** A child that ignores SIGTERM is killed after this many milliseconds. */
const KILL_AFTER_MS = 5_000;
/** How much of a failed program's captured output is shown: the cause comes first, usage texts later. */
const SHOWN_LINES_MAX = 25;
const SIGNAL_EXIT = /** @type {const} */ ({ SIGINT: 130, SIGTERM: 143 });

/**
 * @typedef {object} RunOptions
 * @property {number} timeoutMs
 * @property {boolean} [capture] collect the output instead of showing it on standard error
 * @property {string} [cwd]
 * @property {(pid: number) => void} [onStart]
 * @property {NodeJS.ProcessEnv} [env] added to our own environment
 */

/**
 * Runs a program without standard input (nothing may ask questions) and waits for it. Its output goes to our standard
 * error: standard output stays free for data. Never throws for a failing program.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} options
 * @returns {Promise<{ code: number, output: string, timedOut: boolean }>} code 127 when it could not be started
 */
export function run(command, args, { timeoutMs, capture = false, cwd, env, onStart }) {
  return new Promise((resolve) => {
    const sink = capture ? 'pipe' : 2;
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', sink, sink] });
    if (child.pid !== undefined) onStart?.(child.pid);
    let output = '';
    let timedOut = false;
    const end = () => {
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS).unref();
    };
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, timeoutMs);
    /** @param {NodeJS.Signals} signal */
    const leave = (signal) => {
      end();
      process.exitCode = SIGNAL_EXIT[/** @type {'SIGINT' | 'SIGTERM'} */ (signal)];
      child.once('close', () => process.exit());
    };
    process.once('SIGINT', leave).once('SIGTERM', leave);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    /** @param {number} code */
    const done = (code) => {
      clearTimeout(timer);
      process.off('SIGINT', leave).off('SIGTERM', leave);
      resolve({ code, output, timedOut });
    };
    child.once('error', () => done(127));
    child.once('close', (code) => done(code ?? 1));
  });
}

/**
 * Runs a program and throws when it fails or takes too long.
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions & { next?: string, exitCode?: number }} options
 */
export async function runOrThrow(command, args, options) {
  const { code, output, timedOut } = await run(command, args, options);
  if (code === 0) return output;
  const line = [path.basename(command), ...args].join(' ');
  const what = timedOut ? `took more than ${options.timeoutMs / 1000} s` : `failed with exit code ${code}`;
  const said = output.trim().split('\n').slice(0, SHOWN_LINES_MAX).join('\n');
  throw new SetupFailure(`${line} ${what}${said ? `\n${said}` : ''}`, {
    next: options.next,
    exitCode: timedOut ? EXIT.timeout : options.exitCode,
  });
}
