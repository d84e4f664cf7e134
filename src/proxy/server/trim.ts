import { readFileSync } from 'node:fs';
import { openLibc } from './libc.js';
import { codeOf } from './memory-maps.js';

const MADV_DONTNEED = 4;

/**
 * Gives back the memory of code that only the start has used: about a third of what the process has. The first use of
 * each page afterwards takes a microsecond; the file itself stays in the system's cache. Does nothing where it cannot.
 */
export function giveBackCode(): void {
  try {
    const mappings = codeOf(process.execPath, readFileSync('/proc/self/maps', 'latin1'));
    const libc = openLibc({ madvise: { args: ['u64', 'u64', 'i32'], returns: 'i32' } });
    for (const { start, bytes } of mappings) libc?.symbols.madvise(start, bytes, MADV_DONTNEED);
    libc?.close();
  } catch {
    // No /proc: it costs memory and nothing else.
  }
}
