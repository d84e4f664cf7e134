import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileStates, FileWatch } from '../../../../src/proxy/server/file-watch.js';
import { poll } from '../../../support/redis.js';

const POLL_MS = 10;
const SEEN_MS = 5000;
/** Several looks, on a busy machine too. */
const LOOKS_MS = 200;

describe('the states of watched files', () => {
  it('are no news as long as nothing has changed', () => {
    expect(new FileStates('a').isNews('a')).toBe(false);
    expect(new FileStates('a').isNews('b')).toBe(true);
  });

  it('are called an error when they look the same twice and cannot be used, and are not read again then', () => {
    const states = new FileStates('a');
    expect(states.failed('half')).toBe(false);
    expect(states.failed('bad')).toBe(false);
    expect(states.isNews('bad')).toBe(true);
    expect(states.failed('bad')).toBe(true);
    expect(states.isNews('bad')).toBe(false);
    // As they were: what is in use is no news, and may not be taken for good either.
    expect(states.isNews('a')).toBe(false);
    expect(states.isNews('c')).toBe(true);
  });

  it('forget what was wrong as soon as something could be used', () => {
    const states = new FileStates('a');
    states.failed('bad');
    states.failed('bad');
    states.taken('b');
    expect(states.isNews('bad')).toBe(true);
    expect(states.failed('bad')).toBe(false);
  });

  it('are read and judged by what was seen, whatever comes after what', () => {
    const steps = fc.array(fc.record({ seen: fc.constantFrom('a', 'b', 'c'), good: fc.boolean() }), { maxLength: 40 });
    fc.assert(
      fc.property(steps, (looks) => {
        const states = new FileStates('a');
        let inUse = 'a';
        let failedLast: string | null = null;
        for (const { seen, good } of looks) {
          if (!states.isNews(seen)) continue;
          expect(seen).not.toBe(inUse);
          if (good) {
            states.taken(seen);
            inUse = seen;
            failedLast = null;
          } else {
            expect(states.failed(seen)).toBe(failedLast === seen);
            failedLast = seen;
          }
          expect(states.isNews(inUse)).toBe(false);
        }
      }),
    );
  });
});

describe('a watch of files', () => {
  let dir: string;
  let file: string;
  let watch: FileWatch | undefined;
  let usable = true;
  let applied = 0;
  let looks = 0;
  const refusals: string[] = [];

  const start = async (files: () => readonly string[] = () => [file]) => {
    watch = new FileWatch({
      pollMs: POLL_MS,
      files,
      apply: () => {
        if (!usable) throw new Error('of no use');
        applied++;
      },
      refused: ({ message }) => refusals.push(message),
      beforeLook: () => void looks++,
    });
    await watch.start();
  };
  const put = (text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const afterLooks = () => new Promise((resolve) => setTimeout(resolve, LOOKS_MS));

  beforeEach(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'forge-watch-'));
    file = path.join(dir, 'secret');
    usable = true;
    applied = looks = refusals.length = 0;
    writeFileSync(file, 'one');
  });

  afterEach(() => {
    watch?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('reads them once for each change, and not before', async () => {
    await start();
    await poll('it looks', SEEN_MS, () => looks > 3);
    expect(applied).toBe(0);
    put('two');
    await poll('it reads', SEEN_MS, () => applied === 1);
    await afterLooks();
    expect(applied).toBe(1);
    // Of the same length, within the same second.
    put('six');
    await poll('it reads again', SEEN_MS, () => applied === 2);
  });

  it('says once why they cannot be used, and goes on when they can', async () => {
    await start();
    usable = false;
    put('bad');
    await poll('it says so', SEEN_MS, () => refusals.length > 0);
    await afterLooks();
    expect(refusals).toEqual(['of no use']);
    usable = true;
    put('good');
    await poll('it reads', SEEN_MS, () => applied === 1);
  });

  it('notices a file that goes, and one that comes', async () => {
    await start();
    rmSync(file);
    await poll('it is gone', SEEN_MS, () => applied === 1);
    put('back');
    await poll('it is back', SEEN_MS, () => applied === 2);
  });

  it('follows the list of files as it is at the moment', async () => {
    const other = path.join(dir, 'other');
    writeFileSync(other, 'x');
    let files = [file];
    await start(() => files);
    files = [other];
    await poll('another file', SEEN_MS, () => applied === 1);
    put('nobody cares');
    await afterLooks();
    expect(applied).toBe(1);
  });

  it('does nothing any more when it is stopped', async () => {
    await start();
    put('two');
    await poll('it reads', SEEN_MS, () => applied === 1);
    watch?.stop();
    const [looksThen, appliedThen] = [looks, applied];
    put('three');
    await afterLooks();
    expect([looks, applied]).toEqual([looksThen, appliedThen]);
  });
});
