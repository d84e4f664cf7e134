/** The program's entry: runs one command line and leaves with its exit code. bin/run.js and bin/dev.js call it. */
import type { Interfaces } from '@oclif/core';
import { run } from '@oclif/core/run';
import { settings } from '@oclif/core/settings';

// There is nothing to compile at run time; looking for it takes longer than the rest of the start.
settings.enableAutoTranspile = false;

/** Whoever reads our output may be slow; after this many milliseconds the process leaves anyway. */
const FLUSH_MS = 10_000;

/**
 * Runs the command line and ends the process.
 * @param load URL of a file in the package, from which oclif finds package.json and the commands; or how to load it
 */
export async function main(argv: string[], load: Interfaces.LoadOptions): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) ignoreClosedPipe(stream);
  process.on('uncaughtException', (error) => void fail(error, argv).then(leave));
  try {
    await run(argv, load);
  } catch (error) {
    return leave(await fail(error, argv));
  }
  return leave(Number(process.exitCode ?? 0));
}

/** Prints the failure; what that takes is loaded only now. */
async function fail(error: unknown, argv: readonly string[]): Promise<number> {
  const { asksForJson, reportFailure } = await import('./ui/failure.js');
  return reportFailure(error, { json: asksForJson(argv) });
}

/** `EIO`: the terminal is gone. */
const READER_IS_GONE = new Set(['EPIPE', 'ERR_STREAM_DESTROYED', 'EIO']);

/** `forge … | head` closes our output early. That is the reader's right, and the command still does its work. */
function ignoreClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!READER_IS_GONE.has(error.code ?? '')) throw error;
  });
}

/** A connection that somebody forgot to close must not keep the shell waiting: the process ends when the command does. */
async function leave(exitCode: number): Promise<never> {
  setTimeout(() => process.exit(exitCode), FLUSH_MS).unref();
  await Promise.all([process.stdout, process.stderr].map(flushed));
  process.exit(exitCode);
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.destroyed || stream.writableLength === 0) return Promise.resolve();
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}
