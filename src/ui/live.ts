/** A page on the terminal that is drawn again and again, until the reader leaves. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OutputStream } from './output.js';

const ESCAPE = '\u001b[';
/** The terminal's second page, so that the first one is there again afterwards; no cursor, and long lines are cut. */
const ENTER = `${ESCAPE}?1049h${ESCAPE}?25l${ESCAPE}?7l`;
const LEAVE = `${ESCAPE}?7h${ESCAPE}?25h${ESCAPE}?1049l`;
const HOME = `${ESCAPE}H`;
const CLEAR_LINE = `${ESCAPE}K`;
const CLEAR_BELOW = `${ESCAPE}J`;
const DEFAULT_ROWS = 24;
/** q, Ctrl-C, Ctrl-D and Escape alone. */
const LEAVING_KEYS = new Set(['q', 'Q', '\u0003', '\u0004', '\u001b']);

/** The part of standard output that is used here. */
export interface LiveOutput extends OutputStream {
  rows?: number;
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
}

/** The part of standard input that is used here. */
export interface LiveInput {
  isTTY?: boolean;
  setRawMode?(on: boolean): unknown;
  on(event: 'data', listener: (data: Buffer) => void): unknown;
  off(event: 'data', listener: (data: Buffer) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

export interface LiveOptions {
  /** Makes the next page, as lines. What it throws ends the view. */
  page(signal: AbortSignal): Promise<readonly string[]>;
  /** From one page to the next, milliseconds. */
  intervalMs: number;
  signal: AbortSignal;
  input?: LiveInput;
  output?: LiveOutput;
}

/** Whether pages can be drawn: standard output is a terminal that obeys. */
export function canDraw(output: LiveOutput = process.stdout, environment: NodeJS.ProcessEnv = process.env): boolean {
  return output.isTTY === true && output.columns !== 0 && environment.TERM !== 'dumb';
}

/** The lines that fit; where some do not, the last one says how many. Pure. */
export function fitLines(lines: readonly string[], rows: number): string[] {
  if (lines.length <= rows) return [...lines];
  const shown = Math.max(0, rows - 1);
  return [...lines.slice(0, shown), `… ${lines.length - shown} more lines`];
}

/** One page as what is written to the terminal: each line over the one that was there, without a flicker. Pure. */
export function drawing(lines: readonly string[], rows: number): string {
  const drawn = fitLines(lines, rows).map((line) => `${line}${CLEAR_LINE}`);
  return `${HOME}${drawn.join('\r\n')}${CLEAR_BELOW}`;
}

export interface LinesOptions {
  /** Makes the next text. */
  text(): Promise<string>;
  intervalMs: number;
  signal: AbortSignal;
}

/** Where nothing can be drawn: writes one text after the other, until the signal is aborted or nobody reads any more. */
export async function showLines({ text, intervalMs, signal }: LinesOptions): Promise<void> {
  const left = new AbortController();
  const leave = () => left.abort();
  process.stdout.once('error', leave);
  const both = AbortSignal.any([signal, left.signal]);
  try {
    while (!both.aborted) {
      process.stdout.write(`${await text()}\n`);
      await sleep(intervalMs, undefined, { signal: both });
    }
  } catch (error) {
    if (!both.aborted) throw error;
  } finally {
    process.stdout.off('error', leave);
  }
}

/** Shows pages until the reader leaves (q, Ctrl-C) or the signal is aborted. @throws the signal's reason, what `page` throws */
export async function showLive(options: LiveOptions): Promise<void> {
  const { signal, intervalMs, input = process.stdin, output = process.stdout } = options;
  const left = new AbortController();
  const both = AbortSignal.any([signal, left.signal]);
  let lines: readonly string[] = [];
  const draw = () => void output.write(drawing(lines, output.rows || DEFAULT_ROWS));
  const key = (data: Buffer) => {
    if (LEAVING_KEYS.has(data.toString('latin1'))) left.abort();
  };
  // However the process ends, the terminal is as it was.
  const restore = () => {
    if (input.isTTY) input.setRawMode?.(false);
    output.write(LEAVE);
  };
  output.write(ENTER);
  process.once('exit', restore);
  output.on?.('resize', draw);
  if (input.isTTY) {
    input.setRawMode?.(true);
    input.on('data', key);
    input.resume();
  }
  try {
    while (!both.aborted) {
      lines = await options.page(both);
      draw();
      await sleep(intervalMs, undefined, { signal: both });
    }
  } catch (error) {
    if (!left.signal.aborted) throw error;
  } finally {
    process.off('exit', restore);
    output.off?.('resize', draw);
    input.off('data', key);
    input.pause();
    restore();
  }
  signal.throwIfAborted();
}
