import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RestoreJournal, restoreFile, WINDOW_KEYS } from '../../../../src/backup/restore/journal.js';

const IDENTITY = { backup: 'orders/20261122T054900Z-3fa2c1', nodes: ['b', 'a'], options: 'refuse all' };
let home: string;

beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), 'forge-journal-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe('the journal of a restore', () => {
  it('is what the next run of the same restore goes on with', async () => {
    const first = await RestoreJournal.open(IDENTITY, true, home);
    expect(first.resumed).toBe(false);
    const shard = first.shard('one');
    shard.cursor = 5;
    shard.restored = 4;
    shard.counts.add(7, undefined);
    first.libraries.add('code');
    await first.save();
    const next = await RestoreJournal.open({ ...IDENTITY, nodes: ['a', 'b', 'c'] }, false, home);
    expect(next).toMatchObject({ resumed: true, wasEmpty: true, beganMs: first.beganMs });
    expect(next.shard('one')).toMatchObject({ cursor: 5, restored: 4, done: false });
    expect(next.shard('one').counts.keys(7)).toBe(1);
    expect([...next.libraries]).toEqual(['code']);
    await next.remove();
    expect(await readdir(path.join(home, 'restores'))).toEqual([]);
  });

  it('is another one for another choice, another backup, or another cluster', async () => {
    const journal = await RestoreJournal.open(IDENTITY, true, home);
    await journal.save();
    for (const other of [{ options: 'keep all' }, { backup: 'orders/x' }, { nodes: ['c'] }]) {
      expect((await RestoreJournal.open({ ...IDENTITY, ...other }, true, home)).resumed).toBe(false);
    }
  });

  it('knows which keys an earlier run may have sent', async () => {
    const first = await RestoreJournal.open(IDENTITY, true, home);
    first.shard('one').cursor = 10;
    first.shard('two').done = true;
    expect(first.isDoubtful('one', 11, true)).toBe(false);
    expect(first.hasRoom('one', WINDOW_KEYS - 1)).toBe(true);
    expect(first.hasRoom('one', WINDOW_KEYS)).toBe(false);
    await first.save();
    expect(first.hasRoom('one', WINDOW_KEYS + 9)).toBe(true);
    const next = await RestoreJournal.open(IDENTITY, true, home);
    expect(next.isDoubtful('one', 10 + WINDOW_KEYS - 1, true)).toBe(true);
    expect(next.isDoubtful('one', 10 + WINDOW_KEYS, true)).toBe(false);
    // In another order, it may have been any of them.
    expect(next.isDoubtful('one', 10 + WINDOW_KEYS, false)).toBe(true);
    expect(next.isDoubtful('two', 0, true)).toBe(false);
    expect(next.isDoubtful('three', 0, true)).toBe(false);
  });

  it('begins again with what it had done in doubt, and knows that after another end', async () => {
    const first = await RestoreJournal.open(IDENTITY, true, home);
    const one = first.shard('one');
    one.cursor = 3 * WINDOW_KEYS;
    one.done = true;
    one.restored = 7;
    one.counts.add(7, undefined);
    first.proven = true;
    await first.save();
    const again = RestoreJournal.again(IDENTITY, await RestoreJournal.open(IDENTITY, false, home));
    expect(again).toMatchObject({ resumed: true, wasEmpty: true, proven: true, file: first.file });
    expect(again.shard('one')).toMatchObject({ cursor: 0, restored: 0, done: false });
    expect([again.counts().keys(7), again.hasRoom('one', WINDOW_KEYS)]).toEqual([0, false]);
    await again.save();
    const next = await RestoreJournal.open(IDENTITY, false, home);
    for (const journal of [again, next]) {
      expect(journal.isDoubtful('one', 3 * WINDOW_KEYS, true)).toBe(true);
      expect(journal.isDoubtful('two', 0, true)).toBe(false);
    }
    next.shard('one').done = true;
    await next.save();
    expect((await RestoreJournal.open(IDENTITY, false, home)).isDoubtful('one', 0, true)).toBe(false);
  });

  it('is none where it cannot be read', async () => {
    const journal = await RestoreJournal.open(IDENTITY, true, home);
    await journal.save();
    const file = restoreFile(IDENTITY, home);
    const text = await readFile(file, 'utf8');
    for (const broken of ['', text.slice(0, 50), '{"version":99}', 'null']) {
      await writeFile(file, broken);
      expect((await RestoreJournal.open(IDENTITY, true, home)).resumed).toBe(false);
    }
  });
});
