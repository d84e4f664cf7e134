/** The operator's own way of restarting a node: a program with arguments, run without a shell. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { ForgeError } from '../../errors.js';
import type { NodeRef } from '../step.js';

const WORDS_MAX = 64;
const WORD_LENGTH_MAX = 1_000;
/** Of its output, for errors: the last lines say what went wrong. */
const OUTPUT_MAX = 4_096;
const LINES_SHOWN_MAX = 5;
/** From asking it to end until it is killed. */
const GRACE_MS = 2_000;
/** From its end until its output is taken as complete. */
const OUTPUT_WAIT_MS = 200;
const PLACEHOLDER = /\{([a-z]*)\}/g;
const PLACEHOLDERS = ['host', 'port', 'address', 'id'];
const EXAMPLE = 'For example: ssh {host} systemctl restart redis-server@{port}';

/**
 * Reads `--restart-command` and `--start-command`: words separated by blanks or, where a word has blanks, a JSON list of strings.
 * @throws ForgeError `usage` for nothing, quotes outside JSON, or a placeholder that there is not
 */
export function parseRestartCommand(text: string): string[] {
  const words = text.trim().startsWith('[') ? jsonWords(text) : plainWords(text);
  if (words.length === 0 || words[0] === '') throw bad('is empty.');
  if (words.length > WORDS_MAX || words.some(({ length }) => length > WORD_LENGTH_MAX)) throw bad('is too long.');
  for (const [, name = ''] of words.flatMap((word) => [...word.matchAll(PLACEHOLDER)])) {
    if (!PLACEHOLDERS.includes(name)) {
      throw bad(`has {${name}}, which is none of ${PLACEHOLDERS.map((each) => `{${each}}`).join(' ')}.`);
    }
  }
  return words;
}

/** What it is called in plans: its program; forge itself, which runs by way of Node, by the command of forge that it is. */
export function restartCommandName([program = '', script = '', ...words]: readonly string[]): string {
  if (program !== process.execPath || path.basename(script) !== 'run.js') return program;
  const flag = words.findIndex((word) => word.startsWith('-'));
  return ['forge', ...words.slice(0, flag < 0 ? words.length : flag)].join(' ');
}

function bad(why: string, next = EXAMPLE): ForgeError {
  return new ForgeError('usage', `The command ${why}`, { next });
}

function jsonWords(text: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad('begins with [ and is no JSON list.');
  }
  if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  throw bad('is a JSON list of something else than strings.');
}

function plainWords(text: string): string[] {
  // No shell reads it: quotes would reach the program as they are.
  if (/["'`\\]/.test(text)) {
    throw bad('has quotes, and no shell reads it.', 'Write it as a JSON list: \'["ssh","{host}","a b"]\'');
  }
  return text.split(/\s+/).filter((word) => word !== '');
}

/** The words for one node. An IPv6 address is without brackets in `{host}`, and with them in `{address}`. */
export function fillRestartCommand(words: readonly string[], { id, address }: NodeRef): string[] {
  const colon = address.lastIndexOf(':');
  const values: Record<string, string> = {
    id,
    address,
    host: address.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: address.slice(colon + 1),
  };
  return words.map((word) => word.replace(PLACEHOLDER, (whole, name: string) => values[name] ?? whole));
}

/**
 * Runs it to its end, in a process group of its own: Ctrl-C does not reach it halfway.
 * @param limitMs after which it is ended
 * @throws ForgeError `missing` when there is no such program, `timeout`, `partial` when it fails; with its last lines
 */
export async function runRestartCommand(words: readonly string[], node: NodeRef, limitMs: number): Promise<void> {
  const [program = '', ...args] = fillRestartCommand(words, node);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-OUTPUT_MAX);
    });
  }
  let late = false;
  const end = (signal: NodeJS.Signals) => {
    late = true;
    // Children of a shell script as well.
    if (child.pid !== undefined) signalGroup(child.pid, signal);
  };
  const timers = [setTimeout(end, limitMs, 'SIGTERM'), setTimeout(end, limitMs + GRACE_MS, 'SIGKILL')];
  try {
    const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.once('error', reject);
      const ended = () => resolve({ code: child.exitCode, signal: child.signalCode });
      child.once('close', ended);
      // What it leaves running in the background may hold its output open.
      child.once('exit', () => timers.push(setTimeout(ended, OUTPUT_WAIT_MS)));
    });
    if (late) throw failed('timeout', node, program, `did not end within ${limitMs} ms`, output);
    if (code !== 0)
      throw failed(
        'partial',
        node,
        program,
        code === null ? `ended by ${signal}` : `failed (exit code ${code})`,
        output,
      );
  } catch (error) {
    if (error instanceof ForgeError) throw error;
    throw new ForgeError('missing', `${program} cannot be run: ${(error as Error).message}.`, {
      host: node.address,
      next: 'Check the program of the command.',
      cause: error,
    });
  } finally {
    for (const timer of timers) clearTimeout(timer);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

function failed(kind: 'timeout' | 'partial', node: NodeRef, program: string, how: string, output: string): ForgeError {
  const lines = output
    .replace(/[^\P{Cc}\n]/gu, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-LINES_SHOWN_MAX);
  return new ForgeError(kind, `The command of ${node.address} (${program}) ${how}.`, {
    host: node.address,
    next: [...lines.map((line) => `It said: ${line.trim()}`), 'Put that right; then the same command goes on.'],
  });
}
