/** Who changed which cluster, when, how, and what came of it: one JSON line when it begins and one when it ends. */
import { open } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { ForgeError } from '../errors.js';
import { makePrivateDirectory } from '../runtime/files.js';
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
  planId: z.optional(z.string()),
  steps: z.optional(z.int()),
  forced: z.optional(z.array(z.string())),
  result: z.optional(z.string()),
  error: z.optional(z.strictObject({ kind: z.string(), message: z.string() })),
  elapsedMs: z.optional(z.number()),
});

export type AuditEntry = z.infer<typeof auditEntrySchema>;

/** Appends one line; it is on disk when this returns. A line of this size is appended whole, also by two processes. */
export async function appendAudit(file: string, entry: Omit<AuditEntry, 'at'>): Promise<void> {
  await makePrivateDirectory(path.dirname(file));
  try {
    const handle = await open(file, 'a', 0o600);
    try {
      await handle.appendFile(`${JSON.stringify({ at: new Date().toISOString(), ...entry })}\n`);
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
