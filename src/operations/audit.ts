/** Who changed which cluster, when, how, and what came of it: one JSON line when it begins and one when it ends. */
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { ForgeError } from '../errors.js';
import { makePrivateDirectory } from '../runtime/files.js';
import { rotateAudit } from './audit-files.js';
import { operatorSchema } from './journal/entry.js';

const auditEntrySchema = z.strictObject({
  at: z.iso.datetime(),
  event: z.enum(['begin', 'resume', 'rollback', 'end', 'refused', 'lock-released']),
  operationId: z.optional(z.string()),
  operation: z.string(),
  title: z.string(),
  operator: operatorSchema,
  /** The seed, as the operator gave it. */
  cluster: z.string(),
  /** The cluster's name in forge.yaml, or of a local one, where it was found by that. */
  name: z.optional(z.string()),
  planId: z.optional(z.string()),
  steps: z.optional(z.int()),
  forced: z.optional(z.array(z.string())),
  result: z.optional(z.string()),
  error: z.optional(z.strictObject({ kind: z.string(), message: z.string() })),
  elapsedMs: z.optional(z.number()),
});

export type AuditEntry = z.infer<typeof auditEntrySchema>;

/**
 * Appends one line; it is on disk when this returns. A line of this size is appended whole, also by two processes. A log
 * that has become long is put aside before.
 */
export async function appendAudit(file: string, entry: Omit<AuditEntry, 'at'>): Promise<void> {
  await makePrivateDirectory(path.dirname(file));
  try {
    await rotateAudit(file);
    const handle = await open(file, 'a+', 0o600);
    try {
      const line = JSON.stringify({ at: new Date().toISOString(), ...entry });
      // What a full disk cut off must not take this line along.
      const bytes = Buffer.from(`${(await endsWhole(handle)) ? '' : '\n'}${line}\n`);
      // One write: a longer text would go in parts, with another process's lines between them.
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten < bytes.length) await handle.appendFile(bytes.subarray(bytesWritten));
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new ForgeError('configuration', `The audit log ${file} cannot be written.`, {
      next: 'Check the disk and its permissions, or set FORGE_HOME to another folder.',
      cause,
    });
  }
}

async function endsWhole(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return true;
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 0 || buffer[0] === 0x0a;
}

/** The entries of an audit log; lines that are none (a torn one, another version's) are counted, not thrown away silently. */
export function parseAudit(text: string): { entries: AuditEntry[]; unreadable: number } {
  const entries: AuditEntry[] = [];
  let unreadable = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    try {
      entries.push(auditEntrySchema.parse(JSON.parse(line)));
    } catch {
      unreadable++;
    }
  }
  return { entries, unreadable };
}
