/** The files of the audit log: `audit.jsonl`, and older ones as `audit.jsonl.1` (the newest of them), `.2`, … */
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { ForgeError } from '../errors.js';
import { withLock } from '../runtime/lock.js';

/** The file is put aside when it has this size: some ten thousand lines. */
export const AUDIT_BYTES_MAX = 4 * 1024 * 1024;
/** Older files that are kept; the oldest goes when another is put aside. */
export const AUDIT_FILES_KEPT = 8;

/** The file and its older ones, the newest first. */
export function auditFiles(file: string): string[] {
  return [file, ...Array.from({ length: AUDIT_FILES_KEPT }, (_, index) => `${file}.${index + 1}`)];
}

async function sizeOf(file: string): Promise<number | undefined> {
  return (await stat(file).catch(() => undefined))?.size;
}

/**
 * Puts the file aside when it is full. Whoever has it open goes on writing to it under its new name, so that no line is
 * lost. Somebody else does the same at the moment, or it cannot be done: then the log is longer for a while.
 */
export async function rotateAudit(file: string, bytesMax = AUDIT_BYTES_MAX): Promise<void> {
  if (((await sizeOf(file)) ?? 0) < bytesMax) return;
  try {
    // Two that shift names at once would write over each other's.
    await withLock({ directory: path.dirname(file), lock: `${file}.lock` }, 'forge audit', async () => {
      if (((await sizeOf(file)) ?? 0) >= bytesMax) await shift(file);
    });
  } catch (error) {
    if (error instanceof ForgeError || (error as NodeJS.ErrnoException).code !== undefined) return;
    throw error;
  }
}

/** Up to the first name that is free, which a shift that was killed leaves; else the oldest is written over. */
async function shift(file: string): Promise<void> {
  const names = auditFiles(file);
  let last = 1;
  while (last < AUDIT_FILES_KEPT && (await sizeOf(names[last] as string)) !== undefined) last++;
  for (let index = last; index > 0; index--) await rename(names[index - 1] as string, names[index] as string);
}

/**
 * The end of the whole log, the oldest file first, without the parts of lines.
 * @param bytesMax of each file
 */
export async function readAuditFiles(file: string, bytesMax: number): Promise<string[]> {
  const texts: string[] = [];
  const seen = new Set<string>();
  // The newest first: one that is put aside meanwhile is met again under its next name, and none is missed.
  for (const name of auditFiles(file)) {
    const text = await readEnd(name, bytesMax, seen);
    if (text !== undefined) texts.unshift(text);
  }
  return texts;
}

async function readEnd(name: string, bytesMax: number, seen: Set<string>): Promise<string | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(name, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size, ino, dev } = await handle.stat();
    const identity = `${dev}:${ino}`;
    if (seen.has(identity)) return undefined;
    seen.add(identity);
    const length = Math.min(size, bytesMax);
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await handle.read(buffer, 0, length, size - length);
    const text = buffer.toString('utf8', 0, bytesRead);
    return length === size ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    await handle.close();
  }
}
