/** Questions. Asked on standard error, answered on standard input, and only where both are a terminal. */
import { createInterface } from 'node:readline/promises';
import { ForgeError } from '../errors.js';

/** Nobody is there when a question stays open this long; a forgotten one must not hold a lock for ever. */
const ANSWER_MS = 10 * 60_000;

export interface AskOptions {
  confirmWord?: string;
  /** What to do where there is no terminal to ask on. */
  otherwise?: string;
  json?: boolean;
  signal?: AbortSignal;
  input?: NodeJS.ReadableStream & { isTTY?: boolean };
  output?: NodeJS.WritableStream & { isTTY?: boolean };
}

const NOTHING_CHANGED = 'Nothing was changed.';

/**
 * True on a yes.
 * @throws ForgeError `refused` on a no, without a terminal, and when nobody answers in ten minutes.
 */
export async function askConfirmation(question: string, options: AskOptions = {}): Promise<true> {
  const { confirmWord, otherwise, json, signal, input = process.stdin, output = process.stderr } = options;
  if (json || !input.isTTY || !output.isTTY) {
    throw new ForgeError('refused', `A confirmation is needed and there is no terminal to ask on: ${question}`, {
      next: otherwise ?? 'Add --yes to go on without the question.',
    });
  }
  const hint = confirmWord === undefined ? '[y/N]' : `Type ${confirmWord} to go on:`;
  const answer = await ask(`${question} ${hint} `, input, output, signal);
  const agreed = confirmWord === undefined ? /^y(es)?$/i.test(answer) : answer === confirmWord;
  if (!agreed) throw new ForgeError('refused', `Not confirmed. ${NOTHING_CHANGED}`);
  return true;
}

async function ask(
  prompt: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  signal?: AbortSignal,
): Promise<string> {
  const lines = createInterface({ input, output });
  // readline takes Ctrl-C for itself; hand it on as the signal that the base command listens to.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const timeUp = AbortSignal.timeout(ANSWER_MS);
  try {
    // Ctrl-D closes the interface and leaves the question unsettled.
    const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
    const either = signal === undefined ? timeUp : AbortSignal.any([signal, timeUp]);
    return (await Promise.race([lines.question(prompt, { signal: either }), closed])).trim();
  } catch (error) {
    signal?.throwIfAborted();
    if (timeUp.aborted) throw new ForgeError('refused', `Nobody answered in ten minutes. ${NOTHING_CHANGED}`);
    throw error;
  } finally {
    lines.close();
  }
}
