/** The audit log as a history: every run with how it ended. Pure but for `readAudit`. */
import { open } from 'node:fs/promises';
import { ForgeError } from '../errors.js';
import { type AuditEntry, parseAudit } from './audit.js';

/** Of a longer log, the end is read: some hundred thousand entries. */
const READ_BYTES_MAX = 64 * 1024 * 1024;

export interface AuditRun {
  readonly at: string;
  readonly event: Exclude<AuditEntry['event'], 'end'>;
  readonly operation: string;
  readonly title: string;
  readonly operator: AuditEntry['operator'];
  readonly cluster: string;
  readonly operationId?: string;
  readonly planId?: string;
  readonly steps?: number;
  readonly forced: readonly string[];
  /** `done`, `rolled-back`, `unfinished`; `no end` when it was killed, or is at work. */
  readonly result: string;
  readonly error?: { readonly kind: string; readonly message: string };
  readonly elapsedMs?: number;
}

/** The runs, the oldest first. An end belongs to the last run of its operation by the same process. */
export function auditRuns(entries: readonly AuditEntry[]): AuditRun[] {
  const runs: AuditRun[] = [];
  const open = new Map<string, number>();
  const keyOf = ({ operationId, operator }: AuditEntry) => `${operationId} ${operator.host} ${operator.pid}`;
  for (const entry of entries) {
    const { event, result, error, elapsedMs } = entry;
    if (event === 'end') {
      const index = open.get(keyOf(entry));
      const run = index === undefined ? undefined : runs[index];
      if (index === undefined || run === undefined) continue;
      runs[index] = {
        ...run,
        result: result ?? '-',
        ...(error === undefined ? {} : { error }),
        ...(elapsedMs === undefined ? {} : { elapsedMs }),
      };
      open.delete(keyOf(entry));
      continue;
    }
    const { forced = [], ...rest } = entry;
    if (entry.operationId !== undefined) open.set(keyOf(entry), runs.length);
    runs.push({ ...rest, event, forced, result: result ?? (entry.operationId === undefined ? 'done' : 'no end') });
  }
  return runs;
}

export interface AuditQuery {
  /** The newest so many. */
  readonly last?: number;
  /** Not older than so many milliseconds. */
  readonly sinceMs?: number;
  readonly operationId?: string;
  readonly now?: number;
}

export function selectRuns(runs: readonly AuditRun[], query: AuditQuery): AuditRun[] {
  const { last, sinceMs, operationId, now = Date.now() } = query;
  const selected = runs.filter(
    (run) =>
      (operationId === undefined || run.operationId === operationId) &&
      (sinceMs === undefined || Date.parse(run.at) >= now - sinceMs),
  );
  return last === undefined ? selected : selected.slice(Math.max(0, selected.length - last));
}

/**
 * The audit log of this machine; empty when there is none.
 * @throws ForgeError `configuration` when it cannot be read
 */
export async function readAudit(file: string): Promise<ReturnType<typeof parseAudit>> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      const length = Math.min(size, READ_BYTES_MAX);
      const buffer = Buffer.alloc(length);
      const { bytesRead } = await handle.read(buffer, 0, length, size - length);
      const text = buffer.toString('utf8', 0, bytesRead);
      return parseAudit(length === size ? text : text.slice(text.indexOf('\n') + 1));
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { entries: [], unreadable: 0 };
    throw new ForgeError('configuration', `The audit log ${file} cannot be read.`, {
      next: 'Check its permissions.',
      cause,
    });
  }
}
