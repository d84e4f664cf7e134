/** How a failure is shown: every error becomes a `ForgeError` here, and is printed here. */
import { ForgeError } from '../errors.js';
import { type Colors, createColors, wantsColors } from './colors.js';
import { Output, type OutputStream } from './output.js';

/** What oclif puts on its own errors: unknown flags, missing arguments, unknown commands, `--help`'s exit. */
interface OclifError extends Error {
  oclif?: { exit?: number };
  code?: string;
}

/** Turns anything thrown into a `ForgeError`; what oclif's parser threw is the kind `usage`. */
export function toForgeError(error: unknown): ForgeError {
  if (error instanceof ForgeError) return error;
  if (error instanceof Error && (error as OclifError).oclif !== undefined) {
    const unknown = /^command (\S+) not found$/.exec(error.message)?.[1];
    if (unknown !== undefined) {
      const message = `Unknown command: ${unknown.replaceAll(':', ' ')}`;
      return new ForgeError('usage', message, { next: 'forge --help lists the commands.', cause: error });
    }
    const message = error.message.replace(/\nSee more help with --help$/, '').replace(/^Parsing (--\S+)\s+E/, '$1: e');
    return new ForgeError('usage', message, { next: 'Add --help to see what the command takes.', cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new ForgeError('unexpected', `Unexpected failure: ${message || 'no message'}`, {
    next: 'Run it again with DEBUG=forge to see where it happened, and report it.',
    cause: error,
  });
}

/** The exit code when `error` only asks to leave (`--help` and `--version` do); undefined for a failure. */
export function quietExitCode(error: unknown): number | undefined {
  const { code, oclif } = (error ?? {}) as OclifError;
  return code === 'EEXIT' ? (oclif?.exit ?? 0) : undefined;
}

/** The failure for people: what failed, where, what to do next; the stack and causes only when `debug` is true. */
export function formatFailure(error: ForgeError, colors: Colors, debug = false): string {
  const lines = [`${colors.red('Error:')} ${error.message}`];
  if (error.host !== undefined && !error.message.includes(error.host))
    lines.push(`  ${colors.dim('at')} ${error.host}`);
  for (const step of error.next) lines.push(`  ${colors.cyan('→')} ${step}`);
  if (debug) lines.push(...stacks(error));
  return lines.join('\n');
}

/** Causes may point in a circle; more than this many say nothing new. */
const CAUSES_MAX = 10;

function stacks(error: unknown): string[] {
  const lines: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < CAUSES_MAX && current instanceof Error; depth++) {
    lines.push(`${depth === 0 ? '' : 'Caused by: '}${current.stack ?? current.message}`);
    current = current.cause;
  }
  return lines;
}

/** True when the environment asks for stacks: DEBUG=forge or DEBUG=*, in a comma-separated list. */
export function wantsDebug(environment: NodeJS.ProcessEnv = process.env): boolean {
  return (environment.DEBUG ?? '').split(',').some((name) => ['forge', 'forge:*', '*'].includes(name.trim()));
}

/** True when the arguments ask for JSON, also where they could not be parsed: `--json` before any `--`. */
export function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

/**
 * Prints a failure: text on standard error, or with `json` one document `{ "error": … }` on standard output.
 * @returns the exit code
 */
export function reportFailure(
  error: unknown,
  options: { json: boolean; stdout?: OutputStream; stderr?: OutputStream; environment?: NodeJS.ProcessEnv },
): number {
  const exitCode = quietExitCode(error);
  if (exitCode !== undefined) return exitCode;
  const failure = toForgeError(error);
  const stderr = options.stderr ?? process.stderr;
  const debug = wantsDebug(options.environment);
  if (options.json) {
    new Output({ json: true, stdout: options.stdout, stderr }).document({ error: failure });
    if (debug) stderr.write(`${stacks(failure).join('\n')}\n`);
  } else {
    stderr.write(`${formatFailure(failure, createColors(wantsColors(stderr, options.environment)), debug)}\n`);
  }
  return failure.exitCode;
}
