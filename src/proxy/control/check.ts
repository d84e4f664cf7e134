/** Validating a configuration with the very program that would run it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ForgeError } from '../../errors.js';
import { exitKind, exitWords, findProxyExecutable } from './executable.js';

const run = promisify(execFile);
const CHECK_TIMEOUT_MS = 10_000;
const OUTPUT_BYTES_MAX = 256 * 1024;

/**
 * Has the executable check a configuration file.
 * @param file absolute
 * @throws ForgeError `configuration` with every fault that it found, `missing` without the executable
 */
export async function checkProxyConfig(file: string, signal?: AbortSignal): Promise<void> {
  const program = findProxyExecutable();
  try {
    await run(program, ['--check', '--config', file], {
      timeout: CHECK_TIMEOUT_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
      signal,
    });
  } catch (error) {
    signal?.throwIfAborted();
    const { code, stderr } = error as { code?: number | string; stderr?: string };
    const faults = (stderr ?? '').split('\n').filter((line) => line.trim() !== '');
    if (typeof code !== 'number') {
      throw new ForgeError('timeout', `${program} did not check the file within ${CHECK_TIMEOUT_MS / 1000} s.`, {
        cause: error,
      });
    }
    throw new ForgeError(
      exitKind(code) ?? 'unexpected',
      faults.length > 0 ? faults.join('\n') : `The proxy did not accept ${file}: ${exitWords(code)}.`,
      { next: `Correct ${file} and check again.`, cause: error },
    );
  }
}
