import { spawn } from 'node:child_process';
import { appendFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appendAudit } from '../../../src/operations/audit.js';
import { AUDIT_BYTES_MAX, AUDIT_FILES_KEPT, readAuditFiles, rotateAudit } from '../../../src/operations/audit-files.js';
import { readAudit } from '../../../src/operations/audit-history.js';

const SMALL = 10;
const ENTRY = {
  event: 'begin' as const,
  operation: 'x',
  title: 'x',
  operator: { user: 'kim', host: 'h', pid: 1 },
  cluster: 'a:1',
};

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-audit-files-'));
  file = path.join(directory, 'audit.jsonl');
});
afterEach(() => rm(directory, { recursive: true }));

const text = (name: string) => readFile(path.join(directory, name), 'utf8');

describe('the files of the audit log', () => {
  it('are put aside when full, the newest as .1, and only so many are kept', async () => {
    for (let round = 1; round <= AUDIT_FILES_KEPT + 2; round++) {
      await writeFile(file, `line of round ${round}\n`);
      await rotateAudit(file, SMALL);
    }
    expect((await readdir(directory)).sort()).toEqual(
      Array.from({ length: AUDIT_FILES_KEPT }, (_, index) => `audit.jsonl.${index + 1}`),
    );
    expect(await text('audit.jsonl.1')).toBe('line of round 10\n');
    await writeFile(file, 'now\n');
    await rotateAudit(file, SMALL);
    const all = await readAuditFiles(file, AUDIT_BYTES_MAX);
    expect(all.join('')).toBe(`${[3, 4, 5, 6, 7, 8, 9, 10].map((n) => `line of round ${n}\n`).join('')}now\n`);
  });

  it('a shift that was killed is finished without a loss, and whoever has the file open loses nothing', async () => {
    await writeFile(file, 'a full file\n');
    await writeFile(`${file}.1`, 'one\n');
    await writeFile(`${file}.3`, 'three\n');
    const writer = await open(file, 'a');
    await rotateAudit(file, SMALL);
    await writer.appendFile('a late line\n');
    await writer.close();
    expect(await readAuditFiles(file, AUDIT_BYTES_MAX)).toEqual(['three\n', 'one\n', 'a full file\na late line\n']);
  });

  it('a line that was cut off does not take the next one along', async () => {
    await appendAudit(file, ENTRY);
    await appendFile(file, '{"at":"2026');
    await appendAudit(file, ENTRY);
    expect(await readAudit(file)).toMatchObject({ unreadable: 1, entries: [{ title: 'x' }, { title: 'x' }] });
  });

  it('two writers that fill it at once lose no line', async () => {
    const lines = 30;
    const bytes = Math.floor(AUDIT_BYTES_MAX / 16);
    const script = `
      import { appendAudit } from ${JSON.stringify(path.resolve('src/operations/audit.ts'))};
      for (let i = 0; i < ${lines}; i++) await appendAudit(process.argv[1], {
        ...${JSON.stringify(ENTRY)}, title: process.pid + ' ' + i + 'x'.repeat(${bytes}) });`;
    const writers = [1, 2].map(() =>
      spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, file], { stdio: 'inherit' }),
    );
    const codes = await Promise.all(writers.map((writer) => new Promise((resolve) => writer.once('close', resolve))));
    expect(codes).toEqual([0, 0]);
    const { entries, unreadable } = await readAudit(file);
    expect(unreadable).toBe(0);
    expect(new Set(entries.map(({ title }) => title)).size).toBe(2 * lines);
    expect(entries).toHaveLength(2 * lines);
    expect((await readdir(directory)).length).toBeGreaterThan(2);
  }, 60_000);
});
