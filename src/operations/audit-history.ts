/** The audit log as a history: every run with how it ended. Pure but for `readAudit`. */
import { ForgeError } from '../errors.js';
import { type AuditEntry, parseAudit } from './audit.js';
import { readAuditFiles } from './audit-files.js';

/** Of a longer file, the end is read: some hundred thousand entries. */
const READ_BYTES_MAX = 64 * 1024 * 1024;

export interface AuditRun {
  readonly at: string;
  readonly event: Exclude<AuditEntry['event'], 'end'>;
  readonly operation: string;
  readonly title: string;
  readonly operator: AuditEntry['operator'];
  readonly cluster: string;
  readonly name?: string;
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

/** A cluster as the log may tell of it: by its name, or by one of its nodes, which was the seed. */
export interface ClusterChoice {
  readonly name: string;
  /** `host:port`. */
  readonly addresses: ReadonlySet<string>;
}

/** Another cluster may have had the address before: where the log has a name, that counts. */
function isOf(run: AuditRun, { name, addresses }: ClusterChoice): boolean {
  return run.name === undefined ? addresses.has(run.cluster) : run.name === name;
}

export interface AuditQuery {
  /** The newest so many. */
  readonly last?: number;
  /** Not older than so many milliseconds. */
  readonly sinceMs?: number;
  readonly operationId?: string;
  readonly cluster?: ClusterChoice;
  readonly now?: number;
}

export function selectRuns(runs: readonly AuditRun[], query: AuditQuery): AuditRun[] {
  const { last, sinceMs, operationId, cluster, now = Date.now() } = query;
  const selected = runs.filter(
    (run) =>
      (operationId === undefined || run.operationId === operationId) &&
      (cluster === undefined || isOf(run, cluster)) &&
      (sinceMs === undefined || Date.parse(run.at) >= now - sinceMs),
  );
  return last === undefined ? selected : selected.slice(Math.max(0, selected.length - last));
}

/**
 * The audit log of this machine, with the files that were put aside; empty when there is none.
 * @throws ForgeError `configuration` when it cannot be read
 */
export async function readAudit(file: string): Promise<ReturnType<typeof parseAudit>> {
  try {
    const parts = (await readAuditFiles(file, READ_BYTES_MAX)).map(parseAudit);
    return {
      entries: parts.flatMap(({ entries }) => entries),
      unreadable: parts.reduce((sum, { unreadable }) => sum + unreadable, 0),
    };
  } catch (cause) {
    throw new ForgeError('configuration', `The audit log ${file} cannot be read.`, {
      next: 'Check its permissions.',
      cause,
    });
  }
}
