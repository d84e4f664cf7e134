import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

const PIECE_BYTES = 64 * 1024;

/** Where a shell puts what comes out of another program: `--config <(…)`, `/dev/stdin`. */
const HANDED = /^\/(dev|proc)\//;

/**
 * The text of a file that an operator names; null when it is longer than `bytesMax`. Nothing else is waited for: a named
 * pipe would stop the proxy until somebody writes to it.
 * @throws Error with its `code`; `EINVAL` for what is no file
 */
export function readText(file: string, bytesMax: number): string | null {
  const handed = HANDED.test(file);
  const fd = openSync(file, constants.O_RDONLY | (handed ? 0 : constants.O_NONBLOCK));
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw failure('EISDIR', 'it is a folder');
    if (!stat.isFile() && !handed) throw failure('EINVAL', 'it is not a file');
    if (stat.size > bytesMax) return null;
    const pieces: Buffer[] = [];
    for (let length = 0; ; ) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, bytesMax + 1 - length));
      const taken = readSync(fd, piece);
      if (taken === 0) return Buffer.concat(pieces).toString('utf8');
      length += taken;
      if (length > bytesMax) return null;
      pieces.push(piece.subarray(0, taken));
    }
  } finally {
    closeSync(fd);
  }
}

/** Why a file was not read, for people. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'EINVAL' ? message : (code ?? message);
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
