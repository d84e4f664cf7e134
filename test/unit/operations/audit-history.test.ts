import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../src/operations/audit.js';
import { auditRuns, readAudit, selectRuns } from '../../../src/operations/audit-history.js';

const kim = { user: 'kim', host: 'ops-1', pid: 1 };
const entry = (at: string, event: AuditEntry['event'], more: Partial<AuditEntry> = {}): AuditEntry => ({
  at: `2026-11-21T${at}:00.000Z`,
  event,
  operationId: 'a',
  operation: 'scale add',
  title: 'Add x',
  operator: kim,
  cluster: 'x:1',
  ...more,
});

const LOG: AuditEntry[] = [
  entry('10:00', 'begin', { steps: 3, forced: ['memory'] }),
  entry('10:01', 'begin', { operationId: 'b', operator: { ...kim, pid: 2 } }),
  entry('10:02', 'end', { result: 'unfinished', error: { kind: 'timeout', message: 'too slow' }, elapsedMs: 7 }),
  // Another process than that which was killed: its end is not the end of the other's run.
  entry('10:03', 'resume', { operationId: 'b', operator: { ...kim, pid: 3 } }),
  entry('10:04', 'end', { operationId: 'b', operator: { ...kim, pid: 3 }, result: 'done', elapsedMs: 9 }),
  entry('10:05', 'rollback'),
  entry('10:06', 'end', { result: 'rolled-back' }),
  entry('10:07', 'lock-released', { operationId: undefined, operation: 'lock release' }),
  entry('10:08', 'end', { operationId: 'of a line that is not there' }),
];

describe('the history of changes', () => {
  const runs = auditRuns(LOG);

  it('has every run once, with how it ended, also when it was killed', () => {
    expect(runs.map(({ event, operationId, result }) => [event, operationId, result])).toEqual([
      ['begin', 'a', 'unfinished'],
      ['begin', 'b', 'no end'],
      ['resume', 'b', 'done'],
      ['rollback', 'a', 'rolled-back'],
      ['lock-released', undefined, 'done'],
    ]);
    expect(runs[0]).toMatchObject({ forced: ['memory'], steps: 3, error: { kind: 'timeout' }, elapsedMs: 7 });
  });

  it('is cut by age, by operation and by number, the newest last', () => {
    const now = Date.parse('2026-11-21T10:08:00.000Z');
    expect(selectRuns(runs, { last: 2 }).map(({ event }) => event)).toEqual(['rollback', 'lock-released']);
    expect(selectRuns(runs, { sinceMs: 3 * 60_000, now })).toHaveLength(2);
    expect(selectRuns(runs, { operationId: 'b', last: 5 })).toHaveLength(2);
    expect(selectRuns(runs, { operationId: 'c' })).toEqual([]);
  });

  it('is empty without a file, and counts lines that are none', async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'forge-audit-'));
    try {
      expect(await readAudit(path.join(directory, 'absent'))).toEqual({ entries: [], unreadable: 0 });
      await expect(readAudit(directory)).rejects.toMatchObject({ kind: 'configuration' });
      const file = path.join(directory, 'audit.jsonl');
      await writeFile(file, `${JSON.stringify(LOG[0])}\nnonsense\n{"at":1}\n${JSON.stringify(LOG[2])}\n{"at":"2026-1`);
      const { entries, unreadable } = await readAudit(file);
      expect(entries).toHaveLength(2);
      expect(unreadable).toBe(3);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('is cut by cluster: by its name, and by the seed where the log has no name', () => {
    const named = (operationId: string, cluster: string, name?: string) =>
      entry('11:00', 'begin', { operationId, cluster, ...(name === undefined ? {} : { name }) });
    const log = auditRuns([
      named('a', 'a:1', 'shop'),
      named('b', 'b:1'),
      named('c', 'b:1', 'other'),
      named('d', 'c:1'),
    ]);
    const of = (name: string, ...addresses: string[]) =>
      selectRuns(log, { cluster: { name, addresses: new Set(addresses) } }).map(({ operationId }) => operationId);
    expect(of('shop', 'b:1')).toEqual(['a', 'b']);
    expect(of('nobody')).toEqual([]);
  });
});
