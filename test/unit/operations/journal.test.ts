import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseJournal, stateOf } from '../../../src/operations/journal/entry.js';
import {
  Journal,
  KEPT_MAX,
  listOperations,
  pruneJournals,
  unfinishedOperations,
} from '../../../src/operations/journal/journal.js';
import { createPlan } from '../../../src/operations/plan.js';
import { idOf, snapshotOf } from './support.js';

const ref = (n: number) => ({ id: idOf(n), address: `10.0.0.${n}:6379` });
const operator = { user: 'ada', host: 'ops', pid: 7 };
const plan = createPlan(snapshotOf(), {
  operation: 'test',
  request: {},
  title: 'A test',
  steps: [0, 1].map((n) => ({
    action: { kind: 'migrate-slots' as const, source: ref(1), target: ref(2), ranges: [{ start: n, end: n }] },
  })),
});

let directory: string;
beforeEach(async () => {
  directory = path.join(await mkdtemp(path.join(os.tmpdir(), 'forge-journal-')), 'operations');
});
afterEach(() => rm(path.dirname(directory), { recursive: true, force: true }));

const create = () => Journal.create(directory, { plan, operator });

async function whole(): Promise<{ id: string; file: string; text: string }> {
  const journal = await create();
  await journal.append({ type: 'step', step: 's1', state: 'started' });
  await journal.append({ type: 'note', step: 's1', data: { batch: 'ä' } });
  await journal.append({ type: 'step', step: 's1', state: 'done' });
  await journal.append({ type: 'step', step: 's2', state: 'started' });
  await journal.close();
  return { id: journal.operationId, file: journal.file, text: await readFile(journal.file, 'utf8') };
}

describe('a journal', () => {
  it('tells what was begun, what was done and what was remembered, and is readable by its owner only', async () => {
    const { file } = await whole();
    const [state] = await listOperations(directory);
    expect(state).toMatchObject({ plan, operator, direction: 'forward', begun: new Set(['s1', 's2']) });
    expect(state?.steps).toEqual(
      new Map([
        ['s1', 'done'],
        ['s2', 'started'],
      ]),
    );
    expect(state?.notes.get('s1')).toEqual([{ batch: 'ä' }]);
    expect(state?.result).toBeUndefined();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('cut off at any byte is the journal of the whole lines before, and can be gone on with', async () => {
    const { id, file, text } = await whole();
    const bytes = Buffer.from(text);
    for (let length = bytes.indexOf('\n') + 1; length <= bytes.length; length++) {
      await writeFile(file, bytes.subarray(0, length));
      const lines = bytes.subarray(0, length).toString('utf8').split('\n').length - 1;
      const journal = await Journal.open(directory, id);
      await journal.append({ type: 'end', result: 'abandoned' });
      await journal.close();
      const { entries } = parseJournal(await readFile(file, 'utf8'), file);
      expect(entries, `cut at ${length}`).toHaveLength(lines + 1);
      expect(entries.at(-1)).toMatchObject({ type: 'end', seq: lines });
    }
  });

  it('whose first line was cut off began nothing', async () => {
    const { file } = await whole();
    await truncate(file, 40);
    expect(await listOperations(directory)).toEqual([]);
    expect(await unfinishedOperations(directory, [idOf(1)])).toEqual([]);
  });

  it.each([
    ['a damaged line', (lines: string[]) => [lines[0], '{"type":"step"', ...lines.slice(2)]],
    ['a missing line', (lines: string[]) => [lines[0], ...lines.slice(2)]],
    ['a line that appears twice', (lines: string[]) => [lines[0], lines[1], ...lines.slice(1)]],
    ['an unknown state', (lines: string[]) => [lines[0], lines[1]?.replace('started', 'perhaps'), ...lines.slice(2)]],
  ])('with %s in its middle is refused with file and line', async (_, damage) => {
    const { file, text } = await whole();
    await writeFile(file, damage(text.split('\n')).join('\n'));
    await expect(listOperations(directory)).rejects.toThrow(/\.jsonl, line [23]: /);
  });

  it('is in the order in which lines were asked for, also when many ask at once', async () => {
    const journal = await create();
    const names = Array.from({ length: 50 }, (_, index) => `n${index}`);
    await Promise.all(names.map((step) => journal.append({ type: 'note', step, data: {} })));
    await journal.close();
    const { entries } = parseJournal(await readFile(journal.file, 'utf8'), journal.file);
    expect(entries.slice(1).map((entry) => 'step' in entry && entry.step)).toEqual(names);
    expect(entries.map(({ seq }) => seq)).toEqual([...entries.keys()]);
  });

  it('is found by the nodes of its cluster as long as it is unfinished', async () => {
    const { id } = await whole();
    expect(await unfinishedOperations(directory, [idOf(3), idOf(9)])).toMatchObject([{ operationId: id }]);
    expect(await unfinishedOperations(directory, [idOf(9)])).toEqual([]);
    const journal = await Journal.open(directory, id);
    await journal.append({ type: 'failed', kind: 'timeout', message: 'the network went away' });
    expect(journal.state).toMatchObject({ failure: { kind: 'timeout' }, lastRun: { operator } });
    await journal.append({ type: 'taken-up', direction: 'back', operator: { ...operator, pid: 1 } });
    // Who takes it up is at work, and has not failed.
    expect(journal.state).toMatchObject({ direction: 'back', operator, lastRun: { operator: { pid: 1 } } });
    expect(journal.state.failure).toBeUndefined();
    await journal.append({ type: 'end', result: 'rolled-back' });
    await journal.close();
    expect(await unfinishedOperations(directory, [idOf(3)])).toEqual([]);
  });

  it.each(['../../etc/passwd', 'x', ''])('is not looked for under the name %j', async (name) => {
    await expect(Journal.open(directory, name)).rejects.toThrow(/is no operation/);
  });

  it('of a finished operation is removed when there are too many, of an unfinished one never', async () => {
    const { id, text } = await whole();
    const end = `${JSON.stringify({ type: 'end', seq: 5, at: new Date().toISOString(), result: 'done' })}\n`;
    for (let n = 0; n < KEPT_MAX + 5; n++) {
      const name = `20200101-000000-${n.toString(16).padStart(6, '0')}`;
      const own = text.replace(id, name);
      await appendFile(path.join(directory, `${name}.jsonl`), n === 0 ? own : own + end);
    }
    await pruneJournals(directory);
    const left = await readdir(directory);
    expect(left).toHaveLength(KEPT_MAX + 2);
    expect(left).toContain('20200101-000000-000000.jsonl');
    expect(left).not.toContain('20200101-000000-000001.jsonl');
  });

  it('adds up to nothing without a beginning', () => {
    expect(stateOf([])).toBeUndefined();
  });
});
